//! What the hive did, by minute or by hour.

use diesel::sql_types::{BigInt, Binary, Integer};
use domain::Timestamp;

use super::Session;
use crate::record::{PerformanceCounts, PerformanceRecord};
use crate::sql::columns;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// Most rows of one answer: 24 hours of minutes on ten nodes, each started anew every five minutes.
const ROWS_MAX: i64 = 20_000;

/// The rows of one span that began since `from`, oldest first.
pub(crate) fn since(
    session: &mut Session<'_>,
    span_s: u32,
    from: Timestamp,
) -> Result<Vec<PerformanceRecord>, Failure> {
    let (column, from, limit) = (columns::count_column(span_s), from.as_micros(), ROWS_MAX);
    let rows = session.conn.load::<Row, _>(Since { span_s: column, from, limit })?;
    Ok(rows.into_iter().map(|row| understood(row, span_s)).collect())
}

/// Since, node, the counts and the histograms, as they are stored.
type Row = (i64, i32, i64, i64, i64, i64, i64, i64, i64, Vec<u8>, Vec<u8>, Vec<u8>);

fn understood(row: Row, span_s: u32) -> PerformanceRecord {
    let (since, node, requests, errors, submitted, started, completed, retried, failed, request, wait, run) =
        row;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    PerformanceRecord {
        span_s,
        since: Timestamp::from_micros(since),
        node: u16::try_from(node).unwrap_or(u16::MAX),
        counts: PerformanceCounts {
            requests: count(requests),
            errors: count(errors),
            submitted: count(submitted),
            started: count(started),
            completed: count(completed),
            retried: count(retried),
            failed: count(failed),
        },
        request_us: request.into(),
        wait_us: wait.into(),
        run_us: run.into(),
    }
}

statement! {
    /// By the key.
    Since { span_s: i32, from: i64, limit: i64 }
    -> (BigInt, Integer, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, Binary, Binary, Binary) =
    "SELECT since, node, requests, errors, submitted, started, completed, retried, failed, request_us, wait_us, run_us \
     FROM performance WHERE span_s = "; span_s, " AND since >= "; from, " ORDER BY since, node LIMIT "; limit
}
