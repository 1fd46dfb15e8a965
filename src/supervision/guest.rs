//! A child that something else runs: a session lives in its connection's own task, and that task polls it.
//!
//! The supervisor sees it, lists it and can ask it to end; it never begins it again. How it ends it says by dropping its
//! [`Guest`]: normally, or by a panic.
//!
//! **Invariant:** a guest has exactly one exit, told by the drop of its [`Guest`], whatever ended what held it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::entry::{ActorState, Entry};
use crate::node::{Exit, Node, Owner, Seat, Startable};
use crate::{Restart, StartError, SupervisorRef};

/// How long a stop waits for a guest. What stays is reported and left behind.
const GRACE: Duration = Duration::from_secs(1);

/// What is called when a guest is to end.
type OnStop = Arc<dyn Fn() + Send + Sync>;

/// How a guest is called and how it hears that it is to end. Always temporary.
pub struct GuestSpec {
    id: Arc<str>,
    kind: &'static str,
    on_stop: OnStop,
    seated: Mutex<Option<(Arc<GuestNode>, Owner)>>,
}

impl GuestSpec {
    /// A guest called `id` among its siblings. `on_stop` is called, from any thread, when it is to end; it must neither
    /// block nor call a supervisor.
    #[must_use]
    pub fn new(
        id: impl Into<Arc<str>>,
        kind: &'static str,
        on_stop: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { id: id.into(), kind, on_stop: Arc::new(on_stop), seated: Mutex::new(None) }
    }
}

impl Startable for GuestSpec {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn restart(&self) -> Restart {
        Restart::Temporary
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    fn start(&self, seat: Seat) -> Result<Arc<dyn Node>, StartError> {
        let entry = Entry::new(seat.trail, Arc::clone(&self.id), self.kind, 0).on(&seat.home);
        let node = Arc::new(GuestNode { entry, on_stop: Arc::clone(&self.on_stop) });
        node.entry.begin_incarnation();
        *self.seated.lock() = Some((Arc::clone(&node), seat.owner));
        let node: Arc<dyn Node> = node;
        seat.registry.register(&node);
        Ok(node)
    }
}

impl SupervisorRef {
    /// Takes in a child that runs elsewhere. It counts as running until the returned [`Guest`] is dropped.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn host(&self, spec: &GuestSpec) -> Result<Guest, StartError> {
        self.start_startable(spec)?;
        let seated = spec.seated.lock().take();
        let (node, owner) = seated.ok_or_else(|| StartError::NotRunning { path: self.path() })?;
        Ok(Guest { node, owner })
    }
}

/// The place of a guest in the tree; held by what it is about.
pub struct Guest {
    node: Arc<GuestNode>,
    owner: Owner,
}

impl Guest {
    /// Where it is in the tree.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.node.entry.path()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let exit = if std::thread::panicking() {
            let text: Arc<str> = Arc::from("panicked");
            self.node.entry.set_error(&text);
            self.node.entry.set_state(ActorState::Failed);
            Exit::Failed(text)
        } else {
            self.node.entry.set_state(ActorState::Stopped);
            Exit::Normal
        };
        self.owner.tell(exit, true, Vec::new());
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guest").field(&self.path()).finish()
    }
}

struct GuestNode {
    entry: Entry,
    on_stop: OnStop,
}

impl Node for GuestNode {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn restart(&self) {
        // Temporary: nobody orders it.
    }

    fn suspend(&self, is_forced: bool) {
        self.stop(is_forced);
    }

    fn stop(&self, _is_forced: bool) {
        self.entry.set_state(ActorState::Stopping);
        (self.on_stop)();
    }

    fn can_be_forced(&self) -> bool {
        false
    }

    fn poke(&self) {
        // What runs it decides when it is polled.
    }
}
