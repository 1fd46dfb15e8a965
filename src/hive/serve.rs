//! The composition root: puts the layers together, bottom first, and takes them apart in reverse.
//!
//! ```text
//!   port ── data folder ── store (lock, migrations) ── token ── runtime (the supervision tree) ── web server ── server.json
//! ```
//!
//! Invariant: what can fail without a trace comes first: a taken port leaves no folder behind.
//!
//! Invariant: whoever connects gets an answer only when everything runs; until then connections wait in the backlog.
//!
//! Reading order: [`start`], [`Running`]; `entrance` (the port), `store_opening`, `banner`, `until_stopped`.

mod banner;
mod entrance;
pub(crate) mod store_opening;
mod until_stopped;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use actix_rt::Arbiter;
use actix_web::dev::ServerHandle;
use api::{ApiSettings, ApiState, InFlight, LiveSettings, SystemFacts};
use feed::FeedHandle;
use links::{LinkSettings, Links};
use runtime::{Parts, Runtime, RuntimeHandle, RuntimeSettings};
use sha2::{Digest, Sha256};
use store::Store;
use supervision::{Home, Registry, ShutdownReport, SupervisorRef};
use tokio::task::JoinHandle;

use crate::admin_token::{self, Token};
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::failure::{Failure, with_causes};
use crate::server_file::{self, Announced, ServerFile};
use crate::settings::Settings;
pub use banner::Banner;
pub use until_stopped::until_stopped;

/// How often a stop looks whether requests or processes are still under way.
const ANSWERED_LOOK: Duration = Duration::from_millis(20);
/// How long streams that are read may take to end.
const STREAMS_END: Duration = Duration::from_millis(500);
/// This node's number; there is one node.
const NODE: u16 = 0;

/// A hive that serves. It goes on until [`Running::shutdown`]; dropping it leaves threads behind.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// How to reach it from this machine.
    pub url: String,
    /// The admin token.
    pub admin_token: Token,
    /// The data folder.
    pub folder: DataFolder,
    /// The live tree.
    pub registry: Registry,
    /// The core, for tests that go around HTTP.
    pub runtime: RuntimeHandle,
    /// The projection.
    pub feed: FeedHandle,
    /// Over sessions and their hubs.
    pub sessions: SupervisorRef,
    core: Runtime,
    core_arbiter: Arbiter,
    server: ServerHandle,
    server_ended: JoinHandle<std::io::Result<()>>,
    announced: Announced,
    in_flight: InFlight,
    store: Store,
    settings: Settings,
}

/// Starts a hive. Call it inside an actix system; comes back when requests are answered.
///
/// # Errors
/// A [`Failure`] that says in a sentence what stands in the way.
pub async fn start(settings: Settings) -> Result<Running, Failure> {
    // this program as it runs, also when its file has been replaced meanwhile
    start_guarded_by(settings, PathBuf::from("/proc/self/exe")).await
}

