//! Counts everything. It reads every task.

use diesel::sql_types::{BigInt, SmallInt};
use domain::{AgentId, LaneId, TaskState};

use super::Session;
use crate::readers::Census;
use crate::sql::columns::span;
use crate::sql::failure::Failure;
use crate::sql::log;
use crate::sql::statement::statement;

/// All counts at one moment of the log.
pub(crate) fn take(session: &mut Session<'_>) -> Result<Census, Failure> {
    let (seq, _) = log::head(session.conn)?;
    let mut census = Census { seq, ..Census::default() };
    let counts: Vec<(i64, i16, i16, i64)> = session.conn.load(CountTasks {})?;
    for (lane, state, priority, count) in counts {
        let (Some(known), Ok(priority)) = (TaskState::from_code(state), u8::try_from(priority)) else {
            tracing::error!(state, priority, count, "tasks that cannot be understood are not counted");
            continue;
        };
        census.tasks.insert((LaneId(lane), known, priority), span(count));
    }
    let working: Vec<(i64, i64)> = session.conn.load(CountWorking {})?;
    census.working =
        working.into_iter().map(|(agent, count)| (AgentId::from_raw(agent), span(count))).collect();
    Ok(census)
}

statement! {
    /// Tasks by lane, state and priority.
    CountTasks {} -> (BigInt, SmallInt, SmallInt, BigInt) =
    "SELECT lane_id, state, priority, count(*) FROM tasks GROUP BY lane_id, state, priority"
}

statement! {
    /// Working attempts by agent.
    CountWorking {} -> (BigInt, BigInt) =
    "SELECT agent_id, count(*) FROM tasks WHERE state = 2 AND agent_id IS NOT NULL GROUP BY agent_id"
}
