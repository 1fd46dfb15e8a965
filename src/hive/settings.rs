//! Every setting of `hive serve`, typed and checked: built-in defaults < file < environment < flags.
//!
//! Invariant: [`Settings::load`] tells all problems of all sources at once, or none.
//!
//! Invariant: a setting that has no effect does not exist.

pub mod page;
mod reader;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::{Limits, Secret};
use reader::Reader;
pub use reader::Shown;
pub use source::{ENV_PREFIX, Entry, Problem, Raw, Source};
use store::Timeouts;
use tracing_subscriber::filter::Targets;

/// The built-in defaults, each with the reason for its value.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// All settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The web server.
    pub server: ServerSettings,
    /// The database and its folder.
    pub store: StoreSettings,
    /// What users may hand in.
    pub limits: Limits,
    /// Leases of attempts.
    pub lease: LeaseSettings,
    /// How often an API key may ask.
    pub rate_limit: RateLimitSettings,
    /// Sessions over WebSocket.
    pub websocket: WebsocketSettings,
    /// How long finished tasks and their events stay.
    pub retention_tasks: Duration,
    /// When an agent counts as offline or stalled.
    pub agents: AgentSettings,
    /// How long a stop waits for requests and processes in flight.
    pub drain_timeout: Duration,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Every key with its value and source, for `hive config show`.
    pub shown: Vec<Shown>,
}

/// The web server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Threads that serve HTTP.
    pub web_threads: usize,
    /// Most bytes of request bodies in memory at a time.
    pub bodies_in_flight_bytes: usize,
    /// How long the head of a request may take to arrive.
    pub head_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long a connection stays without a request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer.
    pub write_timeout: Duration,
}

/// The database and its folder.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The data folder, as it was given.
    pub data_dir: PathBuf,
    /// URL of a PostgreSQL database in place of the file in the folder.
    pub database_url: Option<Secret>,
    /// Whether a start brings the schema up to date.
    pub is_migrating: bool,
    /// Most commands that wait for the writer.
    pub writer_queue: usize,
    /// How many readers there are.
    pub reader_connections: usize,
    /// How long the store waits for what.
    pub timeouts: Timeouts,
    /// Most different combinations of queue, requirements and pinned agent.
    pub lanes_max: u32,
}

/// Leases of attempts.
#[derive(Debug, Clone, Copy)]
pub struct LeaseSettings {
    /// Without a heartbeat, of tasks that name no heartbeat timeout.
    pub ttl_ms: u64,
    /// How long the holder of a canceled attempt has to end.
    pub cancel_grace_ms: u64,
}

/// How often an API key may ask.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitSettings {
    /// On the long run.
    pub requests_per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

/// Sessions over WebSocket.
#[derive(Debug, Clone)]
pub struct WebsocketSettings {
    /// Messages of a client on the long run.
    pub messages_per_second: u32,
    /// Messages of a client at once, after a pause.
    pub burst: u32,
    /// Bytes of a message of a client.
    pub message_bytes: usize,
    /// Subscriptions of a session.
    pub subscriptions: usize,
    /// Sessions of the hive.
    pub sessions: usize,
    /// Sessions of one principal.
    pub sessions_per_principal: usize,
    /// How long a session may give no sign of life.
    pub idle: Duration,
    /// How often a session is pinged.
    pub ping: Duration,
    /// How long a session's socket may take nothing.
    pub slow: Duration,
    /// Origins of pages that may connect, beside the hive's own.
    pub allowed_origins: Vec<String>,
}

/// When an agent counts as offline or stalled, and how long its process has to end.
#[derive(Debug, Clone, Copy)]
pub struct AgentSettings {
    /// Without a sign of life.
    pub offline_after_ms: u64,
    /// With signs of life but no progress.
    pub stalled_after_ms: u64,
    /// How long an agent's process has from SIGTERM to SIGKILL.
    pub kill_grace_ms: u64,
}

/// What is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct LogSettings {
    /// Directives like `info,runtime=debug`; known to be valid.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON everywhere else.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// What stands on the command line about settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--bind`.
    pub bind: Option<String>,
    /// `--database-url`.
    pub database_url: Option<String>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", list(.0))]
pub struct Problems(pub Vec<Problem>);

