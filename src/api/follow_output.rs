//! `GET /tasks/{id}/output?follow=true`: what the attempts write, as they write it.
//!
//! ```text
//!   stored pieces, a few at a time --> sent --> nothing new? --> task terminal? --yes--> `event: end`
//!        ^------------- news of the attempt, or a second -----------no-'
//! ```
//!
//! Invariant: a piece is read when the client has taken the one before it; a client that does not read costs one read's
//! worth of memory and nothing more.
//!
//! Invariant: `end` is sent when the task was terminal before the last look at its output, so that nothing is left out.
//!
//! Invariant: a drain ends every stream that is read; it does not wait for the task.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use domain::{TaskId, TaskState};
use futures_util::Stream;
use futures_util::stream::unfold;
use protocol::output_stream::{BEAT, MEDIA_TYPE, OutputPlace};
use protocol::{OutputEnd, OutputEvent};
use runtime::Phase;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::answer::Answer;
use crate::in_flight::Streaming;
use crate::path::Named;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::state::Hive;
use crate::views;

/// Where a client that lost its stream goes on, source:
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id>.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// Tells nginx to hand on every event at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Pieces of one read: 256 KiB of text at most, and a writer of lines fills none of them.
const PIECES_MAX: u32 = 4;
/// How often the store is asked where nothing tells of news: the attempt runs elsewhere, none does, or the task ended.
const LOOK: Duration = Duration::from_secs(1);
/// How often a stream that waits looks whether the hive drains; as long may it hold up a stop.
const PHASE_LOOK: Duration = Duration::from_millis(100);

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
    let place = after.unwrap_or_default();
    if hive.readers.output(principal.tenant(), id.0, (0, 0), 1).await?.is_none() {
        return Err(id.not_found());
    }
    let streaming = hive.in_flight.begin_stream(hive.settings.follows_max).ok_or(Problem::Overloaded)?;
    let mut answer = HttpResponse::Ok();
    answer.content_type(MEDIA_TYPE);
    answer.insert_header((CACHE_CONTROL, "no-store"));
    answer.insert_header((ACCEL_BUFFERING, "no"));
    if http.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let follow = Follow {
        news: hive.runtime.follow_output(id.0),
        hive,
        principal: principal.clone(),
        task: id.0,
        place,
        ended: None,
        is_over: false,
        spoke_at: Instant::now(),
        _streaming: streaming,
    };
    Ok(answer.streaming(follow.into_stream()))
}

/// A browser that lost its stream asks for the same address again, so this place is later than the address's.
///
/// # Errors
/// When it is not the id of an event, also where nothing is followed.
pub(crate) fn last_event(http: &HttpRequest) -> Result<Option<OutputPlace>, Problem> {
    let Some(value) = http.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let place = value.to_str().ok().and_then(|text| text.parse().ok());
    place.map(Some).ok_or_else(|| Problem::invalid(LAST_EVENT_ID, "is not the id of an event of this stream"))
}

/// One stream.
struct Follow {
    hive: Hive,
    principal: Principal,
    task: TaskId,
    /// Of the piece that was sent last.
    place: OutputPlace,
    /// Tells of output as it is stored, while an attempt runs here.
    news: Option<watch::Receiver<u64>>,
    /// How the task ended, once it is seen to have ended.
    ended: Option<TaskState>,
    is_over: bool,
    /// When something was sent last.
    spoke_at: Instant,
    /// Counts it until it is dropped.
    _streaming: Streaming,
}

impl Follow {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Problem>> {
        unfold(self, async |mut follow| {
            let bytes = follow.next().await?;
            follow.spoke_at = Instant::now();
            Some((Ok(bytes), follow))
        })
    }

    /// What is sent next; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.is_over
            && self.hive.runtime.phase() != Phase::Draining
            && self.principal.still_opens(&self.hive)
        {
            match self.look().await {
                Ok(Some(bytes)) => return Some(bytes),
                Ok(None) => {
                    if let Some(beat) = self.wait().await {
                        return Some(beat);
                    }
                }
                Err(problem) => {
                    // The head is sent: all that can be done is to end; the client asks again and is told then.
                    tracing::warn!(task.id = %self.task, error = problem.cause(), "a stream of output ended early");
                    return None;
                }
            }
        }
        None
    }

    /// The next pieces, or the end; `None` while there is neither.
    async fn look(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            if let Some(pieces) = self.pieces().await? {
                return Ok(Some(pieces));
            }
            let mut bytes = Vec::new();
            if let Some(state) = self.ended {
                self.is_over = true;
                OutputEvent::End(OutputEnd { state }).write(&mut bytes)?;
                return Ok(Some(bytes.into()));
            }
            let gone = || Problem::not_found("task", self.task);
            let state =
                self.hive.readers.state(self.principal.tenant(), self.task).await?.ok_or_else(gone)?;
            if !state.is_terminal() {
                return Ok(None);
            }
            // It may have written between the two reads: one more look, then the end.
            self.ended = Some(state);
        }
    }

    async fn pieces(&mut self) -> Result<Option<Bytes>, Problem> {
        let after = (self.place.attempt, self.place.chunk);
        let found = self.hive.readers.output(self.principal.tenant(), self.task, after, PIECES_MAX).await?;
        let found = found.ok_or_else(|| Problem::not_found("task", self.task))?;
        let mut bytes = Vec::new();
        for piece in found.into_iter().map(views::output) {
            self.place = piece.place();
            OutputEvent::Output(piece).write(&mut bytes)?;
        }
        Ok((!bytes.is_empty()).then(|| bytes.into()))
    }

    /// Waits for news, for the time of the next look, or for the drain; a beat when it was silent for long.
    async fn wait(&mut self) -> Option<Bytes> {
        let look_at = Instant::now() + LOOK;
        while Instant::now() < look_at && self.hive.runtime.phase() != Phase::Draining {
            if self.spoke_at.elapsed() >= self.hive.settings.follow_beat {
                return Some(Bytes::from_static(BEAT.as_bytes()));
            }
            let Some(news) = &mut self.news else {
                sleep(PHASE_LOOK).await;
                continue;
            };
            tokio::select! {
                changed = news.changed() => {
                    if changed.is_err() {
                        // The attempt has ended. Its successor is asked for at the end of the next wait, not at once.
                        self.news = None;
                    }
                    return None;
                }
                () = sleep(PHASE_LOOK) => {}
            }
        }
        if self.news.is_none() {
            self.news = self.hive.runtime.follow_output(self.task);
        }
        None
    }
}
