//! The outside of a supervisor: references, starting, shutdown, and the root of a tree.

use std::fmt;
use std::sync::Arc;

use actix::dev::channel::channel;
use actix::{Addr, Context as ActixContext};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::entry::{ActorState, Entry, Trail};
use crate::node::{ExitLine, Node, Order, Owner, Seat, Startable};
use crate::slot::Slot;
use crate::supervisor_actor::{Look, Obey, Shutdown, StopChild, SupervisorActor};
use crate::supervisor_spec::Plan;
use crate::table::{Child, ChildState, Phase, Table};
use crate::{
    ActorRef, Behaviour, ChildSpec, Home, Registry, StartError, StopOutcome, Strategy, SupervisorSpec,
};

/// A started supervisor. Everything that changes is in the table, so that children can be started from any thread
/// without a message.
pub(crate) struct SupervisorNode {
    pub(crate) entry: Entry,
    pub(crate) plan: Plan,
    pub(crate) owner: Owner,
    pub(crate) registry: Registry,
    pub(crate) table: Mutex<Table>,
    /// Where the root tells that it failed.
    pub(crate) failure: Option<watch::Sender<Option<Arc<str>>>>,
    trail: Arc<Trail>,
    home: Home,
}

impl SupervisorNode {
    pub(crate) fn start(
        spec: &SupervisorSpec,
        seat: Seat,
        failure: Option<watch::Sender<Option<Arc<str>>>>,
    ) -> Result<Arc<Self>, StartError> {
        check_id(&spec.id)?;
        let Seat { trail, owner, home, registry } = seat;
        let (sender, receiver) = channel::<SupervisorActor>(0);
        let earlier = spec.slot.get();
        let node = Arc::new(Self {
            entry: Entry::new(trail.clone(), Arc::clone(&spec.id), "supervisor", 0)
                .on(&home)
                .after(earlier.as_ref().map(|earlier| &earlier.entry)),
            plan: spec.plan.clone(),
            owner,
            registry: registry.clone(),
            table: Mutex::new(Table::new(Arc::new(ExitLine { addr: Addr::new(sender) }))),
            failure,
            trail: Arc::new(Trail { parent: trail, segment: Arc::clone(&spec.id) }),
            home: home.clone(),
        });
        let registered: Arc<dyn Node> = Arc::<Self>::clone(&node);
        registry.register(&registered);
        if node.entry.begin_incarnation() {
            registry.count_restart(node.entry.kind);
        }
        let started = {
            let mut table = node.table.lock();
            spec.children
                .iter()
                .try_for_each(|child| node.adopt(&mut table, child.as_ref(), Some(child)).map(drop))
        };
        let inside = Arc::clone(&node);
        let is_spawned = started.is_ok()
            && home.run(move || {
                spawn(ActixContext::with_receiver(receiver).into_future(SupervisorActor::new(inside)))
            });
        if !is_spawned {
            node.abandon();
            return Err(started.err().unwrap_or_else(|| StartError::NoThread { path: node.entry.path() }));
        }
        spec.slot.put(Arc::clone(&node));
        Ok(node)
    }

    /// Starts a child and enters it into the table.
    pub(crate) fn adopt(
        &self,
        table: &mut Table,
        spec: &dyn Startable,
        keep: Option<&Arc<dyn Startable>>,
    ) -> Result<Arc<dyn Node>, StartError> {
        check_id(spec.id())?;
        if table.children.len() >= self.plan.max_children {
            return Err(StartError::Full { path: self.entry.path(), max: self.plan.max_children });
        }
        if let Some(key) = table.ids.get(spec.id()) {
            let path = table
                .children
                .get(key)
                .map_or_else(|| Arc::clone(spec.id()), |child| child.node.entry().path());
            return Err(StartError::AlreadyStarted { path });
        }
        let key = table.next_key();
        let node = spec.start(self.seat(table, key))?;
        let child = Child {
            node: Arc::clone(&node),
            spec: keep.cloned(),
            restart: spec.restart(),
            grace: spec.grace(),
            state: ChildState::Running,
            is_gone: false,
            record: None,
            stop_waiters: Vec::new(),
        };
        table.insert(key, Arc::clone(spec.id()), child);
        Ok(node)
    }

