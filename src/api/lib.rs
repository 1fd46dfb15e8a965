//! The hive over HTTP: routes, principals, problem details, OpenAPI.
//!
//! ```text
//!   socket --> connection (limits on time) --> gate (correlation id, login, metrics, log line) --> one endpoint, one file
//!                 endpoint: body + parameters --protocol--> asked --RuntimeHandle--> outcome --views--> JSON
//!                 reads:    store::Readers and the feed's projection, never through a mailbox
//!   any error --> Problem --> application/problem+json, always
//! ```
//!
//! Invariant: `problem` alone turns errors into status codes, exhaustively.
//!
//! Invariant: nothing under `/api` but the document and its page is answered without a valid token, and no token reaches
//! a log line, a metric or an error.
//!
//! Invariant: one table (`routes`) drives the router and the OpenAPI document; a test compares them path by path.
//!
//! Invariant: request bodies are bounded, each and all together, before they are read; and so is every wait for a client.
//!
//! Invariant: every endpoint under `/api` names in its signature the right it demands (`allowed`); the table in
//! `docs/security.md` is made from that.
//!
//! Invariant: what runs commands on this machine needs the admin role, and values of an environment leave it never:
//! they are in no view, and no problem repeats them.
//!
//! Invariant: a lease whose client is gone before its answer is built was never accepted; the runtime hands it back.
//!
//! Reading order: [`state`], `server`, `connection`, `gate`, `routes`, `problem`; how a request is understood:
//! `principal`, `allowed`, [`rate_limit`], `correlation`, `address`, `body`, `path`, `query`, `idempotency`; how an answer is built: `answer`,
//! `views`, `sse`; then the endpoints, `submit_task`, `lease` and `follow_output` first; sessions over WebSocket: `live`, `work`; at last `health`, [`metrics`],
//! [`openapi()`], [`asyncapi()`], [`postman`]; the pages: `page_part`, `front_page`, `docs_page`.

mod address;
mod allowed;
mod answer;
mod asyncapi;
mod body;
mod connection;
mod correlation;
mod gate;
mod idempotency;
mod in_flight;
pub mod metrics;
pub mod openapi;
mod page_part;
mod path;
pub mod postman;
mod principal;
mod problem;
mod put_queue;
mod query;
pub mod rate_limit;
mod routes;
mod server;
mod sse;
pub mod state;
mod views;

mod append_output;
mod cancel_task;
mod complete_leases;
mod complete_task;
mod create_api_key;
mod docs_page;
mod drain_agent;
mod explain_task;
mod fail_task;
mod follow_output;
mod front_page;
mod health;
mod heartbeat;
mod lease;
mod list_actors;
mod list_agents;
mod list_api_keys;
mod list_attempts;
mod list_dead_letters;
mod list_events;
mod list_nodes;
mod list_output;
mod list_queues;
mod list_task_events;
mod list_tasks;
mod list_workspaces;
mod live;
mod patch_agent;
mod patch_task;
mod pause_queue;
mod prune_workspaces;
mod redrive;
mod register_agent;
mod remove_agent;
mod remove_api_key;
mod restart_agent;
mod resume_agent;
mod resume_queue;
mod retry_task;
mod show_agent;
mod show_performance;
mod show_queue;
mod show_system;
mod show_task;
mod submit_many;
mod submit_task;
mod work;

// as the table of routes names them
use live::broadcast as live_broadcast;
use live::connect as watch;
use live::disconnect as live_disconnect;
use live::show_contract as live_contract;
use live::show_health as live_health;
use live::show_limits as live_limits;
use live::show_metrics as live_metrics;
use live::show_stats as live_stats;
use live::stream_events;
use work::open as work_open;

pub use asyncapi::asyncapi;
pub use in_flight::InFlight;
pub use live::{LiveSettings, encoder};
pub use openapi::openapi;
pub use rate_limit::RateSettings;
pub use server::serve;
pub use state::{ApiSettings, ApiState, SystemFacts};
