//! How a supervisor treats its children, and which it has from the start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::node::{Node, Seat, Startable};
use crate::slot::Slot;
use crate::supervisor::SupervisorNode;
use crate::{
    Backoff, Behaviour, ChildSpec, Home, Intensity, OnExhausted, Restart, StartError, SupervisorRef,
    ThreadSpec,
};

/// A supervisor's children have their own graces; this only bounds a supervisor whose arbiter is stalled.
const DEFAULT_SUPERVISOR_GRACE: Duration = Duration::from_secs(60);

/// More children than any hive has tasks and sessions; a leak meets it before memory ends.
const DEFAULT_MAX_CHILDREN: usize = 1_000_000;

/// Who is restarted when a child fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The child alone. The only strategy that takes children at run time.
    #[default]
    OneForOne,
    /// All children: they are ended in reverse order and begun again in order.
    OneForAll,
    /// The child and those started after it.
    RestForOne,
}

/// A child that failed too often and was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its id among its siblings, free again.
    pub id: Arc<str>,
    /// Its path.
    pub path: Arc<str>,
    /// Its last error.
    pub text: Arc<str>,
    /// How often it had been restarted.
    pub restarts: u64,
}

/// What is told about a child given up.
pub(crate) type OnGiveUp = Arc<dyn Fn(GivenUp) + Send + Sync>;

/// The part of a spec that does not change while children come and go.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: Intensity,
    pub(crate) on_exhausted: OnExhausted,
    pub(crate) backoff: Backoff,
    pub(crate) on_give_up: Option<OnGiveUp>,
    pub(crate) max_children: usize,
}

/// A supervisor: one_for_one, permanent, three restarts in five seconds, then it escalates, unless said otherwise.
pub struct SupervisorSpec {
    pub(crate) id: Arc<str>,
    pub(crate) plan: Plan,
    pub(crate) children: Vec<Arc<dyn Startable>>,
    pub(crate) slot: Arc<Slot<SupervisorNode>>,
    restart: Restart,
    grace: Duration,
    home: Option<Home>,
}

impl SupervisorSpec {
    /// A supervisor called `id` among its siblings.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        let id = id.into();
        Self {
            slot: Slot::new(Arc::clone(&id)),
            id,
            plan: Plan {
                strategy: Strategy::default(),
                intensity: Intensity::default(),
                on_exhausted: OnExhausted::default(),
                backoff: Backoff::default(),
                on_give_up: None,
                max_children: DEFAULT_MAX_CHILDREN,
            },
            children: Vec::new(),
            restart: Restart::default(),
            grace: DEFAULT_SUPERVISOR_GRACE,
            home: None,
        }
    }

    /// Who is restarted when a child fails.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.plan.strategy = strategy;
        self
    }

    /// How many restarts within which period are borne.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.plan.intensity = intensity;
        self
    }

    /// What happens when there are more.
    #[must_use]
    pub fn on_exhausted(mut self, on_exhausted: OnExhausted) -> Self {
        self.plan.on_exhausted = on_exhausted;
        self
    }

    /// How long a failed child waits for its restart.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.plan.backoff = backoff;
        self
    }

    /// Called on the supervisor's arbiter when a child was given up, after it is gone. Must not block.
    #[must_use]
    pub fn on_give_up(mut self, on_give_up: impl Fn(GivenUp) + Send + Sync + 'static) -> Self {
        self.plan.on_give_up = Some(Arc::new(on_give_up));
        self
    }

    /// At most so many children, static ones included. One million unless said otherwise.
    #[must_use]
    pub fn max_children(mut self, max_children: usize) -> Self {
        self.plan.max_children = max_children;
        self
    }

    /// Whether the supervisor itself is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long its own supervisor waits for it; its children have their own graces within.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Which arbiter it and its children live on, if not its supervisor's.
    #[must_use]
    pub fn on(mut self, home: &Home) -> Self {
        self.home = Some(home.clone());
        self
    }

    /// Adds an actor. The order of adding is the order of starting.
    #[must_use]
    pub fn child<B: Behaviour>(mut self, child: ChildSpec<B>) -> Self {
        self.children.push(Arc::new(child));
        self
    }

    /// Adds a thread.
    #[must_use]
    pub fn thread(mut self, thread: ThreadSpec) -> Self {
        self.children.push(Arc::new(thread));
        self
    }

    /// Adds a supervisor below this one.
    #[must_use]
    pub fn supervisor(mut self, supervisor: Self) -> Self {
        self.children.push(Arc::new(supervisor));
        self
    }

    /// A reference to the supervisor, good even before it is started.
    #[must_use]
    pub fn supervisor_ref(&self) -> SupervisorRef {
        SupervisorRef::new(Arc::clone(&self.slot))
    }
}

impl Startable for SupervisorSpec {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn restart(&self) -> Restart {
        self.restart
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    fn start(&self, mut seat: Seat) -> Result<Arc<dyn Node>, StartError> {
        if let Some(home) = &self.home {
            seat.home = home.clone();
        }
        let node = SupervisorNode::start(self, seat, None)?;
        Ok(node)
    }
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("id", &self.id)
            .field("strategy", &self.plan.strategy)
            .finish_non_exhaustive()
    }
}
