//! What the store knows of itself.

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::Integer;
use domain::{LaneId, LaneSpec};

use super::Session;
use crate::record::CheckpointRecord;
use crate::sql::failure::Failure;
use crate::sql::lanes;
use crate::sql::schema::checkpoints;
use crate::sql::statement::statement;

/// The stored projection.
pub(crate) fn checkpoint(session: &mut Session<'_>) -> Result<Option<CheckpointRecord>, Failure> {
    let row: Option<(i64, Vec<u8>)> = session
        .conn
        .get_result(checkpoints::table.find(1).select((checkpoints::seq, checkpoints::projection)))
        .optional()?;
    Ok(row.map(|(seq, projection)| CheckpointRecord { seq, projection: Arc::from(projection) }))
}

/// Every lane.
pub(crate) fn lanes(session: &mut Session<'_>) -> Result<Vec<(LaneId, LaneSpec)>, Failure> {
    let lanes = lanes::all(session.conn)?;
    Ok(lanes.into_iter().map(|(id, spec)| (id, Arc::unwrap_or_clone(spec))).collect())
}

/// Reads one page, to see whether the database answers.
pub(crate) fn ping(session: &mut Session<'_>) -> Result<(), Failure> {
    session.conn.get_result::<(i32,), _>(Ping {})?;
    Ok(())
}

statement! {
    /// The one row of the database's name.
    Ping {} -> (Integer,) = "SELECT id FROM hive WHERE id = 1"
}
