//! The supervision tree of the core, and its start and end.
//!
//! ```text
//!   hive ── writer (thread) ── wal_checkpointer (thread) ── watchdog (thread)
//!        ├─ agents (supervisor, one actor an agent)
//!        ├─ tasks (supervisor, one actor an attempt)
//!        ├─ coordinator ── feed
//!        ├─ janitors (supervisor): stager, reaper, expirer, retention, agent sweeper, …
//!        └─ sessions (supervisor): what the layer above runs for its clients
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use domain::{EventKind, IdGenerator};
use feed::FeedHandle;
use links::Links;
use parking_lot::Mutex;
use store::command::{Chore, GraceLeases, RecordSystemEvent, Sweep};
use store::{Store, Threads};
use supervision::{
    ActorRef, ChildSpec, Home, Intensity, OnExhausted, Registry, Root, ShutdownReport, SupervisorRef,
    SupervisorSpec, ThreadSpec, Watchdog,
};

use crate::board::Board;
use crate::collector::LiveCollector;
use crate::coordinator::{AgentGivenUp, Coordinator};
use crate::directory::Directory;
use crate::error::Error;
use crate::feed_actor::{FeedActor, Fold};
use crate::handle::RuntimeHandle;
use crate::inbox::{Inbox, News};
use crate::janitor::performance_saver::due;
use crate::janitor::{AgentSweeper, CheckpointSaver, Duty, PerformanceSaver, RestartRecorder, Sweeper};
use crate::key_ring::KeyRing;
use crate::metrics::Metrics;
use crate::performance::Performance;
use crate::settings::RuntimeSettings;
use crate::shared::{Phase, Shared, SharedRef, chance};
use crate::task::ProcessCount;

/// Restarts of one child within a minute that are borne; a child that fails more often has a bug that restarts do not
/// mend.
const CHILD_RESTARTS: u32 = 20;
const CHILD_PERIOD: Duration = Duration::from_secs(60);
/// Restarts of all fixed parts within a minute; beyond, the process ends and its own supervisor begins it anew.
const CORE_RESTARTS: u32 = 30;

/// Attempts of one round when a start ends what the hive before it left.
const CRASHED_ROWS: u32 = 500;
/// How long the first writes of a start may take.
const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// How long an end waits for the projection to be saved; what is not saved costs the next start a moment.
const SAVE_WITHIN: Duration = Duration::from_secs(3);

/// What a runtime is started from.
pub struct Parts<'a> {
    /// The open store.
    pub store: &'a Store,
    /// This node's number.
    pub node: u16,
    /// The numbers to go by.
    pub settings: RuntimeSettings,
    /// Where actors are registered.
    pub registry: &'a Registry,
    /// Where counters are registered.
    pub metrics: &'a prometheus::Registry,
    /// How assignments leave for processes.
    pub links: Links,
    /// The arbiter that all actors live on.
    pub home: &'a Home,
    /// Makes the wire form of events for those who follow the log.
    pub encode: feed::Encode,
}

/// A running core.
pub struct Runtime {
    /// For the layers above.
    pub handle: RuntimeHandle,
    /// The projection.
    pub feed: FeedHandle,
    /// Over what the layers above run for their clients.
    pub sessions: SupervisorRef,
    root: Root,
    store: store::writer::WriterHandle,
}

