//! `GET /tasks/{id}/output?follow=true`: what the attempts write, as they write it.
//!
//! ```text
//!   stored pieces, a few at a time --> sent --> nothing new? --> task terminal? --yes--> `event: end`
//!        ^------------- news of the attempt, or a second -----------no-'
//! ```
//!
//! Invariant: `end` is sent when the task was terminal before the last look at its output, so that nothing is left out.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Bytes;
use domain::{TaskId, TaskState};
use protocol::output_stream::OutputPlace;
use protocol::{OutputEnd, OutputEvent};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::answer::Answer;
use crate::path::Named;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::sse::{self, Listener, Source};
use crate::state::Hive;
use crate::views;

/// Pieces of one read: 256 KiB of text at most, and a writer of lines fills none of them.
const PIECES_MAX: u32 = 4;
/// How often the store is asked where nothing tells of news: the attempt runs elsewhere, none does, or the task ended.
const LOOK: Duration = Duration::from_secs(1);

/// Answers with the stream.
///
/// # Errors
/// [`Problem`]: no such task, or as many streams as there may be.
pub(crate) async fn follow(
    hive: Hive,
    principal: &Principal,
    http: &HttpRequest,
    id: &Named<TaskId>,
    after: Option<OutputPlace>,
) -> Answer {
    if hive.readers.output(principal.tenant(), id.0, (0, 0), 1).await?.is_none() {
        return Err(id.not_found());
    }
    let source = Output {
        task: id.0,
        place: after.unwrap_or_default(),
        news: hive.runtime.follow_output(id.0),
        look_at: Instant::now(),
        ended: None,
        is_over: false,
    };
    sse::answer(&hive, principal, http, source)
}

/// The output of a task behind a place.
struct Output {
    task: TaskId,
    /// Of the piece that was sent last.
    place: OutputPlace,
    /// Tells of output as it is stored, while an attempt runs here.
    news: Option<watch::Receiver<u64>>,
    /// When the store is asked next, whether there is news or not.
    look_at: Instant,
    /// How the task ended, once it is seen to have ended.
    ended: Option<TaskState>,
    is_over: bool,
}

impl Source for Output {
    /// The next pieces, or the end.
    async fn look(&mut self, listener: &Listener) -> Result<Option<Bytes>, Problem> {
        let tenant = listener.principal.tenant();
        self.look_at = Instant::now() + LOOK;
        loop {
            if let Some(pieces) = self.pieces(listener).await? {
                return Ok(Some(pieces));
            }
            let mut bytes = Vec::new();
            if let Some(state) = self.ended {
                self.is_over = true;
                OutputEvent::End(OutputEnd { state }).write(&mut bytes)?;
                return Ok(Some(bytes.into()));
            }
            let gone = || Problem::not_found("task", self.task);
            let state = listener.hive.readers.state(tenant, self.task).await?.ok_or_else(gone)?;
            if !state.is_terminal() {
                return Ok(None);
            }
            // It may have written between the two reads: one more look, then the end.
            self.ended = Some(state);
        }
    }

    async fn news(&mut self, listener: &Listener) {
        if let Some(news) = &mut self.news {
            tokio::select! {
                changed = news.changed() => if changed.is_err() {
                    // The attempt has ended. Its successor is asked for at the end of the next wait, not at once.
                    self.news = None;
                },
                () = sleep_until(self.look_at) => {}
            }
            return;
        }
        sleep_until(self.look_at).await;
        self.news = listener.hive.runtime.follow_output(self.task);
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Output {
    async fn pieces(&mut self, listener: &Listener) -> Result<Option<Bytes>, Problem> {
        let (tenant, after) = (listener.principal.tenant(), (self.place.attempt, self.place.chunk));
        let found = listener.hive.readers.output(tenant, self.task, after, PIECES_MAX).await?;
        let found = found.ok_or_else(|| Problem::not_found("task", self.task))?;
        let mut bytes = Vec::new();
        for piece in found.into_iter().map(views::output) {
            self.place = piece.place();
            OutputEvent::Output(piece).write(&mut bytes)?;
        }
        Ok((!bytes.is_empty()).then(|| bytes.into()))
    }
}
