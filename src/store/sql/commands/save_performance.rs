//! Stores what a node did in the last minutes, and removes what is too old to be shown.

use crate::command::SavePerformance;
use crate::record::PerformanceRecord;
use crate::sql::batch::Batch;
use crate::sql::columns;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

pub(super) fn apply(batch: &mut Batch<'_>, command: &SavePerformance) -> Result<(), Failure> {
    for row in &command.rows {
        batch.conn.execute(store(row))?;
    }
    for (span_s, before) in &command.forget {
        let (span_s, before) = (columns::count_column(*span_s), before.as_micros());
        batch.conn.execute(Forget { span_s, before })?;
    }
    Ok(())
}

fn store(row: &PerformanceRecord) -> StoreRow<'_> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    StoreRow {
        span_s: columns::count_column(row.span_s),
        since: row.since.as_micros(),
        node: i32::from(row.node),
        requests: count(row.counts.requests),
        errors: count(row.counts.errors),
        submitted: count(row.counts.submitted),
        started: count(row.counts.started),
        completed: count(row.counts.completed),
        retried: count(row.counts.retried),
        failed: count(row.counts.failed),
        request_us: &row.request_us,
        wait_us: &row.wait_us,
        run_us: &row.run_us,
    }
}

statement! {
    /// A row that is there was written by the same node from the same counting, which has gone on since.
    StoreRow<'a> {
        span_s: i32, since: i64, node: i32, requests: i64, errors: i64, submitted: i64, started: i64, completed: i64,
        retried: i64, failed: i64, request_us: &'a [u8], wait_us: &'a [u8], run_us: &'a [u8],
    } =
    "INSERT INTO performance (span_s, since, node, requests, errors, submitted, started, completed, retried, failed, \
     request_us, wait_us, run_us) VALUES ("; span_s, ", "; since, ", "; node, ", "; requests, ", "; errors,
    ", "; submitted, ", "; started, ", "; completed, ", "; retried, ", "; failed, ", "; request_us, ", "; wait_us,
    ", "; run_us,
    ") ON CONFLICT (span_s, since, node) DO UPDATE SET requests = excluded.requests, errors = excluded.errors, \
     submitted = excluded.submitted, started = excluded.started, completed = excluded.completed, \
     retried = excluded.retried, failed = excluded.failed, request_us = excluded.request_us, \
     wait_us = excluded.wait_us, run_us = excluded.run_us"
}

statement! {
    /// Rows of one span from before a moment.
    Forget { span_s: i32, before: i64 } =
    "DELETE FROM performance WHERE span_s = "; span_s, " AND since < "; before
}
