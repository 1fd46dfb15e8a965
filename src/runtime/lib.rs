//! The actors of the hive.
//!
//! ```text
//!   RuntimeHandle --submit, finish, …--> Coordinator --commands--> writer (thread) --fsync--> answers
//!                 --lease--> AgentActor --offers--> Coordinator            |
//!                                ^-------claims that came back-------------+--events--> FeedActor --> Coordinator
//!                 --heartbeat--> Coordinator --> TaskActor (one an attempt) --renewal--> writer
//!                                      TaskActor --Launch--> links (a process under guard) --output, end--> TaskActor
//!   janitors (on timers) --sweeps--> Coordinator
//! ```
//!
//! Invariant: every write passes the coordinator; while it is down, writes are refused and reads go on.
//!
//! Invariant: persist, then act. Nobody is answered, handed work or told of anything before its commit.
//!
//! Invariant: every decision that matters is made again by the writer, under the database's lock, as a compare-and-set.
//! What the actors believe can only cost time, never a task.
//!
//! Reading order: [`handle`], [`coordinator`], [`agent`], [`task`], [`feed_actor`], [`janitor`], [`tree`]; then
//! [`shared`] with [`inbox`], [`board`], [`directory`], [`key_ring`] and [`performance`].

pub mod agent;
pub mod board;
pub mod caller;
pub mod collector;
pub mod coordinator;
pub mod directory;
pub mod error;
pub mod feed_actor;
pub mod handle;
pub mod inbox;
pub mod janitor;
pub mod key_ring;
pub mod metrics;
pub mod performance;
pub mod settings;
pub mod shared;
pub mod task;
pub mod tree;

pub use agent::{Consumer, LeaseCall, LeaseGrant};
pub use board::Progress;
pub use caller::Caller;
pub use error::Error;
pub use handle::keys::NewApiKey;
pub use handle::sessions::Attendance;
pub use handle::waits::{AHEAD_MAX, Wait};
pub use handle::{OutputPiece, ProgressReport, RuntimeHandle};
pub use key_ring::HeldKey;
pub use links::{Links, Presets, Pruned, WorkspaceRecord};
pub use performance::{Figures, PerformanceSeries, Quantiles};
pub use scheduling::Obstacle;
pub use settings::RuntimeSettings;
pub use shared::Phase;
pub use task::{AttemptEvent, AttemptNews};
pub use tree::{Parts, Runtime, StartError};
