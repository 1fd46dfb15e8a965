//! What can go wrong between the hive and its database.

use std::path::PathBuf;

/// Why a write was not applied or its fate is not known.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The writer's channel is full; nothing was written.
    #[error("the writer has more to do than it may queue")]
    Overloaded,
    /// The database could not take the batch (disk full, I/O, being reopened), or the writer died under it.
    /// Every command is safe to send again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The command was not begun, and nothing of it will be: the database is away, or nobody waits for it any more.
    #[error("the store is not available: {0}")]
    NotBegun(String),
    /// This one command cannot be stored; the others of its batch were.
    #[error("the database refuses this command: {0}")]
    Refused(String),
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database could not answer.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A stored row cannot be understood.
    #[error("a stored {what} cannot be understood: {why}")]
    Corrupt {
        /// Which kind of row, and which one.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another program serves from this folder.
    #[error("the data folder {} is in use by another hive", .0.display())]
    InUse(PathBuf),
    /// Another hive writes to the same PostgreSQL database under the same node number.
    #[error("node number {0} of this database is in use by another hive")]
    NodeInUse(u16),
    /// The folder or a file in it cannot be made, read or written.
    #[error("cannot use {}: {why}", .path.display())]
    NotUsable {
        /// What cannot be used.
        path: PathBuf,
        /// What the operating system says.
        why: String,
    },
    /// A newer program has migrated this database further than this one knows.
    #[error(
        "the database was written by a newer hive (it has migration {found}, this program knows up to {known})"
    )]
    Newer {
        /// The newest migration found.
        found: String,
        /// The newest migration known.
        known: String,
    },
    /// The database lacks migrations, and may not be migrated here.
    #[error("the database lacks {}{first}", if *count == 1 { "the migration ".to_owned() } else { format!("{count} migrations, the first of them ") })]
    Pending {
        /// How many.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A migration or the copy before it failed.
    #[error("cannot migrate the database: {0}")]
    Migration(String),
    /// The database does not answer as a hive's database should.
    #[error("cannot open the database: {0}")]
    Database(String),
}
