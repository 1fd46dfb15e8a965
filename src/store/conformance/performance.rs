//! What nodes did, minute by minute.

use domain::Timestamp;

use super::Rig;
use super::world::World;
use crate::command::SavePerformance;
use crate::record::{PerformanceCounts, PerformanceRecord};

fn row(span_s: u32, since_s: i64, node: u16, requests: u64) -> PerformanceRecord {
    let counts = PerformanceCounts {
        requests,
        errors: 1,
        submitted: 2,
        started: 3,
        completed: 4,
        retried: 5,
        failed: u64::try_from(i64::MAX).unwrap_or(0),
    };
    let bytes = |byte: u8| std::sync::Arc::from(vec![byte; usize::from(byte)]);
    let since = Timestamp::from_micros(since_s * 1_000_000);
    PerformanceRecord {
        span_s,
        since,
        node,
        counts,
        request_us: bytes(0),
        wait_us: bytes(1),
        run_us: bytes(200),
    }
}

fn save<R: Rig>(world: &mut World<R>, rows: &[PerformanceRecord], forget: &[(u32, i64)]) {
    let forget = forget.iter().map(|(span_s, s)| (*span_s, Timestamp::from_micros(s * 1_000_000))).collect();
    let told = world.told(|world| world.apply(SavePerformance { rows: rows.to_vec(), forget }));
    assert_eq!(told, [], "figures are no events");
}

fn there<R: Rig>(world: &World<R>, span_s: u32, from_s: i64) -> Vec<PerformanceRecord> {
    world.ask(|readers| readers.performance(span_s, Timestamp::from_micros(from_s * 1_000_000)))
}

pub(super) fn a_row_is_read_as_it_was_stored_and_replaced_by_one_with_its_key<R: Rig>() {
    let mut world = World::<R>::new();
    let first = [row(60, 120, 0, 7), row(60, 60, 1, 8), row(60, 60, 0, 9), row(3_600, 60, 0, 10)];
    save(&mut world, &first, &[]);
    let [late, other_node, early, hour] = first;
    assert_eq!(there(&world, 60, 0), [early.clone(), other_node, late.clone()], "by time, then by node");
    assert_eq!(there(&world, 60, 61), [late]);
    assert_eq!(there(&world, 3_600, 0), [hour]);
    let replaced = PerformanceRecord { run_us: vec![1].into(), ..row(60, 60, 0, 99) };
    save(&mut world, std::slice::from_ref(&replaced), &[]);
    world.rig.reopen();
    assert_eq!(there(&world, 60, 0).first(), Some(&replaced));
    assert_eq!(there(&world, 60, 0).len(), 3);
}

pub(super) fn rows_that_are_too_old_leave_each_span_by_itself<R: Rig>() {
    let mut world = World::<R>::new();
    save(
        &mut world,
        &[row(60, 60, 0, 1), row(60, 120, 0, 1), row(3_600, 0, 0, 1), row(3_600, 3_600, 0, 1)],
        &[],
    );
    save(&mut world, &[], &[(60, 120), (3_600, 1)]);
    assert_eq!(there(&world, 60, 0), [row(60, 120, 0, 1)]);
    assert_eq!(there(&world, 3_600, 0), [row(3_600, 3_600, 0, 1)]);
}
