//! What an error of PostgreSQL means for the batch it happened in.
//!
//! diesel tells constraints, serialization failures and lost connections apart and gives the message for the rest. The
//! writer asks for messages in English; where its role may not, an error that is none of the constraints is first taken
//! for the command's own fault, and the batch is applied again command by command.

use diesel::result::{DatabaseErrorKind, Error};

use crate::sql::failure::Remedy;

/// Which check says that another node has written to the log since this transaction began.
const LOG_MOVED: &str = "log_head_moved";
/// How messages begin that say that somebody else was in the way: 40P01 and 55P03.
const IN_THE_WAY: [&str; 2] = ["deadlock detected", "canceling statement due to lock timeout"];
/// How the message begins that says that a statement took longer than it may: 57014.
const TOO_SLOW: &str = "canceling statement due to statement timeout";
/// How messages begin that say that this server, or this connection, is no longer to be written to: classes 53, 57P and
/// 58, a server that has become a standby, and a transaction that was ended from outside.
const OUT_OF_REACH: [&str; 12] = [
    "terminating connection",
    "terminating walreceiver",
    "the database system is",
    "could not extend file",
    "could not write",
    "could not open file",
    "could not access",
    "could not resize shared memory",
    "out of memory",
    "out of shared memory",
    "sorry, too many clients already",
    "remaining connection slots are reserved",
];

/// What to do about it.
pub(crate) fn of(error: &Error) -> Remedy {
    let text = error.to_string();
    match error {
        Error::DatabaseError(kind, said) => match kind {
            DatabaseErrorKind::SerializationFailure => Remedy::TryAgain(text),
            DatabaseErrorKind::CheckViolation if said.constraint_name() == Some(LOG_MOVED) => {
                Remedy::TryAgain(text)
            }
            DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::ReadOnlyTransaction => Remedy::Reopen(text),
            DatabaseErrorKind::Unknown => unknown(text),
            _ => Remedy::RefuseCommand(text),
        },
        Error::BrokenTransactionManager => Remedy::Reopen(text),
        _ => Remedy::RefuseCommand(text),
    }
}

fn unknown(text: String) -> Remedy {
    if IN_THE_WAY.iter().any(|known| text.starts_with(known)) {
        Remedy::TryAgain(text)
    } else if text.starts_with(TOO_SLOW) {
        Remedy::TooSlow(text)
    } else if OUT_OF_REACH.iter().any(|known| text.starts_with(known)) {
        Remedy::Reopen(text)
    } else {
        Remedy::RefuseCommand(text)
    }
}
