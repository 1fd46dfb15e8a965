//! Where the monitor's news come from: a session that is taken up again where it broke, and what is asked in it.
//!
//! Invariant: the place to resume from is one up to which everything has come: that of an event, of totals or of a snapshot.

use std::time::Duration;

use client::{Client, Error, Session};
use protocol::SystemView;
use protocol::live::client::Place;
use protocol::live::frame::{Body, Frame};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::failure::Failure;
use crate::pause::Pause;

/// What is watched.
const TOPICS: [&str; 5] = ["agents", "alerts", "coordination", "system", "tasks"];
/// How long after an event the lists are asked for: many events cost one question.
const REFRESH: Duration = Duration::from_millis(400);
/// Close codes after which coming back would be of no use: the token, the role or an operator is against it.
const REFUSALS: [u16; 2] = [4401, 4403];

/// What there is to tell.
#[derive(Debug)]
pub enum News {
    /// A session begins; so the hive is now.
    Connected(Box<SystemView>),
    /// It said this.
    Frame(Box<Frame>),
    /// There is no session, and why; it is tried again.
    Away(String),
}

/// The session, or the way to it.
#[derive(Debug)]
pub struct Source {
    client: Client,
    session: Option<Session>,
    place: Option<Place>,
    pause: Pause,
    /// When to try again.
    due_at: Option<Instant>,
    /// When to ask for the lists.
    ask_at: Option<Instant>,
}

impl Source {
    /// Not connected yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, session: None, place: None, pause: Pause::default(), due_at: None, ask_at: None }
    }

    /// What comes next; waits for it.
    ///
    /// # Errors
    /// A [`Failure`] when the hive does not let the monitor in any more.
    pub async fn next(&mut self) -> Result<News, Failure> {
        loop {
            if let Some(session) = &mut self.session {
                let ask_at = self.ask_at;
                let asking = async {
                    match ask_at {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                let heard = tokio::select! {
                    frame = session.next() => frame.map(Some),
                    () = asking => {
                        self.ask_at = None;
                        ask(session).await.map(|()| None)
                    }
                };
                match heard {
                    Ok(Some(frame)) => {
                        self.take(&frame);
                        return Ok(News::Frame(Box::new(frame)));
                    }
                    Ok(None) => {}
                    Err(error) => return self.away(error),
                }
            } else {
                if let Some(at) = self.due_at.take() {
                    sleep_until(at).await;
                }
                match self.connect().await {
                    Ok(system) => return Ok(News::Connected(Box::new(system))),
                    Err(error) => return self.away(error),
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<SystemView, Error> {
        let session = self.client.watch(&TOPICS, self.place.as_ref()).await?;
        let system = self.client.system().await?.into_value();
        self.session = Some(session);
        self.ask_at = Some(Instant::now());
        Ok(system)
    }

    fn away(&mut self, error: Error) -> Result<News, Failure> {
        self.session = None;
        self.due_at = Instant::now().checked_add(self.pause.grow());
        let why = error.to_string();
        match &error {
            Error::Ended { code: Some(code), .. } if REFUSALS.contains(code) => Err(error.into()),
            Error::Problem { problem, .. } if matches!(problem.status, 401 | 403) => Err(error.into()),
            Error::Unusable { .. } => Err(error.into()),
            Error::Unreachable { .. }
            | Error::Ended { .. }
            | Error::Problem { .. }
            | Error::Unexpected { .. } => Ok(News::Away(why)),
        }
    }

    /// Keeps the place, and sees whether the lists have changed.
    fn take(&mut self, frame: &Frame) {
        let is_event = matches!(
            frame.body,
            Body::AgentEvent(_) | Body::TaskEvent(_) | Body::CoordinationEvent(_) | Body::SystemEvent(_)
        );
        if is_event || matches!(frame.body, Body::EventsSkipped { .. }) {
            self.ask_at.get_or_insert_with(|| Instant::now() + REFRESH);
        }
        if let Some(place) = place(&frame.body) {
            self.place = Some(place);
            self.pause = Pause::default();
        }
    }
}

/// The place up to which everything has come with this frame.
#[must_use]
pub fn place(body: &Body) -> Option<Place> {
    let (epoch, offset) = match body {
        Body::DashboardInitialized { epoch, offset, .. } => (epoch, offset),
        Body::AgentUpdate(update) => (&update.epoch, &update.offset),
        Body::CoordinationUpdate(update) => (&update.epoch, &update.offset),
        Body::TaskUpdate(update) => (&update.epoch, &update.offset),
        Body::SystemUpdate(update) => (&update.epoch, &update.offset),
        Body::AgentEvent(told)
        | Body::TaskEvent(told)
        | Body::CoordinationEvent(told)
        | Body::SystemEvent(told)
        | Body::ProjectIndexEvent(told) => (&told.epoch, &told.offset),
        // That of the first frame is where the log stands, not what was seen of it.
        _ => return None,
    };
    Some(Place { epoch: epoch.clone(), offset: *offset })
}

async fn ask(session: &mut Session) -> Result<(), Error> {
    session.ask("agent_status", &json!({})).await?;
    session.ask("coordination_metrics", &json!({})).await?;
    session.ask("task_list", &json!({"state": "working", "limit": 100})).await
}
