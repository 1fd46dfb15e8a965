//! The beginning and the end of a transaction: whether this node may still write, what time it is, and where the log
//! stands.

use diesel::sql_types::BigInt;

use crate::sql::statement::statement;

/// How a transaction learns where the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// By reading it; when another node writes meanwhile, this transaction fails at its end and is tried again.
    Hoped,
    /// By locking it, so that nobody writes meanwhile.
    Held,
}

/// The server's time in microseconds, and the last `seq`.
pub(crate) type Standing = (i64, i64);

statement! {
    /// What time it is and where the log stands, if this is still the node's incarnation. The node's row stays locked,
    /// so that nobody takes its number while this transaction may still commit.
    TakeTurn { number: i16, incarnation: i64 } -> (BigInt, BigInt) =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, l.seq FROM nodes n, log_head l \
     WHERE n.number = "; number, " AND n.incarnation = "; incarnation, " FOR SHARE OF n"
}

statement! {
    /// The same, holding the log.
    HoldTurn { number: i16, incarnation: i64 } -> (BigInt, BigInt) =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, l.seq FROM nodes n, log_head l \
     WHERE n.number = "; number, " AND n.incarnation = "; incarnation, " FOR SHARE OF n FOR UPDATE OF l"
}

statement! {
    /// The log goes on after `seq`. Where it no longer stands at `expected`, the number written is one that the table
    /// refuses, and with it the transaction, whose COMMIT is already on its way.
    BumpLog { expected: i64, seq: i64 } =
    "UPDATE log_head SET seq = CASE WHEN seq = "; expected, " THEN "; seq, " ELSE -1 END WHERE id = 1"
}