impl Settings {
    /// From all sources; the environment is handed in, so that tests need not change their own.
    ///
    /// # Errors
    /// Every problem of every source.
    pub fn load(flags: &Flags, env: impl Iterator<Item = (String, String)>) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut entries = Vec::new();
        let mut add = |read: Result<Vec<Entry>, Problem>| match read {
            Ok(found) => entries.extend(found),
            Err(problem) => problems.push(problem),
        };
        add(source::from_toml(DEFAULT_TOML, &Source::Default));
        if let Some(path) = &flags.config {
            add(source::from_file(path));
        }
        add(Ok(source::from_env(env)));
        add(Ok(flags.entries()));
        Self::read(Reader::new(entries, problems)).map_err(Problems)
    }

    /// All keys, with what is allowed for each.
    fn read(mut reader: Reader) -> Result<Self, Vec<Problem>> {
        let r = &mut reader;
        let server = ServerSettings {
            bind: r.text("server.bind", ADDRESS, address).unwrap_or(UNSPECIFIED),
            web_threads: r.count("server.web_threads", 1..=64),
            bodies_in_flight_bytes: r.count("server.bodies_in_flight_bytes", MIB..=16 * GIB),
            head_timeout: Duration::from_millis(r.whole("server.head_timeout_ms", 100..=HOUR_MS)),
            body_timeout: Duration::from_millis(r.whole("server.body_timeout_ms", 100..=HOUR_MS)),
            idle_timeout: Duration::from_millis(r.whole("server.idle_timeout_ms", 100..=HOUR_MS)),
            write_timeout: Duration::from_millis(r.whole("server.write_timeout_ms", 100..=HOUR_MS)),
        };
        let store = StoreSettings {
            data_dir: r.text("store.data_dir", FOLDER, folder),
            database_url: r.secret_text("database.url", DATABASE_URL, database_url, without_password),
            is_migrating: r.text("database.migrate", MIGRATE, migrate_word),
            writer_queue: r.count("store.writer_queue", 64..=1_000_000),
            reader_connections: r.count("store.reader_connections", 1..=64),
            timeouts: Timeouts {
                connect: Duration::from_millis(r.whole("database.connect_timeout_ms", 100..=HOUR_MS)),
                lock: Duration::from_millis(r.whole("database.lock_timeout_ms", 10..=HOUR_MS)),
                statement: Duration::from_millis(r.whole("database.statement_timeout_ms", 100..=HOUR_MS)),
                reader: Duration::from_millis(r.whole("store.reader_wait_ms", 10..=HOUR_MS)),
                slow: Duration::from_millis(r.whole("store.slow_ms", 1..=HOUR_MS)),
            },
            lanes_max: u32::try_from(r.whole("limits.lanes", 16..=1_000_000)).unwrap_or(u32::MAX),
        };
        let limits = Limits {
            input_bytes_max: r.count("limits.input_bytes", 1_024..=16 * MIB),
            result_bytes_max: r.count("limits.result_bytes", 1_024..=16 * MIB),
            output_bytes_max: r.whole("limits.output_bytes", 1_024..=GIB),
            queue_tasks_max: r.whole("limits.queue_tasks", 1..=1_000_000_000),
        };
        let lease = LeaseSettings {
            ttl_ms: r.whole("lease.ttl_ms", SECOND_MS..=DAY_MS),
            cancel_grace_ms: r.whole("lease.cancel_grace_ms", 0..=DAY_MS),
        };
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let rate_limit = RateLimitSettings {
            requests_per_second: small(r.whole("rate_limit.requests_per_second", 1..=1_000_000)),
            burst: small(r.whole("rate_limit.burst", 1..=1_000_000)),
        };
        let websocket = websocket(r);
        let retention_tasks = Duration::from_secs(r.whole("retention.tasks_s", 60..=3_650 * DAY_S));
        let agents = AgentSettings {
            offline_after_ms: r.whole("agents.offline_after_ms", SECOND_MS..=DAY_MS),
            stalled_after_ms: r.whole("agents.stalled_after_ms", SECOND_MS..=30 * DAY_MS),
            kill_grace_ms: r.whole("agents.kill_grace_ms", 0..=600 * SECOND_MS),
        };
        let drain_timeout = Duration::from_secs(r.whole("drain.timeout_s", 0..=600));
        let log = LogSettings {
            level: r.text("log.level", LEVEL, level),
            format: r.text("log.format", FORMAT, format_word),
        };
        let shown = reader.finish()?;
        Ok(Self {
            server,
            store,
            limits,
            lease,
            rate_limit,
            websocket,
            retention_tasks,
            agents,
            drain_timeout,
            log,
            shown,
        })
    }
}

