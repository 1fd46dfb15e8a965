//! Minutes, hours and what becomes of them.

use super::*;

const NODE: u16 = 3;

fn at(seconds: u64) -> Timestamp {
    // 2026-01-01T00:00:00Z, the beginning of an hour.
    Timestamp::from_micros(1_767_225_600_000_000).plus_ms(seconds * 1_000)
}

fn request(performance: &Performance, seconds: u64, ms: u64) {
    performance.answered(at(seconds), Some(Duration::from_millis(ms)), false);
}

/// Everything there is, as an answer adds it up.
fn total(performance: &Performance, stored: &[PerformanceRecord], now: u64, range_s: u32) -> Figures {
    let (_, span_s) = resolution(range_s);
    let mut slices = performance.in_memory(at(now), span_s);
    let known: Vec<_> = slices.iter().map(Slice::key).collect();
    let rows = stored.iter().filter(|row| row.span_s == span_s && !known.contains(&(row.span_s, row.since)));
    slices.extend(rows.map(Slice::from));
    series(range_s, at(now), &slices).total
}

/// Stores what is due, each row in place of the one with its key.
fn store(performance: &Performance, stored: &mut Vec<PerformanceRecord>, now: u64) {
    let rows = performance.due(at(now), NODE, false);
    let keys: Vec<_> = rows.iter().map(|row| (row.span_s, row.since)).collect();
    stored.retain(|row| !keys.contains(&(row.span_s, row.since)));
    performance.saved(&rows);
    stored.extend(rows);
}

#[test]
fn what_was_counted_is_in_every_answer_once_before_and_after_it_is_stored_and_in_both_resolutions() {
    let performance = Performance::new(at(30));
    let mut stored = Vec::new();
    for second in 30..4 * 3_600 {
        if second % 7 == 0 {
            request(&performance, second, 1);
        }
        if second % 131 == 0 {
            store(&performance, &mut stored, second);
        }
        if second % 1_009 == 0 {
            let expected = second / 7 - 4;
            for range_s in [86_400, 30 * 86_400] {
                let there = total(&performance, &stored, second, range_s).counts.requests;
                assert_eq!(there, expected, "after {second} s over {range_s} s");
            }
        }
    }
    let hours = stored.iter().filter(|row| row.span_s == HOUR_S).count();
    assert_eq!(hours, 4, "the present hour is stored, too");
}

#[test]
fn a_minute_in_which_nothing_happens_leaves_no_row() {
    let performance = Performance::new(at(0));
    assert!(performance.due(at(600), NODE, true).is_empty());
    request(&performance, 700, 1);
    assert!(performance.due(at(719), NODE, false).is_empty(), "its minute is not over");
    let rows = performance.due(at(720), NODE, false);
    let keys: Vec<_> = rows.iter().map(|row| (row.span_s, row.since)).collect();
    assert_eq!(keys, [(MINUTE_S, at(660)), (HOUR_S, at(0))]);
    performance.saved(&rows);
    assert!(performance.due(at(9_000), NODE, false).is_empty());
}

#[test]
fn what_could_not_be_stored_is_due_again_and_the_oldest_of_more_than_an_hour_is_dropped() {
    let performance = Performance::new(at(0));
    request(&performance, 1, 1);
    let first = performance.due(at(60), NODE, false);
    performance.not_saved();
    assert_eq!(performance.due(at(61), NODE, false), first);
    performance.not_saved();
    for minute in 1..90 {
        request(&performance, minute * 60, 1);
    }
    let rows = performance.due(at(90 * 60), NODE, false);
    assert_eq!(rows.len(), UNSAVED_MAX + 1, "with the present hour");
    assert!(
        rows.iter().all(|row| (row.span_s, row.since) != (MINUTE_S, at(0))),
        "the first minute is dropped"
    );
}

