//! The coordinator: every write passes it, and it alone decides which agent gets what.
//!
//! Started by the root supervisor, permanent. A restart rebuilds its books from the projection and the store; what was
//! acknowledged is in the store, and claims under way come back through the inbox, which outlives it.
//!
//! Invariant: it decides, the writer commits, and only then anybody acts. It never waits for the store inside a
//! handler: answers go from the writer's thread to whoever asked.
//!
//! Messages: [`SubmitTask`], [`SubmitMany`], [`Apply`], [`Finish`], `ChangeKeys`, [`Offer`],
//! [`RefreshAgent`], [`RefreshQueues`], [`RestartAgent`],
//! [`AgentGivenUp`], [`Advance`]. Told
//! upward: nothing; what happened is in the events.

pub(crate) mod advance;
pub(crate) mod agent_given_up;
pub(crate) mod apply;
pub(crate) mod books;
pub(crate) mod change_keys;
pub(crate) mod dispatch;
mod entries;
pub(crate) mod finish;
pub(crate) mod offer;
pub(crate) mod recover;
pub(crate) mod refresh;
pub(crate) mod refresh_agent;
pub(crate) mod refresh_queues;
pub(crate) mod restart_agent;
pub(crate) mod submit_many;
pub(crate) mod submit_task;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::AgentId;
use supervision::{ActorRef, Behaviour, Context, Promise};

pub use advance::Advance;
pub use agent_given_up::AgentGivenUp;
pub use apply::Apply;
pub(crate) use entries::Origin;
pub use finish::Finish;
pub use offer::Offer;
pub use refresh_agent::RefreshAgent;
pub use refresh_queues::RefreshQueues;
pub use restart_agent::RestartAgent;
pub use submit_many::{SubmitMany, SubmittedMany};
pub use submit_task::SubmitTask;

use crate::shared::SharedRef;
use books::{Books, UnderWay};
use refresh::Refresh;

/// How often it looks at its inbox even when nobody woke it: a wake-up does not get through a full mailbox.
const TICK: Duration = Duration::from_millis(100);

/// See the module.
pub struct Coordinator {
    pub(crate) shared: SharedRef,
    pub(crate) books: Books,
    pub(crate) refreshes: HashMap<AgentId, Refresh>,
    pub(crate) queue_refresh: Refresh,
    /// Agents whose actors are being begun anew.
    pub(crate) restarting: HashSet<AgentId>,
    /// The last event that is in the books.
    pub(crate) seq: i64,
    /// Whether the books are whole, so that plans may be made.
    pub(crate) is_ready: bool,
    /// Counts recoveries: what an older one read is out of date.
    pub(crate) recovery: u64,
    pub(crate) turn: u64,
    /// Whether a plan comes behind what is in the mailbox.
    pub(crate) is_plan_due: bool,
    /// Agents whose offers are answered with the next plan.
    pub(crate) offers: Vec<(AgentId, Promise<UnderWay>)>,
}

impl Coordinator {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(shared: SharedRef) -> Self {
        Self {
            shared,
            books: Books::default(),
            refreshes: HashMap::new(),
            queue_refresh: Refresh::default(),
            restarting: HashSet::new(),
            seq: 0,
            is_ready: false,
            recovery: 0,
            turn: 0,
            is_plan_due: false,
            offers: Vec::new(),
        }
    }
}

impl Behaviour for Coordinator {
    const KIND: &'static str = "coordinator";
    /// As many as the writer's queue holds: beyond that, an answer would take longer than a caller should wait.
    const MAILBOX_CAPACITY: usize = 8_192;

    fn started(&mut self, cx: &mut Context<Self>) {
        self.recover(cx);
        cx.notify_later(Advance { is_tick: true }, TICK);
    }

    fn draining(&mut self, _: &mut Context<Self>) {
        self.answer_offers();
    }
}

/// Wakes the coordinator when commits or claims wait in its inbox.
pub(crate) fn wake(coordinator: &ActorRef<Coordinator>) -> impl FnOnce() -> bool {
    let coordinator = coordinator.clone();
    move || coordinator.tell(Advance { is_tick: false }).is_ok()
}

/// Pushes news for the coordinator from any thread.
pub(crate) fn push_news(
    shared: &Arc<crate::shared::Shared>,
    coordinator: &ActorRef<Coordinator>,
    news: crate::inbox::News,
) {
    shared.coordinator_inbox.push(news, wake(coordinator));
}