fn websocket(r: &mut Reader) -> WebsocketSettings {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    WebsocketSettings {
        messages_per_second: small(r.whole("websocket.messages_per_second", 1..=1_000_000)),
        burst: small(r.whole("websocket.burst", 1..=1_000_000)),
        message_bytes: r.count("websocket.message_bytes", 1_024..=MIB),
        subscriptions: r.count("websocket.subscriptions", 1..=100),
        sessions: r.count("websocket.sessions", 1..=1_000_000),
        sessions_per_principal: r.count("websocket.sessions_per_principal", 1..=1_000_000),
        idle: Duration::from_secs(r.whole("websocket.idle_s", 1..=DAY_S)),
        ping: Duration::from_secs(r.whole("websocket.ping_s", 1..=DAY_S)),
        slow: Duration::from_millis(r.whole("websocket.slow_ms", 100..=HOUR_MS)),
        allowed_origins: r.text("websocket.allowed_origins", ORIGINS, origins),
    }
}

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;
const DAY_S: u64 = 24 * 3_600;
const DAY_MS: u64 = DAY_S * SECOND_MS;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Stands in for an address that was refused; nobody sees it, because a problem was noted.
const UNSPECIFIED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl Flags {
    fn entries(&self) -> Vec<Entry> {
        let entry = |key: &str, flag, text: String| Entry {
            key: key.to_owned(),
            raw: Raw::Text(text),
            source: Source::Flag(flag),
        };
        let data_dir = self.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned());
        let data_dir = data_dir.map(|text| entry("store.data_dir", "--data-dir", text));
        let bind = self.bind.clone().map(|text| entry("server.bind", "--bind", text));
        let database = self.database_url.clone().map(|text| entry("database.url", "--database-url", text));
        data_dir.into_iter().chain(bind).chain(database).collect()
    }
}

const ADDRESS: &str =
    "must be an address and a port, like 127.0.0.1:18080 or [::1]:18080 (port 0 takes a free one)";
const FOLDER: &str = "must be the path of a folder";
const DATABASE_URL: &str = "must be empty for the file in the data folder, or the URL of a PostgreSQL database like \
                            postgresql://hive@db.example/hive";
const ORIGINS: &str = "must be empty, or origins like https://ops.example with commas between them";
const LEVEL: &str = "must be error, warn, info, debug or trace, or by module like \"info,runtime=debug\"";
const MIGRATE: &str = "must be at_start or by_hand";
const FORMAT: &str = "must be auto, text or json";

fn address(text: &str) -> Option<Option<SocketAddr>> {
    text.parse().ok().map(Some)
}

fn folder(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn database_url(text: &str) -> Option<Option<Secret>> {
    let is_url = ["postgresql://", "postgres://"].iter().any(|scheme| text.starts_with(scheme));
    (is_url || text.is_empty()).then(|| is_url.then(|| Secret::new(text)))
}

/// A URL without the password in it; of what is no URL, nothing.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return if text.is_empty() { String::new() } else { "…".to_owned() };
    };
    // A password may also stand among the parameters.
    let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let parameters = if parameters.is_empty() { "" } else { "?…" };
    match rest.rsplit_once('@') {
        Some((login, place)) => {
            let user =
                login.split_once(':').map_or_else(|| login.to_owned(), |(user, _)| format!("{user}:…"));
            format!("{scheme}://{user}@{place}{parameters}")
        }
        None => format!("{scheme}://{rest}{parameters}"),
    }
}

fn origins(text: &str) -> Option<Vec<String>> {
    let all = || text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    // An origin is a scheme, a host and perhaps a port, nothing more.
    let is_origin = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ', '@', '?', '#']))
    };
    all().all(is_origin).then(|| all().map(str::to_owned).collect())
}

fn level(text: &str) -> Option<String> {
    let is_known = text.parse::<Targets>().is_ok() && !text.trim().is_empty();
    is_known.then(|| text.to_owned())
}

fn migrate_word(text: &str) -> Option<bool> {
    match text {
        "at_start" => Some(true),
        "by_hand" => Some(false),
        _ => None,
    }
}

fn format_word(text: &str) -> Option<LogFormat> {
    match text {
        "auto" => Some(LogFormat::Auto),
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}")).collect();
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    format!("{} {noun} with the settings:\n{}", problems.len(), lines.join("\n"))
}
