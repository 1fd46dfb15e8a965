//! `hive events --follow`: prints the log as it grows, until somebody ends it.
//!
//! Invariant: every event after the place where it began is printed once and in order, or the command ends and says which
//! are missing.

use client::{Client, Error, Logged};
use domain::TaskId;
use protocol::EventView;
use protocol::page::{LIMIT_DEFAULT, LIMIT_MAX};
use protocol::query::PageQuery;

use super::Context;
use super::words::{compact, one_line};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::pause::Pause;
use crate::stops::Stops;

/// Follows the log: from the newest events on, after a place, or all of one task.
///
/// # Errors
/// A [`Failure`] when the hive does not answer at first, when it refuses, or when the log does not reach back.
pub async fn follow(
    context: &mut Context,
    after: Option<i64>,
    limit: Option<u32>,
    task: Option<TaskId>,
) -> Result<Exit, Failure> {
    if limit.is_some() && (after.is_some() || task.is_some()) {
        return Err(Failure::usage("--limit says with how many of the newest events --follow begins")
            .hint("leave it out beside --after and --task"));
    }
    let mut stops = Stops::listen().map_err(|error| Failure::surroundings(&error))?;
    tokio::select! {
        ended = read_on(context, after, limit, task) => match ended {
            Ok(never) => match never {},
            Err(failure) => Err(failure),
        },
        _ = stops.next() => Ok(Exit::Fine),
    }
}

/// What never comes.
enum Never {}

/// What ends one stream.
enum Broken {
    Stream(Error),
    End(Failure),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::End(error.into())
    }
}

/// Where the reading is.
struct Reader {
    /// Names the log.
    epoch: String,
    /// The last event that was read.
    place: i64,
    task: Option<TaskId>,
    pause: Pause,
    /// Somebody was told that the hive is away.
    is_told: bool,
}

async fn read_on(
    context: &mut Context,
    after: Option<i64>,
    limit: Option<u32>,
    task: Option<TaskId>,
) -> Result<Never, Failure> {
    let system = context.client.system().await?.into_value();
    let (first, head) = (system.log.first_seq, system.log.last_seq);
    let place = match (task, after) {
        (Some(task), after) => history(context, task, after).await?.max(head),
        (None, Some(after)) => after,
        (None, None) => {
            let newest = head.saturating_sub(i64::from(limit.unwrap_or(LIMIT_DEFAULT)));
            newest.max(first.saturating_sub(1)).max(0)
        }
    };
    if let Some(after) = after.filter(|after| *after > head) {
        return Err(Failure::new(
            Exit::NotFound,
            format!("the log has no event {after} yet; its last is {head}"),
        ));
    }
    let mut reader = Reader { epoch: system.epoch, place, task, pause: Pause::default(), is_told: false };
    loop {
        match reader.stream(context).await {
            // a hive that drains ends its streams before it goes
            Ok(()) => {}
            Err(Broken::End(failure)) => return Err(failure),
            Err(Broken::Stream(error)) if is_passing(&error) => {
                if !reader.is_told {
                    reader.is_told = true;
                    context.screen.note("the hive does not answer; trying again");
                }
            }
            Err(Broken::Stream(error)) => return Err(error.into()),
        }
        tokio::time::sleep(reader.pause.grow()).await;
    }
}

/// Prints what there is of one task; answers the last of it.
async fn history(context: &mut Context, task: TaskId, after: Option<i64>) -> Result<i64, Failure> {
    let mut query = PageQuery { limit: Some(LIMIT_MAX), cursor: after.map(|seq| seq.to_string()) };
    let mut place = after.unwrap_or(0);
    loop {
        let page = context.client.task_events(task, &query).await?.into_value();
        for event in &page.items {
            let text = serde_json::to_string(event).map_err(|error| {
                Failure::new(Exit::Internal, format!("an event cannot be shown: {error}"))
            })?;
            print(context, event, &text)?;
            place = event.seq;
        }
        context.screen.finish()?;
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(place);
        }
    }
}

impl Reader {
    /// Prints one stream to its end.
    async fn stream(&mut self, context: &mut Context) -> Result<(), Broken> {
        let mut stream = context.client.follow_events(Some(self.place)).await.map_err(Broken::Stream)?;
        // Looked at behind the handshake: another log can only begin with another start, which breaks this stream.
        self.refuse_another_log(&context.client).await?;
        if std::mem::take(&mut self.is_told) {
            context.screen.note("the hive answers again");
        }
        while let Some(logged) = stream.next().await.map_err(Broken::Stream)? {
            self.pause = Pause::default();
            match logged {
                // Of a hive that builds its memory of the log anew, some may come again.
                Logged::Event { event, .. } if event.seq <= self.place => {}
                Logged::Event { event, text } => {
                    self.place = event.seq;
                    if self.task.is_none_or(|task| event.task_id == Some(task)) {
                        print(context, &event, &text)?;
                        context.screen.finish()?;
                    }
                }
                Logged::Skipped(gone) => {
                    let message = format!("events {} to {} are not kept any more", gone.from, gone.to);
                    let hint = format!("`hive events --follow --after {}` begins behind them", gone.to);
                    return Err(Broken::End(Failure::new(Exit::NotFound, message).hint(hint)));
                }
            }
        }
        Ok(())
    }

    async fn refuse_another_log(&self, client: &Client) -> Result<(), Broken> {
        let system = client.system().await.map_err(Broken::Stream)?;
        if system.epoch == self.epoch {
            return Ok(());
        }
        let message =
            format!("the log is another one now: a backup was restored, after event {}", self.place);
        Err(Broken::End(Failure::new(Exit::Conflict, message).hint("`hive events --follow` begins anew")))
    }
}

/// Whether a restart of the hive, or a moment of quiet, may help.
fn is_passing(error: &Error) -> bool {
    super::task_wait::is_passing(error) || error.status() == Some(429)
}

fn print(context: &mut Context, event: &EventView, text: &str) -> std::io::Result<()> {
    if context.screen.is_json() {
        return context.screen.line(text);
    }
    let shown = line(event);
    context.screen.line_that_fits(&shown)
}

/// One event on one line, in the order of the table's columns.
fn line(event: &EventView) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let data = match event.data.get() {
        "{}" => String::new(),
        data => one_line(&compact(data)),
    };
    let shown = format!(
        "{:>6}  {}  {:<20}  {}  {}  {}  {}  {data}",
        event.seq,
        protocol::time::show(event.at),
        one_line(&event.kind),
        or_dash(event.task_id.map(|id| id.to_string())),
        or_dash(event.agent_id.map(|id| id.to_string())),
        or_dash(event.attempt.map(|attempt| attempt.to_string())),
        or_dash(event.queue.as_deref().map(one_line)),
    );
    shown.trim_end().to_owned()
}
