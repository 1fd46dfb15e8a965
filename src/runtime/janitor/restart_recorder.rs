//! The janitor that writes restarts of actors into the log of events.

use std::sync::Arc;
use std::time::Duration;

use domain::EventKind;
use store::command::RecordSystemEvent;
use supervision::{ActorRef, Behaviour, Context, Failure, Handle, Registry, Reply};

use super::{Tick, apply};
use crate::coordinator::Coordinator;
use crate::shared::{Phase, SharedRef};

/// How often it looks at the registry; in memory.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most restarts that one look writes down: a crash loop must not fill the log.
const RECORDS_MAX: usize = 20;
/// Longest error text in an event, in characters; `data` holds 512 bytes.
const TEXT_CHARS_MAX: usize = 80;

/// See the module.
pub struct RestartRecorder {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    registry: Registry,
    last: Option<Failure>,
}

impl RestartRecorder {
    /// One that has recorded everything so far.
    #[must_use]
    pub fn new(shared: SharedRef, coordinator: ActorRef<Coordinator>, registry: Registry) -> Self {
        Self { shared, coordinator, registry, last: None }
    }

    /// Failures since the last look, oldest first.
    fn news(&self) -> Vec<Failure> {
        let mut fresh: Vec<Failure> = self
            .registry
            .recent_failures()
            .into_iter()
            .take_while(|failure| Some(failure) != self.last.as_ref())
            .take(RECORDS_MAX)
            .collect();
        fresh.reverse();
        fresh
    }
}

#[derive(serde::Serialize)]
struct Told<'a> {
    actor: &'a str,
    kind: &'a str,
    incarnation: u64,
    consequence: supervision::Consequence,
    error: String,
}

fn told(failure: &Failure) -> Arc<str> {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let told = Told {
        actor: &cut(&failure.path, TEXT_CHARS_MAX),
        kind: failure.kind,
        incarnation: failure.incarnation,
        consequence: failure.consequence,
        error: cut(&failure.text, TEXT_CHARS_MAX),
    };
    serde_json::to_string(&told).unwrap_or_else(|_| "{}".to_owned()).into()
}

impl Behaviour for RestartRecorder {
    const KIND: &'static str = "janitor";
    /// Its own ticks come past the mailbox; nobody else writes to it.
    const MAILBOX_CAPACITY: usize = 1;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify_later(Tick, INTERVAL);
    }
}

impl Handle<Tick> for RestartRecorder {
    fn handle(&mut self, tick: Tick, cx: &mut Context<Self>) -> Reply<()> {
        cx.notify_later(tick, INTERVAL);
        if self.shared.phase() == Phase::Serving {
            for failure in self.news() {
                let record =
                    RecordSystemEvent { kind: EventKind::SystemActorRestarted, data: told(&failure) };
                // An event that gets lost here is still in the log file.
                cx.spawn(apply(self.coordinator.clone(), record), |_, _, _| {});
                self.last = Some(failure);
            }
        }
        Reply::Now(())
    }
}