    /// The place of the child `key`.
    pub(crate) fn seat(&self, table: &Table, key: u64) -> Seat {
        Seat {
            trail: Some(Arc::clone(&self.trail)),
            owner: Owner { line: Some(Arc::clone(&table.line)), key },
            home: self.home.clone(),
            registry: self.registry.clone(),
        }
    }

    fn start_dynamic(&self, spec: &dyn Startable) -> Result<(), StartError> {
        if self.plan.strategy != Strategy::OneForOne {
            return Err(StartError::NotDynamic { path: self.entry.path() });
        }
        let mut table = self.table.lock();
        if table.phase != Phase::Running {
            return Err(StartError::NotRunning { path: self.entry.path() });
        }
        self.adopt(&mut table, spec, None).map(drop)
    }

    /// Lets go of all children at once: nobody is left to supervise them.
    pub(crate) fn abandon(&self) {
        let children = {
            let mut table = self.table.lock();
            table.phase = Phase::Stopped;
            table.ids.clear();
            std::mem::take(&mut table.children)
        };
        for child in children.into_values() {
            child.node.stop(true);
            self.registry.deregister(child.node.entry());
        }
        self.registry.deregister(&self.entry);
        self.entry.set_state(ActorState::Failed);
    }

    fn order(&self, order: Order) {
        let line = Arc::clone(&self.table.lock().line);
        // Unbounded, and a supervisor that is gone needs no order.
        let _ = line.addr.try_send(Obey(order));
    }
}

fn check_id(id: &Arc<str>) -> Result<(), StartError> {
    if id.is_empty() || id.contains('/') { Err(StartError::InvalidId { id: Arc::clone(id) }) } else { Ok(()) }
}

#[expect(clippy::disallowed_methods, reason = "this is where a supervisor begins to run")]
fn spawn(actor: impl Future<Output = ()> + 'static) {
    actix_rt::spawn(actor);
}

impl Node for SupervisorNode {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn restart(&self) {
        self.order(Order::Restart);
    }

    fn suspend(&self, is_forced: bool) {
        self.order(Order::Suspend { is_forced });
    }

    fn stop(&self, is_forced: bool) {
        self.order(Order::Stop { is_forced });
    }

    fn poke(&self) {
        let line = Arc::clone(&self.table.lock().line);
        let _ = line.addr.try_send(Look);
    }
}

/// A reference to a supervisor. Cheap to clone, usable from every thread, good for the life of the spec.
#[derive(Clone)]
pub struct SupervisorRef {
    slot: Arc<Slot<SupervisorNode>>,
}

impl SupervisorRef {
    pub(crate) fn new(slot: Arc<Slot<SupervisorNode>>) -> Self {
        Self { slot }
    }

