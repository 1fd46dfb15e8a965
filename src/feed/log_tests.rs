//! Ring and cursor: what is taken, in which order, and what is said where something is missing.

use super::*;

fn event(seq: i64) -> Event {
    Event {
        seq,
        at: Timestamp::from_micros(seq),
        tenant: TenantId::DEFAULT,
        kind: EventKind::TaskSubmitted,
        task: None,
        agent: None,
        attempt: None,
        lane: None,
        priority: None,
        correlation_id: "c".into(),
        moved: None,
        data: "{}".into(),
    }
}

fn events(seqs: std::ops::RangeInclusive<i64>) -> Vec<Event> {
    seqs.map(event).collect()
}

fn log(events_max: usize) -> Log {
    let encode: Encode = Arc::new(|event, _| {
        let view = event.seq.to_string();
        Encoded { frame: format!("<{view}>").into(), event: 1..view.len() + 1 }
    });
    Log::new(encode, events_max)
}

/// As the fold does it: names are looked up for those who follow.
fn append(log: &Log, seqs: std::ops::RangeInclusive<i64>) {
    let events = events(seqs);
    let queues = if log.is_followed() { vec![None; events.len()] } else { Vec::new() };
    log.append(&events, queues);
}

fn taken(cursor: &mut Cursor, until: i64) -> (Vec<i64>, Look) {
    let mut seqs = Vec::new();
    let look = cursor.look(until, |entry| {
        seqs.push(entry.seq);
        true
    });
    (seqs, look)
}

#[test]
fn a_cursor_takes_each_event_once_and_in_order() {
    let log = log(100);
    let mut cursor = log.follow(0);
    append(&log, 1..=3);
    assert_eq!(taken(&mut cursor, 2), (vec![1, 2], Look::Done), "up to the limit");
    append(&log, 4..=5);
    assert_eq!(cursor.lag(), 3);
    assert_eq!(taken(&mut cursor, i64::MAX), (vec![3, 4, 5], Look::Done));
    assert_eq!(taken(&mut cursor, i64::MAX), (vec![], Look::Done));
    append(&log, 4..=6);
    assert_eq!(
        taken(&mut cursor, i64::MAX),
        (vec![6], Look::Done),
        "what is there already is not added twice"
    );
}

#[test]
fn a_taker_may_pause_and_goes_on_behind_what_it_took() {
    let log = log(100);
    let mut cursor = log.follow(0);
    append(&log, 1..=3);
    assert_eq!(cursor.look(i64::MAX, |_| false), Look::Paused);
    assert_eq!(taken(&mut cursor, i64::MAX).0, [2, 3]);
}

#[test]
fn a_cursor_that_fell_off_the_ring_is_told_that_the_next_event_is_older() {
    let log = log(4);
    let mut cursor = log.follow(0);
    append(&log, 1..=4);
    assert_eq!(cursor.look(1, |_| true), Look::Done, "the ring still has its first event");
    cursor.jump(0);
    append(&log, 5..=6);
    assert_eq!(taken(&mut cursor, i64::MAX), (vec![], Look::Older));
    cursor.jump(2);
    assert_eq!(taken(&mut cursor, i64::MAX), (vec![3, 4, 5, 6], Look::Done));
}

#[test]
fn nothing_is_kept_while_nobody_follows() {
    let log = log(100);
    append(&log, 1..=3);
    assert_eq!((log.held(), log.head()), (0, 3));
    let mut cursor = log.follow(1);
    assert_eq!(taken(&mut cursor, i64::MAX).1, Look::Older, "the store has it");
    cursor.jump(3);
    append(&log, 4..=5);
    assert_eq!(taken(&mut cursor, i64::MAX), (vec![4, 5], Look::Done));
    drop(cursor);
    append(&log, 6..=6);
    assert_eq!((log.held(), log.head()), (0, 6));
}

#[test]
fn the_end_of_the_log_does_not_move_back_when_notices_repeat() {
    for is_followed in [false, true] {
        let log = log(100);
        let _cursor = is_followed.then(|| log.follow(0));
        append(&log, 1..=3);
        log.restart_after(8);
        append(&log, 4..=6);
        assert_eq!((log.head(), log.held()), (8, 0), "followed: {is_followed}");
        append(&log, 7..=9);
        assert_eq!(log.head(), 9);
        let mut cursor = log.follow(8);
        let expected = if is_followed { (vec![9], Look::Done) } else { (vec![], Look::Older) };
        assert_eq!(taken(&mut cursor, i64::MAX), expected);
    }
}

#[test]
fn a_hole_in_what_is_folded_leaves_no_hole_in_the_ring() {
    let log = log(100);
    let mut cursor = log.follow(0);
    append(&log, 1..=2);
    append(&log, 5..=6);
    assert_eq!(taken(&mut cursor, i64::MAX).1, Look::Older);
    cursor.jump(4);
    assert_eq!(taken(&mut cursor, i64::MAX).0, [5, 6]);
}

#[test]
fn the_ring_is_bounded_in_bytes_too() {
    let encode: Encode = Arc::new(|_, _| Encoded { frame: "x".repeat(RING_BYTES / 4).into(), event: 0..0 });
    let log = Log::new(encode, 100);
    let _cursor = log.follow(0);
    append(&log, 1..=10);
    assert_eq!(log.held(), 4);
}

#[test]
fn the_event_alone_shares_the_frames_bytes() {
    let log = log(4);
    let mut cursor = log.follow(0);
    append(&log, 1..=1);
    let mut found = ByteString::new();
    cursor.look(i64::MAX, |entry| {
        found = entry.event_json();
        true
    });
    assert_eq!(&*found, "1");
}
