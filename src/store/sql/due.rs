//! When a janitor has something to do next: one index seek each. A row without the time that it must have cannot be understood,
//! and is never due.

use crate::sql::conn::Conn;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use domain::Timestamp;

use crate::command::Chore;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// When the next row of a chore is due, as of `now`; `None` when there is none.
pub(crate) fn next_due(conn: &mut Conn, chore: Chore, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    let oldest: Option<(i64,)> = match chore {
        Chore::StageDue => conn.get_result(NextEligible {}).optional()?,
        Chore::ReapLeases => conn.get_result(NextExpiry {}).optional()?,
        // Only the start of a hive can know of a crash.
        Chore::EndCrashed => None,
        Chore::ExpireWaiting => conn.get_result(NextDeadline {}).optional()?,
        Chore::RetireTasks(_) => conn.get_result(OldestFinished {}).optional()?,
        Chore::RetireEvents(_) => conn.get_result(OldestCoveredEvent {}).optional()?,
        Chore::RetireKeys => {
            let unique: Option<(i64,)> = conn.get_result(NextUniqueExpiry {}).optional()?;
            let key = conn.get_result(NextKeyExpiry {}).optional()?;
            unique.into_iter().chain(key).min()
        }
    };
    let keeps_us = match chore {
        Chore::RetireTasks(before) | Chore::RetireEvents(before) => {
            now.as_micros().saturating_sub(before.as_micros())
        }
        Chore::StageDue
        | Chore::ReapLeases
        | Chore::EndCrashed
        | Chore::ExpireWaiting
        | Chore::RetireKeys => 0,
    };
    Ok(oldest.map(|(at,)| Timestamp::from_micros(at.saturating_add(keeps_us))))
}

statement! {
    /// The first delay or backoff to end.
    NextEligible {} -> (BigInt,) =
    "SELECT eligible_at FROM tasks WHERE state = 0 AND eligible_at IS NOT NULL ORDER BY eligible_at LIMIT 1"
}

statement! {
    /// The first lease to expire.
    NextExpiry {} -> (BigInt,) =
    "SELECT lease_expires_at FROM tasks WHERE state = 2 AND lease_expires_at IS NOT NULL ORDER BY lease_expires_at LIMIT 1"
}

statement! {
    /// The first wait to be too long.
    NextDeadline {} -> (BigInt,) =
    "SELECT wait_deadline_at FROM tasks WHERE state IN (0, 1) AND wait_deadline_at IS NOT NULL \
     ORDER BY wait_deadline_at LIMIT 1"
}

statement! {
    /// The first task that ended.
    OldestFinished {} -> (BigInt,) =
    "SELECT finished_at FROM tasks WHERE state >= 3 AND finished_at IS NOT NULL ORDER BY finished_at LIMIT 1"
}

statement! {
    /// The first event, if the last checkpoint covers it.
    OldestCoveredEvent {} -> (BigInt,) =
    "SELECT at FROM events WHERE seq <= (SELECT max(seq) FROM checkpoints) ORDER BY seq LIMIT 1"
}

statement! {
    /// The first key whose time is over.
    NextKeyExpiry {} -> (BigInt,) =
    "SELECT expires_at FROM task_keys ORDER BY expires_at LIMIT 1"
}

statement! {
    /// The first unique key whose time is over; those that stay for ever have the largest number.
    NextUniqueExpiry {} -> (BigInt,) =
    "SELECT expires_at FROM unique_keys WHERE expires_at < 9223372036854775807 ORDER BY expires_at LIMIT 1"
}