#[test]
fn an_hour_that_turns_while_it_is_being_stored_is_stored_in_full() {
    // Its last minute is empty, or not; the store takes it, or does not.
    for (has_last, is_taken) in [(false, false), (false, true), (true, false), (true, true)] {
        let performance = Performance::new(at(0));
        request(&performance, 1, 1);
        let first = performance.due(at(3_590), NODE, false);
        if has_last {
            request(&performance, 3_595, 1);
        }
        request(&performance, 3_601, 1);
        let mut stored = Vec::new();
        if is_taken {
            performance.saved(&first);
            stored = first;
        } else {
            performance.not_saved();
        }
        store(&performance, &mut stored, 3_700);
        let hour = stored.iter().find(|row| row.span_s == HOUR_S && row.since == at(0));
        let requests = hour.map(|row| row.counts.requests);
        assert_eq!(requests, Some(1 + u64::from(has_last)), "{has_last} {is_taken}");
        assert_eq!(total(&performance, &stored, 3_700, 30 * 86_400).counts.requests, 2 + u64::from(has_last));
    }
}

#[test]
fn a_stop_takes_the_minute_that_is_being_counted_along_and_a_start_within_it_has_a_row_of_its_own() {
    let before = Performance::new(at(0));
    request(&before, 10, 1);
    let mut rows = before.due(at(20), NODE, true);
    let after = Performance::new(at(25));
    request(&after, 30, 1);
    rows.extend(after.due(at(40), NODE, true));
    let minutes: Vec<_> = rows.iter().filter(|row| row.span_s == MINUTE_S).map(|row| row.since).collect();
    assert_eq!(minutes, [at(0), at(25)]);
    assert_eq!(total(&after, &rows, 50, 3_600).counts.requests, 2);
}

#[test]
fn times_are_known_to_one_percent_through_the_store_and_back() {
    let performance = Performance::new(at(0));
    for ms in 1..=1_000 {
        request(&performance, 1, ms);
    }
    performance.count(at(1), |slice| slice.run.record(u64::MAX));
    let rows = performance.due(at(2), NODE, true);
    assert!(rows.iter().all(|row| row.request_us.len() < 2_000), "a row stays small");
    let there = total(&Performance::new(at(3)), &rows, 4, 300);
    let close = |value: Option<u64>, expected: u64| {
        value.is_some_and(|value| value.abs_diff(expected) * 100 <= expected)
    };
    let quantiles = there.request;
    assert_eq!(quantiles.count, 1_000);
    assert!(close(quantiles.p50_us, 500_000) && close(quantiles.p95_us, 950_000), "{quantiles:?}");
    assert!(close(quantiles.p99_us, 990_000) && close(quantiles.max_us, 1_000_000), "{quantiles:?}");
    assert!(close(there.run.max_us, 40 * 86_400_000_000), "longer than 40 days is 40 days");
    assert_eq!(there.wait, Quantiles::default());
}

#[test]
fn a_broken_histogram_in_the_store_costs_its_times_and_nothing_else() {
    let performance = Performance::new(at(0));
    request(&performance, 1, 5);
    let mut rows = performance.due(at(2), NODE, true);
    rows.iter_mut().for_each(|row| row.request_us = vec![1, 2, 3].into());
    let there = total(&Performance::new(at(3)), &rows, 4, 300);
    assert_eq!((there.counts.requests, there.request), (1, Quantiles::default()));
}

#[test]
fn steps_are_as_short_as_one_hundred_and_twenty_of_them_allow() {
    let table = [
        (300, 60),
        (7_200, 60),
        (7_201, 300),
        (36_000, 300),
        (86_400, 900),
        (172_800, 3_600),
        (604_800, 7_200),
        (2_592_000, 21_600),
    ];
    for (range_s, step_s) in table {
        assert_eq!(resolution(range_s).0, step_s, "{range_s}");
        let steps = series(range_s, at(12_345), &[]).steps;
        assert!((2..=121).contains(&steps.len()), "{} steps of {range_s} s", steps.len());
        let total: u64 = steps.iter().map(|step| step.length_ms).sum();
        assert!(total >= u64::from(range_s) * 1_000, "all of it is there");
    }
}

#[test]
fn a_rate_is_over_as_much_of_the_time_as_has_passed() {
    let performance = Performance::new(at(0));
    request(&performance, 65, 1);
    let slices = performance.in_memory(at(70), MINUTE_S);
    let series = series(300, at(70), &slices);
    let last = series.steps.last().map(|step| (step.at, step.length_ms, step.counts.requests));
    assert_eq!(last, Some((at(60), 10_000, 1)));
    assert_eq!(series.total.length_ms, 310_000);
}
