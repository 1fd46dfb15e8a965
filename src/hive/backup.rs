//! Backups: a copy of the database that says by itself what it is and whether it is whole.
//!
//! ```text
//!   ┌───────────────────────────────┬───────────────────────┬──────────────────────────────────────┐
//!   │ the database, as SQLite has it│ manifest: JSON, a line│ SHA-256 of all before, length, format│
//!   └───────────────────────────────┴───────────────────────┴──────────────────────────────────────┘
//! ```
//!
//! One file, because two can be parted. SQLite ignores what stands behind its last page, so that `sqlite3` opens a backup
//! as it is; and because the seal covers every byte before it, a plain pass over the file finds what any check of
//! tables would overlook. A checksum in a table of the copy could not cover the page it stands in.
//!
//! Everything of a hive is in its database: tasks, results, output, agents with the secret values of their
//! environments, keys, the log. The admin token is not: it belongs to the folder, and a restore keeps or makes one.
//!
//! Invariant: a file that bears its final name is whole, synced and for its owner alone (`0600`).
//!
//! Invariant: nothing is overwritten or removed: neither a backup nor a database that a restore replaces.
//!
//! Reading order: [`manifest`], [`seal`]; [`create`], [`verify`], [`restore`]; [`place`].

pub mod create;
pub mod manifest;
pub mod place;
pub mod restore;
pub mod seal;
pub mod verify;

use store::backup::Error;

use crate::failure::Failure;

/// What the store says of a database, with what to do about it.
pub(crate) fn told(error: &Error) -> Failure {
    let failure = Failure::surroundings(error);
    match error {
        Error::Missing(_) => failure.hint("--data-dir PATH names the folder of a hive"),
        Error::Newer { .. } => failure.hint("use the newer hive"),
        Error::Damaged(_) => failure.hint("restore a backup that `hive backup verify` finds whole"),
        Error::Database { .. } => failure,
    }
}
