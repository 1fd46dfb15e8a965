//! How an assignment leaves for a real agent: a process under guard, in a workspace of its own.
//!
//! ```text
//!   TaskActor --Assignment--> Links::start --spawns--> hive exec-guard --spawns--> the agent's command
//!             <--output pieces-- Shaper <--stdout, stderr------------------------------'
//!             <--Ended (report, usage, workspace)-- ResultReader, GuardReport, Worktree
//!             ---Leash (end, or dropped)----------> control socket ---> the guard ends all it started
//! ```
//!
//! Invariant: no process outlives its guard's control socket. The guard leads the process group, adopts what leaves it,
//! and ends everything when the socket closes, however the hive ended.
//!
//! Invariant: a process is on record in the data folder before it runs, so that a start finds what is left.
//!
//! Invariant: a workspace is used by one attempt at a time, and is verified before anything runs in it.
//!
//! Invariant: values of the environment go to the process only: over the control socket, never on a command line.
//!
//! Reading order: [`attempt`], [`run`], [`guard`], [`leftovers`]; [`output`], [`result`]; [`workspace`]; [`preset`]; [`umask`].

pub mod attempt;
pub mod guard;
pub mod leftovers;
pub mod output;
pub mod preset;
pub mod result;
pub mod run;
pub mod umask;
pub mod workspace;

pub use attempt::{Assignment, Ended, Leash, OutputLimits, Running, Why};
pub use output::OutputPiece;
pub use preset::{Preset, Presets};
pub use run::{Error, LinkSettings, Links};
pub use workspace::{Pruned, WorkspaceRecord, Workspaces};
