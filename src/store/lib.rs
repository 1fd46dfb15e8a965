//! The hive's store: one group-commit writer, many readers, embedded SQLite or a PostgreSQL server. No diesel type in its
//! public API.
//!
//! ```text
//!   WriterHandle --Command--> queue --batch--> WriterLoop --apply--> BatchWriter (SQLite or PostgreSQL)
//!        ^                                         |                    one transaction, one fsync
//!        +------------- answers, after the commit -+--> CommitNotice: events and new lanes, for the feed
//!   Readers: connections that cannot write, one blocking hop a call
//!   CheckpointLoop: moves what is committed from SQLite's write-ahead log into the database, each second; on a server it
//!   uses the connection that holds the node's number
//! ```
//!
//! Invariant: persist, then act. An outcome leaves the writer only after its commit is on disk.
//!
//! Invariant: `seq` is gapless and in commit order, whatever happens.
//!
//! Invariant: the writer is the only one that writes; readers cannot, and a lock on the folder keeps other hives out. On
//! PostgreSQL each batch proves that its node's number is still its own.
//!
//! Reading order: [`command`], [`outcome`], [`record`], [`port`], [`error`]; [`mod@open`], [`writer`], [`readers`],
//! [`quarantine`], [`checkpointer`], [`backup`], [`server`], [`migrations`],
//! [`mod@copy`]; [`place`], [`threads`], [`timeouts`], [`clock`], [`metrics`]; then `sql`, where the tables are, `sqlite` and
//! `postgres`.
pub mod backup;
pub mod checkpointer;
pub mod clock;
pub mod command;
pub mod copy;
pub mod error;
pub mod metrics;
pub mod migrations;
pub mod open;
pub mod outcome;
pub mod place;
pub mod port;
mod postgres;
pub mod quarantine;
pub mod readers;
pub mod record;
pub mod server;
mod sql;
mod sqlite;
pub mod threads;
pub mod timeouts;
pub mod writer;

pub use checkpointer::CheckpointLoop;
pub use clock::Clock;
pub use command::{Chore, Command, Write};
pub use error::{OpenError, ReadError, WriteError};
pub use metrics::Metrics;
pub use open::{FolderLock, NodeLock, OpenOptions, Store, open, open_at};
pub use place::Place;
pub use quarantine::Quarantine;
pub use readers::{Census, Readers};
pub use threads::Threads;
pub use timeouts::Timeouts;
pub use writer::{CommitNotice, Turn, WriteLoopError, WriterHandle, WriterLoop};

#[cfg(test)]
mod conformance;