/// As [`start`], with the program that guards processes, which understands `exec-guard`.
///
/// # Errors
/// As [`start`].
pub async fn start_guarded_by(settings: Settings, guard: PathBuf) -> Result<Running, Failure> {
    let listener = entrance::bind(&settings)?;
    let addr = listener.local_addr().map_err(|error| Failure::surroundings(&error))?;
    let folder = DataFolder::prepare(&settings.store.data_dir)
        .map_err(|error| Failure::surroundings(&error).hint("--data-dir PATH chooses another folder"))?;
    let store = store_opening::open(&settings, &folder)?;
    let admin_token = admin_token::read_or_make(&folder.path).map_err(|error| {
        Failure::surroundings(&error).hint("without this file the next start makes a new token")
    })?;
    let (registry, metrics) = (Registry::new(), prometheus::Registry::new());
    store.metrics.register(&metrics).map_err(|error| internal(&error))?;
    let links = open_links(&settings, &folder, guard)?;
    // the actors have a thread to themselves: neither signals nor accepted connections wait for them
    let core_arbiter = Arbiter::new();
    let parts = Parts {
        store: &store,
        node: NODE,
        settings: runtime_settings(&settings),
        registry: &registry,
        metrics: &metrics,
        links,
        home: &Home::new("core", &core_arbiter.handle()),
        encode: api::encoder(&store.epoch),
    };
    let core = match Runtime::start(parts).await {
        Ok(core) => core,
        Err(error) => {
            core_arbiter.stop();
            return Err(internal(&error));
        }
    };
    let in_flight = InFlight::default();
    let state = ApiState {
        runtime: core.handle.clone(),
        readers: store.readers.clone(),
        feed: core.feed.clone(),
        registry: registry.clone(),
        clock: store.clock.clone(),
        metrics,
        admin_token_sha256: Sha256::digest(admin_token.reveal()).into(),
        facts: facts(&store, &folder),
        settings: api_settings(&settings),
        in_flight: in_flight.clone(),
        live: live_settings(&settings),
        sessions: core.sessions.clone(),
    };
    let web_server = api::serve(listener, state).map_err(|error| Failure::surroundings(&error))?;
    let server = web_server.handle();
    let server_ended = drive(web_server);
    let announced = ServerFile::of(addr).announce(&folder.path).map_err(|error| {
        Failure::surroundings(&error).hint(format!("the data folder is {}", folder.path.display()))
    })?;
    Ok(Running {
        url: server_file::url(addr),
        runtime: core.handle.clone(),
        feed: core.feed.clone(),
        sessions: core.sessions.clone(),
        addr,
        admin_token,
        folder,
        registry,
        core,
        core_arbiter,
        server,
        server_ended,
        announced,
        in_flight,
        store,
        settings,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the web server lies beside the tree; `Running` watches its end"
)]
fn drive(server: actix_web::dev::Server) -> JoinHandle<std::io::Result<()>> {
    actix_rt::spawn(server)
}

impl Running {
    /// Comes back when the hive cannot go on: its root supervisor gave up, its web server ended, or another hive has taken
    /// its place.
    pub async fn failed(&mut self) -> Failure {
        let text = tokio::select! {
            failure = self.core.failed() => with_causes(&failure),
            () = self.store.lost() => {
                let text = format!("another hive has taken node number {NODE} of this database");
                return Failure::new(Exit::Environment, text)
                    .hint("that one serves now; what this one acknowledged is stored");
            }
            ended = &mut self.server_ended => match ended {
                Ok(Ok(())) => "the web server ended by itself".to_owned(),
                Ok(Err(error)) => format!("the web server ended: {error}"),
                Err(error) => format!("the web server ended: {error}"),
            },
        };
        Failure::new(Exit::Internal, text)
    }

    /// Ends in order: not ready, no new work, requests and processes under way (bounded), actors, the writer last.
    pub async fn shutdown(self) -> ShutdownReport {
        self.runtime.begin_drain();
        self.until_done().await;
        self.runtime.end_all_processes().await;
        self.until_streams_ended().await;
        // They live on the threads of the web server, which end with it.
        self.sessions.shutdown().await;
        drop(self.announced);
        // What is still open has had its time.
        let is_quiet = self.in_flight.count() == 0 && self.in_flight.streams() == 0;
        self.server.stop(is_quiet).await;
        let report = self.core.shutdown().await;
        self.core_arbiter.stop();
        // its thread ends with its loop; an arbiter that is stuck must not keep the process
        drop(self.core_arbiter);
        drop(self.store);
        report
    }

    /// Waits until no request is under way and no process runs, at most the drain timeout. Meanwhile the port stays open
    /// and says 503, so that whoever asks for readiness hears of the drain.
    async fn until_done(&self) {
        let until = tokio::time::Instant::now() + self.settings.drain_timeout;
        let is_busy = || self.in_flight.count() > 0 || self.runtime.running_processes() > 0;
        while is_busy() && tokio::time::Instant::now() < until {
            tokio::time::sleep(ANSWERED_LOOK).await;
        }
    }

    /// Waits a moment for streams: those that are read end by themselves in a drain, the others never do.
    async fn until_streams_ended(&self) {
        let until = tokio::time::Instant::now() + STREAMS_END;
        while self.in_flight.streams() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(ANSWERED_LOOK).await;
        }
    }

    /// Ends without waiting, after [`Running::failed`].
    pub async fn give_up(self) {
        drop(self.announced);
        self.server.stop(false).await;
        self.core_arbiter.stop();
    }

    /// The settings it was started with.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn open_links(settings: &Settings, folder: &DataFolder, guard: PathBuf) -> Result<Links, Failure> {
    let kill_grace_ms = settings.agents.kill_grace_ms;
    let links = LinkSettings { data_dir: folder.path.clone(), guard, kill_grace_ms };
    Links::open(links).map_err(|error| internal(&error))
}

fn facts(store: &Store, folder: &DataFolder) -> SystemFacts {
    SystemFacts {
        version: env!("CARGO_PKG_VERSION"),
        started_at: store.clock.now(),
        node: NODE,
        database: if store.node.is_some() { "postgresql" } else { "sqlite" },
        data_dir: folder.path.clone(),
        epoch: store.epoch.clone(),
    }
}

fn runtime_settings(settings: &Settings) -> RuntimeSettings {
    RuntimeSettings {
        lease_ttl_ms: settings.lease.ttl_ms,
        cancel_grace_ms: settings.lease.cancel_grace_ms,
        retention_ms: u64::try_from(settings.retention_tasks.as_millis()).unwrap_or(u64::MAX),
        offline_after_ms: settings.agents.offline_after_ms,
        stalled_after_ms: settings.agents.stalled_after_ms,
        kill_grace_ms: settings.agents.kill_grace_ms,
        limits: settings.limits,
    }
}

fn api_settings(settings: &Settings) -> ApiSettings {
    ApiSettings {
        web_threads: settings.server.web_threads,
        bodies_in_flight_bytes_max: settings.server.bodies_in_flight_bytes,
        head_timeout: settings.server.head_timeout,
        body_timeout: settings.server.body_timeout,
        idle_timeout: settings.server.idle_timeout,
        write_timeout: settings.server.write_timeout,
        rate: api::RateSettings {
            requests_per_second: settings.rate_limit.requests_per_second,
            burst: settings.rate_limit.burst,
        },
        shutdown_timeout: settings.drain_timeout,
        ..ApiSettings::default()
    }
}

fn live_settings(settings: &Settings) -> LiveSettings {
    let websocket = &settings.websocket;
    LiveSettings {
        messages_per_second: websocket.messages_per_second,
        burst: websocket.burst,
        message_bytes_max: websocket.message_bytes,
        subscriptions_max: websocket.subscriptions,
        sessions_max: websocket.sessions,
        sessions_per_principal_max: websocket.sessions_per_principal,
        idle_timeout: websocket.idle,
        // One who only listens has to be asked before the time is over.
        ping_every: websocket.ping.min(websocket.idle / 2),
        slow_timeout: websocket.slow,
        allowed_origins: websocket.allowed_origins.clone(),
    }
}

fn internal(error: &dyn std::error::Error) -> Failure {
    Failure::new(Exit::Internal, with_causes(error))
}

#[cfg(test)]
mod tests;
