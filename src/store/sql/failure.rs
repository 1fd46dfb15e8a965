//! What a diesel error means for the batch it happened in.
//!
//! diesel tells SQLite's constraint codes apart and gives the message for the rest; SQLite's messages for the classes
//! below are fixed texts of `sqlite3_errstr`.

use diesel::result::{DatabaseErrorKind, Error};
use domain::TaskId;

use crate::error::{OpenError, ReadError};

/// Why one command, or a read, could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The database says no: in its words.
    #[error(transparent)]
    Database(#[from] Error),
    /// A stored row cannot be understood.
    #[error("a stored {what} cannot be understood: {why}")]
    Corrupt {
        /// Which kind of row, and which one.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The command asks for what cannot be stored.
    #[error("{0}")]
    Unfit(String),
}

/// What to do about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The command is to blame: the others of its batch can be stored.
    RefuseCommand(String),
    /// A statement took longer than it may: the others of its batch can be stored, and this one be sent again.
    TooSlow(String),
    /// Another connection holds the database: try the batch again.
    TryAgain(String),
    /// The database is out of reach: open it anew.
    Reopen(String),
    /// The disk failed to read, write or sync.
    DiskFailed(String),
}

impl From<diesel::ConnectionError> for Failure {
    fn from(error: diesel::ConnectionError) -> Self {
        match error {
            diesel::ConnectionError::CouldntSetupConfiguration(error) => Self::Database(error),
            other => Self::Database(Error::QueryBuilderError(other.into())),
        }
    }
}

impl Failure {
    /// A row that cannot be understood.
    pub(crate) fn corrupt(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), why: why.into() }
    }

    /// The same, of a row that belongs to this task.
    pub(crate) fn of_task(self, task: TaskId) -> Self {
        match self {
            Self::Corrupt { what, why } if what != task.to_string() => {
                Self::corrupt(task.to_string(), format!("{what}: {why}"))
            }
            other => other,
        }
    }

    /// What happened, in the words of whoever knows: what the database said, where it said something.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Database(error) => error.to_string(),
            Self::Corrupt { .. } | Self::Unfit(_) => self.to_string(),
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Database(error) => remedy(error),
            Self::Corrupt { .. } | Self::Unfit(_) => Remedy::RefuseCommand(self.to_string()),
        }
    }
}

impl Remedy {
    /// Before a commit nothing was synced, and a disk that fails is only out of reach.
    pub(crate) fn before_commit(self) -> Self {
        match self {
            Self::DiskFailed(why) => Self::Reopen(why),
            other @ (Self::RefuseCommand(_) | Self::TooSlow(_) | Self::TryAgain(_) | Self::Reopen(_)) => {
                other
            }
        }
    }
}

impl From<Failure> for ReadError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Corrupt { what, why } => Self::Corrupt { what, why },
            other @ (Failure::Database(_) | Failure::Unfit(_)) => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Database(failure.to_string())
    }
}

/// Messages of SQLITE_BUSY, SQLITE_LOCKED and SQLITE_PROTOCOL.
const BUSY: [&str; 3] = ["database is locked", "database table is locked", "locking protocol"];
/// Messages of SQLITE_FULL, READONLY, CORRUPT, CANTOPEN, NOTADB and NOMEM.
const OUT_OF_REACH: [&str; 6] = [
    "database or disk is full",
    "attempt to write a readonly database",
    "database disk image is malformed",
    "unable to open database file",
    "file is not a database",
    "out of memory",
];
/// Message of SQLITE_IOERR, whatever failed: read, write or sync.
const DISK: &str = "disk I/O error";

fn remedy(error: &Error) -> Remedy {
    let text = error.to_string();
    match error {
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _) | Error::BrokenTransactionManager => {
            Remedy::Reopen(text)
        }
        Error::DatabaseError(DatabaseErrorKind::Unknown, _) => {
            if text.starts_with(DISK) {
                Remedy::DiskFailed(text)
            } else if BUSY.iter().any(|known| text.starts_with(known)) {
                Remedy::TryAgain(text)
            } else if OUT_OF_REACH.iter().any(|known| text.starts_with(known)) {
                Remedy::Reopen(text)
            } else {
                Remedy::RefuseCommand(text)
            }
        }
        _ => Remedy::RefuseCommand(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Remedy {
        Failure::from(Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))).remedy()
    }

    #[test]
    fn sqlites_messages_are_told_apart() {
        assert!(matches!(told("database is locked"), Remedy::TryAgain(_)));
        assert!(matches!(told("database or disk is full"), Remedy::Reopen(_)));
        assert!(matches!(told("attempt to write a readonly database"), Remedy::Reopen(_)));
        assert!(matches!(told("disk I/O error"), Remedy::DiskFailed(_)));
        assert!(matches!(told("a trigger said no"), Remedy::RefuseCommand(_)));
    }

    #[test]
    fn why_a_database_cannot_be_opened_is_said_in_its_words() {
        let failed = diesel::ConnectionError::CouldntSetupConfiguration(Error::DatabaseError(
            DatabaseErrorKind::Unknown,
            Box::new("file is not a database".to_owned()),
        ));
        let said = OpenError::from(Failure::from(failed)).to_string();
        assert_eq!(said, "cannot open the database: file is not a database");
    }

    #[test]
    fn a_broken_constraint_is_the_commands_own_fault() {
        let broken =
            Error::DatabaseError(DatabaseErrorKind::CheckViolation, Box::new("CHECK failed".to_owned()));
        assert!(matches!(Failure::from(broken).remedy(), Remedy::RefuseCommand(_)));
    }
}
