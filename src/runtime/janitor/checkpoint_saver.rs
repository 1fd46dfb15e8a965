//! The janitor that stores the projection now and then, so that the next start has little to fold.

use std::time::Duration;

use supervision::{ActorRef, Behaviour, Context, Handle, Reply};
use tokio::time::Instant;

use super::{Tick, apply};
use crate::coordinator::Coordinator;
use crate::shared::{Phase, SharedRef};

/// How often it compares; in memory.
const INTERVAL: Duration = Duration::from_secs(1);
/// Saves when this much time has passed and anything happened.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Saves when this many events have come: folding them takes a start some 50 ms.
const SAVE_EVENTS: i64 = 20_000;

/// See the module.
pub struct CheckpointSaver {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    saved_seq: i64,
    saved_at: Instant,
    is_saving: bool,
}

impl CheckpointSaver {
    /// One that takes the present as saved.
    #[must_use]
    pub fn new(shared: SharedRef, coordinator: ActorRef<Coordinator>) -> Self {
        let saved_seq = shared.feed.seq();
        Self { shared, coordinator, saved_seq, saved_at: Instant::now(), is_saving: false }
    }

    fn is_due(&self) -> bool {
        let events = self.shared.feed.seq() - self.saved_seq;
        events >= SAVE_EVENTS || (events > 0 && self.saved_at.elapsed() >= SAVE_EVERY)
    }

    fn save(&mut self, cx: &mut Context<Self>) {
        let Ok(checkpoint) = self.shared.feed.checkpoint() else { return };
        let seq = checkpoint.seq;
        self.is_saving = true;
        cx.spawn(apply(self.coordinator.clone(), checkpoint), move |saver, saved, _| {
            saver.is_saving = false;
            saver.saved_at = Instant::now();
            if saved.is_ok() {
                saver.saved_seq = seq;
            }
        });
    }
}

impl Behaviour for CheckpointSaver {
    const KIND: &'static str = "janitor";
    /// Its own ticks come past the mailbox; nobody else writes to it.
    const MAILBOX_CAPACITY: usize = 1;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify_later(Tick, INTERVAL);
    }
}

impl Handle<Tick> for CheckpointSaver {
    fn handle(&mut self, tick: Tick, cx: &mut Context<Self>) -> Reply<()> {
        cx.notify_later(tick, INTERVAL);
        if !self.is_saving && self.shared.phase() == Phase::Serving && self.is_due() {
            self.save(cx);
        }
        Reply::Now(())
    }
}
