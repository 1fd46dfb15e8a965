//! Appends output of a working attempt, up to its limit.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer};
use domain::TaskState;

use super::may_report;
use crate::command::AppendOutput;
use crate::outcome::Appended;
use crate::sql::attempt_row::cut_at;
use crate::sql::batch::Batch;
use crate::sql::columns::{count_column, span, span_column};
use crate::sql::failure::Failure;
use crate::sql::schema::task_output;
use crate::sql::statement::statement;
use crate::sql::task_row::TaskRow;

/// The end of what is stored of an attempt.
struct Tail {
    chunk: i32,
    end_bytes: u64,
    is_truncated: bool,
}

pub(super) fn apply(batch: &mut Batch<'_>, command: &AppendOutput) -> Result<Appended, Failure> {
    let Some(task) = TaskRow::load(batch.conn, command.task)? else { return Ok(Appended::NotFound) };
    if !may_report(batch, &task, command.attempt, command.reporter)? {
        return Ok(Appended::NotFound);
    }
    if task.state != TaskState::Working || task.attempt != command.attempt {
        return Ok(Appended::Stale);
    }
    let tail = tail(batch, command)?;
    if command.after_bytes.is_some_and(|bytes| tail.end_bytes > bytes) {
        return Ok(Appended::Done { stored_bytes: tail.end_bytes, is_truncated: tail.is_truncated });
    }
    if command.follows_cut && tail.chunk > 0 && !tail.is_truncated {
        mark_truncated(batch, command, tail.chunk)?;
    }
    let was_cut = command.follows_cut || tail.is_truncated;
    if (tail.is_truncated && !command.follows_cut) || command.text.is_empty() {
        return Ok(Appended::Done { stored_bytes: tail.end_bytes, is_truncated: was_cut });
    }
    let room = usize::try_from(command.bytes_max.saturating_sub(tail.end_bytes)).unwrap_or(usize::MAX);
    let text = cut_at(&command.text, room);
    let is_truncated = text.len() < command.text.len();
    let stored_bytes = tail.end_bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
    if text.is_empty() && tail.chunk > 0 {
        mark_truncated(batch, command, tail.chunk)?;
    } else {
        insert(batch, command, tail.chunk.saturating_add(1), (text, stored_bytes, is_truncated))?;
    }
    Ok(Appended::Done { stored_bytes, is_truncated: is_truncated || was_cut })
}

fn tail(batch: &mut Batch<'_>, command: &AppendOutput) -> Result<Tail, Failure> {
    let found = batch
        .conn
        .peek::<(i32, i64, bool), _>(LoadTail {
            task: command.task.raw(),
            attempt: count_column(command.attempt),
        })
        .optional()?;
    let (chunk, end_bytes, is_truncated) = found.unwrap_or((0, 0, false));
    Ok(Tail { chunk, end_bytes: span(end_bytes), is_truncated })
}

fn insert(
    batch: &mut Batch<'_>,
    command: &AppendOutput,
    chunk: i32,
    (text, end_bytes, is_truncated): (&str, u64, bool),
) -> Result<(), Failure> {
    use task_output as o;
    batch.conn.execute_aside(diesel::insert_into(o::table).values((
        o::task_id.eq(command.task.raw()),
        o::attempt.eq(count_column(command.attempt)),
        o::chunk.eq(chunk),
        o::at.eq(batch.now.as_micros()),
        o::end_bytes.eq(span_column(end_bytes)),
        o::is_truncated.eq(is_truncated),
        o::text.eq(text),
    )))?;
    Ok(())
}

fn mark_truncated(batch: &mut Batch<'_>, command: &AppendOutput, chunk: i32) -> Result<(), Failure> {
    let key = (command.task.raw(), count_column(command.attempt), chunk);
    batch.conn.execute_aside(
        diesel::update(task_output::table.find(key)).set(task_output::is_truncated.eq(true)),
    )?;
    Ok(())
}

statement! {
    /// The newest chunk of an attempt.
    LoadTail { task: i64, attempt: i32 } -> (Integer, BigInt, Bool) =
    "SELECT chunk, end_bytes, is_truncated FROM task_output WHERE task_id = "; task, " AND attempt = "; attempt,
    " ORDER BY chunk DESC LIMIT 1"
}