impl Runtime {
    /// Builds the projection, starts the tree, gives leases their grace, and begins to serve.
    ///
    /// # Errors
    /// When the store cannot be read or written, or the tree cannot be started.
    pub async fn start(parts: Parts<'_>) -> Result<Self, StartError> {
        let feed = FeedHandle::new(parts.encode);
        feed.rebuild(&parts.store.readers).await?;
        let key_ring = KeyRing::default();
        parts.store.readers.all_api_keys().await?.iter().for_each(|key| key_ring.put(key));
        let agents = dynamic("agents");
        let tasks = dynamic("tasks");
        let sessions = dynamic("sessions");
        let sessions_ref = sessions.supervisor_ref();
        let shared = Arc::new(Shared {
            writer: parts.store.writer.clone(),
            readers: parts.store.readers.clone(),
            feed: feed.clone(),
            clock: parts.store.clock.clone(),
            settings: parts.settings.clone(),
            directory: Directory::default(),
            board: Board::default(),
            key_ring,
            feed_inbox: Inbox::default(),
            coordinator_inbox: Inbox::default(),
            agents: agents.supervisor_ref(),
            tasks: tasks.supervisor_ref(),
            links: parts.links,
            processes: ProcessCount::default(),
            metrics: Metrics::new(parts.metrics)?,
            performance: Performance::new(parts.store.clock.now()),
            node: parts.node,
            consumers: std::sync::atomic::AtomicU64::new(0),
            ids: Mutex::new(IdGenerator::new(parts.node, parts.store.highest_id)),
            phase: AtomicU8::new(0),
        });
        let brain = Arc::clone(&shared);
        let coordinator = ChildSpec::new("coordinator", move || Coordinator::new(Arc::clone(&brain)));
        let coordinator_ref = coordinator.actor_ref();
        let for_give_up = coordinator_ref.clone();
        let agents = agents.on_give_up(move |given_up| {
            tracing::error!(actor = %given_up.path, error = %given_up.text, "an agent's actor was given up");
            if let Ok(agent) = given_up.id.parse() {
                // When this gets lost, the agent's calls are still refused, and a restart mends it.
                let _ = for_give_up.tell(AgentGivenUp { agent });
            }
        });
        let feeder = feed_child(&shared, &coordinator_ref);
        let feed_ref = feeder.actor_ref();
        connect_writer(parts.store, &shared, feed_ref);
        let spec = SupervisorSpec::new("hive").intensity(Intensity::shared(CORE_RESTARTS, CHILD_PERIOD));
        let spec = match parts.store.threads {
            Threads::Own => spec
                .thread(writer_thread(parts.store))
                .thread(wal_thread(parts.store))
                .thread(Watchdog::new(parts.registry, vec![parts.home.clone()]).into_thread("watchdog")),
            // Whoever opened the store takes its turns.
            Threads::Callers => spec,
        };
        let spec = spec
            .supervisor(agents)
            .supervisor(tasks)
            .child(coordinator)
            .child(feeder)
            .supervisor(janitors(&shared, &coordinator_ref, parts.registry))
            .supervisor(sessions);
        let live = LiveCollector::new(feed.clone(), parts.store.writer.clone(), parts.registry.clone())?;
        parts.metrics.register(Box::new(live))?;
        let root = Root::start(spec, parts.registry, parts.home)?;
        let handle = RuntimeHandle { shared: Arc::clone(&shared), coordinator: coordinator_ref };
        tokio::select! {
            begun = begin(&shared, parts.store.threads) => begun?,
            failure = root.failed() => return Err(failure.into()),
            () = tokio::time::sleep(BEGIN_WITHIN) => return Err(StartError::Store(Error::Late)),
        }
        Ok(Self { handle, feed, sessions: sessions_ref, root, store: parts.store.writer.clone() })
    }

    /// Resolves when the root supervisor has given up: the process must end.
    pub async fn failed(&self) -> supervision::RootFailure {
        self.root.failed().await
    }

    /// Saves the projection, ends all actors in reverse order of their start, the writer last, after its queue is
    /// empty.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.handle.begin_drain();
        let figures = due(&self.handle.shared, true);
        let save = async {
            if let Ok(checkpoint) = self.feed.checkpoint()
                && let Err(error) = self.store.apply(checkpoint).await
            {
                tracing::warn!(%error, "the projection was not saved; the next start folds more of the log");
            }
            if let Some(figures) = figures
                && let Err(error) = self.store.apply(figures).await
            {
                tracing::warn!(%error, "the figures of the last minute were not saved");
            }
        };
        if tokio::time::timeout(SAVE_WITHIN, save).await.is_err() {
            tracing::warn!("the store does not answer; the next start folds more of the log");
        }
        self.root.shutdown().await
    }
}

