//! OTP supervision for actix: actors that fail alone, are rebuilt, and can be looked at while they live.
//!
//! actix's own `Supervisor` neither rebuilds state nor survives a panic, its `do_send` ignores the mailbox's bound, and
//! its bound grows with the number of senders. This crate keeps actix's contexts and arbiters and replaces the rest.
//!
//! ```text
//!             Root ── failed(), shutdown()
//!               │
//!          supervisor ──────────── SupervisorRef: start_child, stop_child     Registry
//!            │     ▲                                                            ▲ snapshot, counters,
//!     orders │     │ exits (the only do_send)                                   │ recent failures, drills
//!            ▼     │                                                            │
//!   ┌─────── cell ───────┐   ┌─ thread ─┐   ┌─ supervisor ─┐    each registers an entry: path, kind,
//!   │ mailbox + behaviour│   │   body   │   │      …       │    state, incarnation, restarts, depth
//!   └────────────────────┘   └──────────┘   └──────────────┘
//!             ▲
//!          ActorRef: tell, ask, ask_within, ask_waiting
//! ```
//!
//! A *behaviour* is what the author of an actor writes: state, and a handler for each message. A *cell* is the actix
//! actor around it. When a handler, a future or the factory panics, the cell drops the behaviour, freezes its mailbox
//! and tells its supervisor; after the backoff the supervisor orders a restart, the factory builds the next
//! *incarnation*, and the messages that waited are handled by it. If restarts do not help, the supervisor gives the
//! child up or fails itself, towards its own supervisor, up to the root and so to the program.
//!
//! Invariant: a panic in a behaviour, its futures, its factory or the drop of its state ends one incarnation of one
//! actor. The arbiter, the neighbours and the messages behind it go on; the caller is told. The one exception is Rust's:
//! a panic in a `Drop` that runs because of another panic ends the process.
//!
//! Invariant: every actor has an owner, a path, a registry entry and a mailbox with an exact bound. Nothing outside of
//! this crate sees an `Addr` or a `MailboxError`.
//!
//! Invariant: a reference outlives what it refers to. An [`ActorRef`] can be made before its actor is started and stays
//! good over restarts (same mailbox, queued messages kept) and over a restart of the whole subtree.
//!
//! Invariant: an incarnation begins only after the one before has ended, also for threads, and also when that one was
//! late.
//!
//! Invariant: a shutdown waits for graces, never for a backoff: delays live in the supervisor's agenda, not in the child.
//!
//! In reading order: what authors write ([`Behaviour`], [`Handle`], [`Reply`], [`Context`]: `behaviour`, `context`), how
//! callers reach it (`actor_ref`, `error`, `slot`), the inside of an actor (`cell`, `work`, `mailbox`, `gate`, `guard`),
//! how children are described (`child_spec`, `supervisor_spec`, `thread`, `guest`), what parent and child tell each other
//! (`node`), the supervisor (`supervisor`, `supervisor_actor`, `turn`, `ending`, over `table`, `agenda`, `verdict` and
//! `intensity`), and what shows it all (`entry`, `registry`, `fault`, `home`, `watchdog`).
//!
//! Children of one supervisor are begun in the order of the spec, but a supervisor does not wait for one to be ready
//! before it begins the next: messages wait in the mailbox instead. A handler that never returns holds up its arbiter;
//! nothing can interrupt it, and only the [`Watchdog`] tells.

mod actor_ref;
mod agenda;
mod behaviour;
mod cell;
mod child_spec;
mod context;
mod ending;
mod entry;
mod error;
mod fault;
mod gate;
mod guard;
mod guest;
mod home;
mod intensity;
mod mailbox;
mod node;
mod registry;
mod slot;
mod supervisor;
mod supervisor_actor;
mod supervisor_spec;
mod table;
mod thread;
mod turn;
mod verdict;
mod watchdog;
mod work;

#[cfg(test)]
mod tests;

pub use actor_ref::{ActorRef, PendingAnswer};
pub use behaviour::{Behaviour, Handle, Promise, Reply};
pub use child_spec::{ChildSpec, Restart};
pub use context::{CancelHandle, Context};
pub use entry::{ActorState, LastError};
pub use error::{CallError, StartError};
pub use fault::{Fault, UnknownActor};
pub use guest::{Guest, GuestSpec};
pub use home::Home;
pub use intensity::{Backoff, Intensity, OnExhausted};
pub use registry::{ActorSnapshot, ArbiterSnapshot, Consequence, Failure, Registry, SnapshotFilter};
pub use supervisor::{Root, RootFailure, ShutdownReport, SupervisorRef};
pub use supervisor_spec::{GivenUp, Strategy, SupervisorSpec};
pub use table::StopOutcome;
pub use thread::{ThreadContext, ThreadError, ThreadSpec};
pub use watchdog::{Stall, Watchdog};
