//! Tasks whose rows cannot be understood, for people who look for them.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use domain::TaskId;

use super::{Against, Error, Kind, open};
use crate::sql::commands::claim_tasks::understood;
use crate::sql::failure::Failure;
use crate::sql::spec_row::{RawSpec, Spec, SpecSql, spec_columns};
use crate::sql::statement::statement;
use crate::sql::task_row::{RawTask, TaskRow, TaskSql, task_columns};

/// Rows that are read at a time.
const PAGE: i64 = 1_000;

/// A task whose row cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which one.
    pub task: TaskId,
    /// What is wrong with it.
    pub why: String,
}

/// At most about `most` tasks that cannot be understood; the hive leaves them alone. Blocks, and reads every task.
///
/// # Errors
/// What SQLite says.
pub fn unreadable(database: &Path, most: usize) -> Result<Vec<Unreadable>, Error> {
    let mut conn = open(database, Kind::Living)?;
    let mut found = Vec::new();
    let mut note = |task: i64, failure: Option<Failure>| {
        if let Some(Failure::Corrupt { why, .. }) = failure {
            found.push(Unreadable { task: TaskId::from_raw(task), why });
        }
        found.len() < most
    };
    tasks(&mut conn, &mut note).and_then(|()| specs(&mut conn, &mut note)).map_err(|why| why.of(database))?;
    Ok(found)
}

/// Is told of each row, and says whether there should be more.
type Note<'a> = dyn FnMut(i64, Option<Failure>) -> bool + 'a;

fn tasks(conn: &mut SqliteConnection, note: &mut Note<'_>) -> Result<(), Against> {
    let mut after = i64::MIN;
    loop {
        let rows: Vec<RawTask> = TasksAfter { after, limit: PAGE }.load(conn)?;
        let Some(last) = rows.last() else { break };
        after = last.id();
        for raw in rows {
            if !note(raw.id(), TaskRow::try_from(raw).err()) {
                return Ok(());
            }
        }
    }
    let bare: Vec<(i64,)> = Bare { limit: PAGE }.load(conn)?;
    for (task,) in bare {
        let _ = note(task, Some(Failure::corrupt("task", "what was asked for is not there")));
    }
    Ok(())
}

fn specs(conn: &mut SqliteConnection, note: &mut Note<'_>) -> Result<(), Against> {
    let mut after = i64::MIN;
    loop {
        let rows: Vec<(i64, RawSpec, Option<String>)> = SpecsAfter { after, limit: PAGE }.load(conn)?;
        let Some((last, ..)) = rows.last() else { return Ok(()) };
        after = *last;
        for (task, raw, input) in rows {
            let read = Spec::try_from(raw)
                .and_then(|_| understood(input))
                .map_err(|why| why.of_task(TaskId::from_raw(task)));
            if !note(task, read.err()) {
                return Ok(());
            }
        }
    }
}

statement! {
    /// Tasks in the order of their ids.
    TasksAfter { after: i64, limit: i64 } -> TaskSql =
    concat!("SELECT ", task_columns!(), " FROM tasks t WHERE t.id > "); after, " ORDER BY t.id LIMIT "; limit
}

statement! {
    /// Tasks that nothing was asked of.
    Bare { limit: i64 } -> (BigInt,) =
    "SELECT id FROM tasks WHERE id NOT IN (SELECT task_id FROM task_specs) LIMIT "; limit
}

statement! {
    /// What was asked for, in the order of the tasks.
    SpecsAfter { after: i64, limit: i64 } -> (BigInt, SpecSql, Nullable<Text>) =
    concat!("SELECT s.task_id, ", spec_columns!(), ", s.input FROM task_specs s WHERE s.task_id > "); after,
    " ORDER BY s.task_id LIMIT "; limit
}