/// Why a runtime cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The projection cannot be built.
    #[error("cannot read the log of events")]
    Feed(#[from] feed::RebuildError),
    /// The API keys cannot be read.
    #[error("cannot read the API keys")]
    Keys(#[from] store::ReadError),
    /// The tree cannot be started.
    #[error("cannot start the supervision tree")]
    Tree(#[from] supervision::StartError),
    /// The tree gave up at once.
    #[error(transparent)]
    Root(#[from] supervision::RootFailure),
    /// A metric's name is taken.
    #[error("cannot register metrics")]
    Metrics(#[from] prometheus::Error),
    /// The first write failed.
    #[error("cannot write to the store")]
    Store(#[from] Error),
}

/// The first writes of a start; then the hive serves.
async fn begin(shared: &SharedRef, threads: Threads) -> Result<(), StartError> {
    let crashed = end_crashed(shared, threads).await?;
    let ttl_ms = shared.settings.lease_ttl_ms;
    let graced = shared.writer.apply(GraceLeases { ttl_ms }).await.map_err(Error::from)?;
    if graced.count > 0 {
        tracing::info!(leases = graced.count, "running attempts keep their leases");
    }
    let version = env!("CARGO_PKG_VERSION");
    let started = RecordSystemEvent {
        kind: EventKind::SystemStarted,
        data: format!(
            r#"{{"version":"{version}","leases_kept":{},"attempts_crashed":{crashed}}}"#,
            graced.count
        )
        .into(),
    };
    shared.writer.apply(started).await.map_err(Error::from)?;
    shared.set_phase(Phase::Serving);
    Ok(())
}

/// What runs as a process of the hive ended with it: first all that is left of it, then its attempts, which go back.
async fn end_crashed(shared: &SharedRef, threads: Threads) -> Result<u32, StartError> {
    let links = shared.links.clone();
    let left = match threads {
        Threads::Own => tokio::task::spawn_blocking(move || links.end_leftovers()).await,
        Threads::Callers => Ok(links.end_leftovers()),
    };
    let left = left.map_err(|error| Error::Crashed(error.to_string()))?;
    let mut crashed: u32 = 0;
    loop {
        let round = Sweep { chore: Chore::EndCrashed, limit: CRASHED_ROWS, chance: chance() };
        let count = shared.writer.apply(round).await.map_err(Error::from)?.count;
        crashed = crashed.saturating_add(count);
        if count < CRASHED_ROWS {
            break;
        }
    }
    if left > 0 || crashed > 0 {
        tracing::warn!(
            attempts = crashed,
            processes = left,
            "the hive before ended without an end; its processes are ended and their attempts went back"
        );
    }
    Ok(crashed)
}

/// A supervisor of children that come and go: one that fails too often is removed, its neighbours stay.
fn dynamic(id: &'static str) -> SupervisorSpec {
    SupervisorSpec::new(id)
        .intensity(Intensity::per_child(CHILD_RESTARTS, CHILD_PERIOD))
        .on_exhausted(OnExhausted::GiveUp)
}

fn feed_child(shared: &SharedRef, coordinator: &ActorRef<Coordinator>) -> ChildSpec<FeedActor> {
    let (shared, coordinator) = (Arc::clone(shared), coordinator.clone());
    ChildSpec::new("feed", move || FeedActor::new(Arc::clone(&shared), coordinator.clone()))
}

/// Commits go from the writer's thread into the feed's inbox, and whether some may be missing.
fn connect_writer(store: &Store, shared: &SharedRef, feed: ActorRef<FeedActor>) {
    let shared = Arc::clone(shared);
    let push = move |news| shared.feed_inbox.push(news, || feed.tell(Fold { is_tick: false }).is_ok());
    let push = Arc::new(push);
    let commits = Arc::clone(&push);
    store.writer_loop.on_commit(Box::new(move |notice| commits(News::Committed(notice))));
    store.writer_loop.on_reopen(Box::new(move || push(News::Rebuilt)));
}

fn writer_thread(store: &Store) -> ThreadSpec {
    let writer = store.writer_loop.clone();
    ThreadSpec::new("writer", move |cx| {
        writer.run(&|| cx.checkpoint(), &|| cx.is_stopping()).map_err(Into::into)
    })
    .kind("writer")
    .grace(Duration::from_secs(10))
}

fn wal_thread(store: &Store) -> ThreadSpec {
    let checkpointer = store.checkpoint_loop.clone();
    ThreadSpec::new("wal_checkpointer", move |cx| {
        while !cx.sleep(Duration::from_secs(1)) {
            cx.checkpoint();
            checkpointer.tick();
        }
        Ok(())
    })
    .kind("janitor")
}

fn janitors(shared: &SharedRef, coordinator: &ActorRef<Coordinator>, registry: &Registry) -> SupervisorSpec {
    let mut spec =
        SupervisorSpec::new("janitors").intensity(Intensity::per_child(CHILD_RESTARTS, CHILD_PERIOD));
    for duty in Duty::ALL {
        let (shared, coordinator) = (Arc::clone(shared), coordinator.clone());
        spec = spec.child(ChildSpec::new(duty.name(), move || {
            Sweeper::new(Arc::clone(&shared), coordinator.clone(), duty)
        }));
    }
    let (sweeper_shared, sweeper_coordinator) = (Arc::clone(shared), coordinator.clone());
    let (saver_shared, saver_coordinator) = (Arc::clone(shared), coordinator.clone());
    let (recorder_shared, recorder_coordinator) = (Arc::clone(shared), coordinator.clone());
    let (counter_shared, counter_coordinator) = (Arc::clone(shared), coordinator.clone());
    let registry = registry.clone();
    spec.child(ChildSpec::new("agent_sweeper", move || {
        AgentSweeper::new(Arc::clone(&sweeper_shared), sweeper_coordinator.clone())
    }))
    .child(ChildSpec::new("checkpoint_saver", move || {
        CheckpointSaver::new(Arc::clone(&saver_shared), saver_coordinator.clone())
    }))
    .child(ChildSpec::new("performance_saver", move || {
        PerformanceSaver::new(Arc::clone(&counter_shared), counter_coordinator.clone())
    }))
    .child(ChildSpec::new("restart_recorder", move || {
        RestartRecorder::new(Arc::clone(&recorder_shared), recorder_coordinator.clone(), registry.clone())
    }))
}
