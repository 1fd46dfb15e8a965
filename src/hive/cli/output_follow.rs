//! `hive task output --follow`: prints what the attempts write as they write it, until the task has ended.

use std::time::{Duration, Instant};

use client::{Error, Followed};
use domain::{TaskId, TaskState};
use protocol::OutputEvent;
use protocol::output_stream::OutputPlace;

use super::Context;
use super::task_wait::{AWAY_MAX, end_in_words, is_passing};
use crate::exit::Exit;
use crate::failure::Failure;

/// How long to wait before a stream that ended is taken up again.
const AGAIN: Duration = Duration::from_millis(250);

/// Follows a task from its present attempt on. A hive that restarts meanwhile is waited for.
///
/// # Errors
/// A [`Failure`] when there is no such task, or the hive stays away.
pub async fn follow(context: &mut Context, id: TaskId) -> Result<Exit, Failure> {
    let attempt = context.client.task(id).await?.attempt;
    let mut reader = Reader { place: OutputPlace { attempt, chunk: 0 }, attempt, is_truncated: false };
    let mut away_since: Option<Instant> = None;
    loop {
        let read = reader.read(context, id, &mut away_since).await;
        match read {
            Ok(Some(state)) => return end(context, id, state, reader.is_truncated).await,
            // a hive that drains ends its streams before it goes
            Ok(None) => {}
            Err(Broken::Screen(failure)) => return Err(failure),
            Err(Broken::Stream(error)) if is_passing(&error) => {
                if away_since.is_none() {
                    context.screen.note("the hive does not answer; trying again");
                }
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() > AWAY_MAX {
                    return Err(error.into());
                }
            }
            Err(Broken::Stream(error)) => return Err(error.into()),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What ends a stream before its end.
enum Broken {
    Stream(Error),
    Screen(Failure),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Screen(error.into())
    }
}

/// Where the reading is.
struct Reader {
    /// Of the piece that was printed last.
    place: OutputPlace,
    attempt: u32,
    is_truncated: bool,
}

impl Reader {
    /// Prints one stream; answers how the task ended, or `None` when the stream ended before it.
    async fn read(
        &mut self,
        context: &mut Context,
        id: TaskId,
        away_since: &mut Option<Instant>,
    ) -> Result<Option<TaskState>, Broken> {
        let mut stream = context.client.follow_output(id, Some(self.place)).await.map_err(Broken::Stream)?;
        *away_since = None;
        while let Some(Followed { event, text }) = stream.next().await.map_err(Broken::Stream)? {
            let piece = match event {
                OutputEvent::Output(piece) => piece,
                OutputEvent::End(end) => return Ok(Some(end.state)),
            };
            self.place = piece.place();
            if context.screen.is_json() {
                context.screen.line(&text)?;
            } else {
                if self.attempt != piece.attempt {
                    self.attempt = piece.attempt;
                    // what was printed comes before the note also where both go to one terminal
                    context.screen.finish()?;
                    context.screen.note(&format!("attempt {}", piece.attempt));
                }
                context.screen.raw(&piece.text)?;
            }
            self.is_truncated |= piece.truncated;
            context.screen.finish()?;
        }
        Ok(None)
    }
}

async fn end(
    context: &mut Context,
    id: TaskId,
    state: TaskState,
    is_truncated: bool,
) -> Result<Exit, Failure> {
    if context.screen.is_json() {
        return Ok(Exit::Fine);
    }
    if is_truncated {
        context.screen.note("some of it was cut: the attempt wrote more than the hive keeps");
    }
    if state != TaskState::Completed {
        let task = context.client.task(id).await?;
        context.screen.note(&end_in_words(&task));
    }
    Ok(Exit::Fine)
}
