//! The rules of the hive, pure: no I/O, no clock, no randomness; time and chance are arguments.
//!
//! ```text
//!   NewTask --review--> AcceptedTask --lane--> LaneSpec
//!   TaskStatus + Happening --transition--> Next | Refused        (one function decides)
//!   Outcome, Report, Backoff, Timeouts: what a decision needs and leaves behind
//!   Event: what is told of it, once it is committed
//! ```
//!
//! Invariant: `attempt` only grows and fences every report (see [`task`]).
//!
//! Invariant: a task is completed at most once, along any history (a property test of [`task`]).
//!
//! Invariant: ids never repeat and never go back (see [`id`]).
//!
//! Reading order: [`task`], [`attempt`], [`backoff`], [`timeouts`], [`new_task`], [`unique`], [`lane`], [`agent`],
//! [`process_link`], [`event`], [`api_key`]; then the small ones: [`id`], [`name`], [`time`], [`json`], [`secret`],
//! [`limits`], [`violation`].

pub mod agent;
pub mod api_key;
pub mod attempt;
pub mod backoff;
pub mod event;
pub mod id;
pub mod json;
pub mod lane;
pub mod limits;
pub mod name;
pub mod new_task;
pub mod process_link;
pub mod secret;
pub mod task;
pub mod time;
pub mod timeouts;
pub mod unique;
pub mod violation;

pub use agent::{Agent, AgentPatch, AgentState, Health, Link, NewAgent};
pub use api_key::{ApiKey, Role};
pub use attempt::{AttemptError, Outcome, Report, Usage, WorkspaceReport};
pub use backoff::Backoff;
pub use event::{Event, EventKind, Move};
pub use id::{ALPHABET, AgentId, ApiKeyId, IdGenerator, LaneId, TaskId, TenantId};
pub use lane::LaneSpec;
pub use limits::Limits;
pub use name::Name;
pub use new_task::{AcceptedTask, Labels, NewTask, Start};
pub use process_link::{
    Keep, ProcessLimits, ProcessLink, ProcessLinkEdit, PromptVia, ResultFormat, Workspace,
};
pub use secret::Secret;
pub use task::{Happening, Next, Refused, TaskState, TaskStatus, transition};
pub use time::Timestamp;
pub use timeouts::Timeouts;
pub use unique::{OnConflict, Unique, UniqueUntil};
pub use violation::{Review, Violation, Violations};
