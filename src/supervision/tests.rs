//! What the tests share: one actor that does on demand whatever an actor can do, and small trees around it.

mod dynamic;
mod escalation;
mod faults;
mod guests;
mod isolation;
mod mailboxes;
mod restarting;
mod shutdown;
mod storm;
mod strategies;
mod threads;
mod tree;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::*;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

type Act = Box<dyn FnOnce(&mut Probe, &mut Context<Probe>) -> Reply<u32> + Send>;

/// Does what it is told.
pub(crate) struct Probe {
    pub(crate) id: String,
    pub(crate) journal: Journal,
    /// Messages handled by this incarnation.
    pub(crate) handled: u32,
    pub(crate) on_draining: fn(&mut Context<Probe>),
    pub(crate) panics_when_dropped: bool,
}

#[derive(Message)]
#[rtype(result = "u32")]
pub(crate) struct Do(pub(crate) Act);

impl Do {
    pub(crate) fn new(
        act: impl FnOnce(&mut Probe, &mut Context<Probe>) -> Reply<u32> + Send + 'static,
    ) -> Self {
        Self(Box::new(act))
    }

    /// Counts this incarnation's messages.
    pub(crate) fn count() -> Self {
        Self::new(|probe, _| Reply::Now(probe.handled))
    }

    pub(crate) fn panic() -> Self {
        Self::new(|_, _| panic!("boom"))
    }

    pub(crate) fn stop() -> Self {
        Self::new(|_, cx| {
            cx.stop();
            Reply::Now(0)
        })
    }

    /// Answers when the test says so.
    pub(crate) fn when(answer: oneshot::Receiver<u32>) -> Self {
        Self::new(|_, _| Reply::later(async move { answer.await.unwrap() }))
    }
}

impl Behaviour for Probe {
    const KIND: &'static str = "probe";
    /// Small, so that tests fill it.
    const MAILBOX_CAPACITY: usize = 4;

    fn started(&mut self, cx: &mut Context<Self>) {
        self.journal.note(format!("{} {}", self.id, cx.incarnation()));
    }

    fn draining(&mut self, cx: &mut Context<Self>) {
        (self.on_draining)(cx);
    }
}

impl Handle<Do> for Probe {
    fn handle(&mut self, Do(act): Do, cx: &mut Context<Self>) -> Reply<u32> {
        self.handled += 1;
        act(self, cx)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.journal.note(format!("{} dropped", self.id));
        if self.panics_when_dropped {
            panic!("boom in drop");
        }
    }
}

impl Probe {
    pub(crate) fn new(id: &str, journal: &Journal) -> Self {
        Self {
            id: id.to_owned(),
            journal: journal.clone(),
            handled: 0,
            on_draining: |_| {},
            panics_when_dropped: false,
        }
    }

    pub(crate) fn spec(id: &str, journal: &Journal) -> ChildSpec<Self> {
        let (name, journal) = (id.to_owned(), journal.clone());
        ChildSpec::new(id, move || Self::new(&name, &journal))
    }
}

/// A one_for_one supervisor that restarts at once and bears any number of failures.
pub(crate) fn patient(id: &str) -> SupervisorSpec {
    SupervisorSpec::new(id).intensity(Intensity::shared(u32::MAX, SECOND)).backoff(Backoff::none())
}

/// Starts a tree on the test's own arbiter.
pub(crate) fn start(spec: SupervisorSpec) -> (Root, Registry) {
    let registry = Registry::new();
    let home = Home::current("test").unwrap();
    let root = Root::start(spec, &registry, &home).unwrap();
    (root, registry)
}

/// Starts one probe under a patient supervisor.
pub(crate) fn start_probe() -> (Root, Registry, ActorRef<Probe>, Journal) {
    let journal = Journal::default();
    let spec = Probe::spec("probe", &journal);
    let probe = spec.actor_ref();
    let (root, registry) = start(patient("hive").child(spec));
    (root, registry, probe, journal)
}

/// Runs something on a thread that is no arbiter.
#[expect(clippy::disallowed_methods, reason = "the test joins it")]
pub(crate) fn elsewhere<R: Send + 'static>(
    work: impl FnOnce() -> R + Send + 'static,
) -> std::thread::JoinHandle<R> {
    std::thread::spawn(work)
}

/// Lets everything happen that needs no time.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn snapshot(registry: &Registry, path: &str) -> Option<ActorSnapshot> {
    let all = registry.snapshot(&SnapshotFilter::default());
    all.into_iter().find(|actor| &*actor.path == path)
}