    /// Starts an actor. Never waits: the actor's messages queue until it begins. On the arbiter of the supervisor this
    /// costs about a microsecond, from elsewhere a wake-up of that arbiter.
    ///
    /// A child that fails at its very start is treated like one that fails later.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_child<B: Behaviour>(&self, child: ChildSpec<B>) -> Result<ActorRef<B>, StartError> {
        self.node()?.start_dynamic(&child)?;
        Ok(child.actor_ref())
    }

    pub(crate) fn start_startable(&self, spec: &dyn Startable) -> Result<(), StartError> {
        self.node()?.start_dynamic(spec)
    }

    /// Starts a supervisor below this one.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_supervisor(&self, supervisor: SupervisorSpec) -> Result<Self, StartError> {
        self.node()?.start_dynamic(&supervisor)?;
        Ok(supervisor.supervisor_ref())
    }

    /// Stops one child and waits until it is gone, or its grace is over. `None`: there is no such child.
    pub async fn stop_child(&self, id: &str) -> Option<StopOutcome> {
        let (reply, outcome) = oneshot::channel();
        let node = self.slot.get()?;
        let line = Arc::clone(&node.table.lock().line);
        line.addr.try_send(StopChild { id: Arc::from(id), reply }).ok()?;
        outcome.await.ok()
    }

    /// Stops the children in reverse order of their start, each with its grace, then the supervisor itself. Waits for
    /// no backoff. Its own supervisor does not restart it.
    pub async fn shutdown(&self) -> ShutdownReport {
        let Some(node) = self.slot.get() else { return ShutdownReport::default() };
        if node.table.lock().phase == Phase::Stopped {
            return ShutdownReport::default();
        }
        let (reply, report) = oneshot::channel();
        let line = Arc::clone(&node.table.lock().line);
        let is_sent = line.addr.try_send(Shutdown { reply }).is_ok();
        match report.await {
            Ok(report) => report,
            // It ended by itself while the message was on its way.
            Err(_) if !is_sent || node.table.lock().phase == Phase::Stopped => ShutdownReport::default(),
            Err(_) => ShutdownReport { late: vec![node.entry.path()] },
        }
    }

    /// How many children there are, those of the spec that have ended included.
    #[must_use]
    pub fn child_count(&self) -> usize {
        self.slot.look(|node| node.map_or(0, |node| node.table.lock().children.len()))
    }

    /// Where the supervisor is in the tree; only its id before it is started.
    #[must_use]
    pub fn path(&self) -> Arc<str> {
        self.slot.look(|node| node.map_or_else(|| Arc::clone(&self.slot.id), |node| node.entry.path()))
    }

    fn node(&self) -> Result<Arc<SupervisorNode>, StartError> {
        self.slot.get().ok_or_else(|| StartError::NotRunning { path: Arc::clone(&self.slot.id) })
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorRef").field(&self.path()).finish()
    }
}

/// How a shutdown went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// The paths of those that did not stop within their grace. What they had under way is dropped; a thread that
    /// does not look at its orders, or a stalled arbiter, may still be alive.
    pub late: Vec<Arc<str>>,
}

/// The root of a tree: nobody restarts it.
#[derive(Debug)]
pub struct Root {
    supervisor: SupervisorRef,
    failure: watch::Receiver<Option<Arc<str>>>,
}

impl Root {
    /// Starts a whole tree on `home`. When this returns, every actor of the spec has its mailbox.
    ///
    /// # Errors
    /// [`StartError`]; what was started before the error is stopped.
    pub fn start(spec: SupervisorSpec, registry: &Registry, home: &Home) -> Result<Self, StartError> {
        let (tell, failure) = watch::channel(None);
        let seat = Seat {
            trail: None,
            owner: Owner { line: None, key: 0 },
            home: home.clone(),
            registry: registry.clone(),
        };
        SupervisorNode::start(&spec, seat, Some(tell))?;
        Ok(Self { supervisor: spec.supervisor_ref(), failure })
    }

    /// The root supervisor.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Waits until the root's intensity is exceeded, its children are stopped, and so the program must end. Never
    /// returns otherwise.
    pub async fn failed(&self) -> RootFailure {
        let mut failure = self.failure.clone();
        let text = failure.wait_for(Option::is_some).await.ok().and_then(|text| text.clone());
        match text {
            Some(text) => RootFailure { text },
            // The root is gone without a failure.
            None => std::future::pending().await,
        }
    }

    /// See [`SupervisorRef::shutdown`].
    pub async fn shutdown(&self) -> ShutdownReport {
        self.supervisor.shutdown().await
    }
}

/// Why the root failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the root supervisor failed: {text}")]
pub struct RootFailure {
    /// What led to it.
    pub text: Arc<str>,
}
