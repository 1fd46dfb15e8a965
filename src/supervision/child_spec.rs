//! How one actor is started, restarted and stopped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::channel::channel;
use actix::{Addr, Context as ActixContext};

use crate::cell::{Body, Cell, Factory};
use crate::entry::Entry;
use crate::mailbox::Mailbox;
use crate::node::{Exit, Node, Orders, Seat, Startable};
use crate::slot::Slot;
use crate::work::WorkSet;
use crate::{ActorRef, Behaviour, Home, StartError};

/// The time a child has to end by itself, unless its spec says otherwise.
pub(crate) const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// Whether an ended child begins a new incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Always: it should never end.
    #[default]
    Permanent,
    /// After a failure only: it may finish its task.
    Transient,
    /// Never.
    Temporary,
}

impl Restart {
    pub(crate) fn is_due(self, exit: &Exit) -> bool {
        match (self, exit) {
            (Self::Permanent, Exit::Normal | Exit::Failed(_)) | (Self::Transient, Exit::Failed(_)) => true,
            (Self::Temporary | Self::Transient, _) | (Self::Permanent, Exit::Suspended | Exit::Stopped) => {
                false
            }
        }
    }
}

/// How to start an actor and what to do when it ends. Permanent, with five seconds of grace, on its supervisor's
/// arbiter, unless said otherwise.
pub struct ChildSpec<B: Behaviour> {
    id: Arc<str>,
    factory: Factory<B>,
    restart: Restart,
    grace: Duration,
    home: Option<Home>,
    slot: Arc<Slot<Mailbox<B>>>,
}

impl<B: Behaviour> ChildSpec<B> {
    /// An actor called `id` among its siblings, whose every incarnation is built by `factory`.
    ///
    /// The factory runs on the actor's arbiter, so the behaviour itself need not be `Send`. It must not block.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>, factory: impl Fn() -> B + Send + Sync + 'static) -> Self {
        let id = id.into();
        Self {
            slot: Slot::new(Arc::clone(&id)),
            id,
            factory: Arc::new(factory),
            restart: Restart::default(),
            grace: DEFAULT_GRACE,
            home: None,
        }
    }

    /// Whether it is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long a stop waits for what is under way. Zero: not at all.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Which arbiter it lives on, if not its supervisor's.
    #[must_use]
    pub fn on(mut self, home: &Home) -> Self {
        self.home = Some(home.clone());
        self
    }

    /// A reference to the actor, good even before it is started: so actors can know each other.
    #[must_use]
    pub fn actor_ref(&self) -> ActorRef<B> {
        ActorRef::new(Arc::clone(&self.slot))
    }
}

impl<B: Behaviour> Startable for ChildSpec<B> {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn restart(&self) -> Restart {
        self.restart
    }

    fn grace(&self) -> Duration {
        self.grace
    }

    fn start(&self, seat: Seat) -> Result<Arc<dyn Node>, StartError> {
        let home = self.home.as_ref().unwrap_or(&seat.home);
        // Unbounded, because the gate is the bound.
        let (sender, receiver) = channel::<Cell<B>>(0);
        let earlier = self.slot.get();
        let entry = Entry::new(seat.trail, Arc::clone(&self.id), B::KIND, B::MAILBOX_CAPACITY)
            .on(home)
            .after(earlier.as_ref().map(|earlier| &earlier.entry));
        let mailbox = Arc::new(Mailbox { entry, addr: Addr::new(sender), orders: Orders::default() });
        // Before the cell begins, for its first act may be to use the reference to itself.
        self.slot.put(Arc::clone(&mailbox));
        let slot = Arc::clone(&self.slot);
        let inside = Arc::clone(&mailbox);
        let (factory, restart, owner, registry) =
            (Arc::clone(&self.factory), self.restart, seat.owner, seat.registry.clone());
        let is_started = home.run(move || {
            let body = Body { slot, mailbox: inside, work: WorkSet::new(), wish: None };
            let cell = Cell::new(body, factory, restart, owner, registry);
            spawn(ActixContext::with_receiver(receiver).into_future(cell));
        });
        if !is_started {
            mailbox.entry.gate.close();
            return Err(StartError::NoThread { path: mailbox.entry.path() });
        }
        let node: Arc<dyn Node> = mailbox;
        seat.registry.register(&node);
        Ok(node)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where a supervised actor begins to run")]
fn spawn(cell: impl Future<Output = ()> + 'static) {
    actix_rt::spawn(cell);
}

impl<B: Behaviour> fmt::Debug for ChildSpec<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}
