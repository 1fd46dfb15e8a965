//! The writer on PostgreSQL: one transaction a batch on the node's one connection, and what becomes of it when
//! something fails.

use diesel::OptionalExtension;
use diesel::sql_types::BigInt;
use domain::Timestamp;

use super::connection::PgConn;
use super::node::Incarnation;
use crate::clock::Clock;
use crate::command::Command;
use crate::error::OpenError;
use crate::metrics::Metrics;
use crate::port::{BatchError, BatchWriter, Committed};
use crate::sql::apply::{self, Mode};
use crate::sql::batch::{Batch, Told};
use crate::sql::conn::Conn;
use crate::sql::failure::{Failure, Remedy};
use crate::sql::lanes::Lanes;
use crate::sql::statement::statement;

/// How often a batch is tried while others are in its way; each try waits for the lock timeout at most.
const TRIES: u32 = 5;

/// Applies batches to a PostgreSQL database.
pub(crate) struct PgWriter {
    conn: Conn,
    node: Incarnation,
    lanes: Lanes,
    lanes_max: usize,
    last_at: Timestamp,
    clock: Clock,
    metrics: Metrics,
}

/// How a transaction learns where the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// By reading it; when another node writes meanwhile, this transaction fails at its end and is tried again.
    Hoped,
    /// By locking it, so that nobody writes meanwhile.
    Held,
}

impl PgWriter {
    /// Opens the connection and loads where the lanes stand.
    pub(crate) fn open(
        url: &str,
        node: Incarnation,
        lanes_max: u32,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, OpenError> {
        let conn = PgConn::writer(url).map_err(|error| OpenError::Database(error.to_string()))?;
        let mut conn = Conn::from(conn);
        let lanes = Lanes::load(&mut conn).map_err(|error| OpenError::Database(error.to_string()))?;
        let lanes_max = usize::try_from(lanes_max).unwrap_or(usize::MAX);
        Ok(Self { conn, node, lanes, lanes_max, last_at: Timestamp::ZERO, clock, metrics })
    }

    /// One transaction. What was interned in it is forgotten when it fails.
    fn transact(&mut self, batch: &[Command], mode: Mode, turn: Turn) -> Result<Committed, Remedy> {
        let (now, last_seq) = self.begin(turn)?;
        let mut open = Batch::new(&mut self.conn, &mut self.lanes, self.lanes_max, now, last_seq);
        let nothing = open.mark();
        let committed = apply::apply(&mut open, batch, mode).and_then(|outcomes| {
            commit(&mut open, last_seq)?;
            Ok(outcomes)
        });
        match committed {
            Ok(outcomes) => {
                let Told { events, new_lanes } = open.told();
                self.last_at = now;
                Ok(Committed { outcomes, events, new_lanes })
            }
            Err(remedy) => {
                open.go_back(nothing);
                // Without a connection there is nothing to roll back.
                let _ = self.conn.batch_execute("ROLLBACK");
                Err(remedy)
            }
        }
    }

    /// Begins a transaction: proves that this node is still who it says, and asks what time it is and where the log
    /// stands. The node's row stays locked, so that nobody takes its number while this transaction may still commit.
    fn begin(&mut self, turn: Turn) -> Result<(Timestamp, i64), Remedy> {
        let conn = &mut self.conn;
        let failed = |conn: &Conn, error: diesel::result::Error| conn.remedy(&Failure::from(error));
        conn.batch_execute("BEGIN").map_err(|error| failed(conn, error))?;
        let (number, incarnation) =
            (i16::try_from(self.node.number).unwrap_or(i16::MAX), self.node.incarnation);
        let standing = match turn {
            Turn::Hoped => conn.get_result::<(i64, i64), _>(TakeTurn { number, incarnation }),
            Turn::Held => conn.get_result::<(i64, i64), _>(HoldTurn { number, incarnation }),
        };
        match standing.optional() {
            Ok(Some((now, last_seq))) => {
                let now = self.clock.heard(Timestamp::from_micros(now)).max(self.last_at);
                Ok((now, last_seq))
            }
            Ok(None) => {
                let _ = conn.batch_execute("ROLLBACK");
                let number = self.node.number;
                Err(Remedy::Reopen(format!(
                    "another hive has taken node number {number}: end one of the two"
                )))
            }
            Err(error) => {
                let remedy = failed(conn, error);
                let _ = conn.batch_execute("ROLLBACK");
                Err(remedy)
            }
        }
    }
}

/// Writes what is not written yet, bumps the log and commits.
fn commit(open: &mut Batch<'_>, last_seq: i64) -> Result<(), Remedy> {
    open.flush().map_err(|failure| open.conn.remedy(&failure))?;
    let seq = open.last_seq();
    if seq != last_seq {
        let bumped = open.conn.execute(BumpLog { expected: last_seq, seq });
        bumped.map_err(|error| open.conn.remedy(&error.into()))?;
    }
    apply::execute(open, "COMMIT")
}

impl BatchWriter for PgWriter {
    fn apply(&mut self, batch: &[Command]) -> Result<Committed, BatchError> {
        let (mut mode, mut turn) = (Mode::Together, Turn::Hoped);
        let mut tries = 0;
        loop {
            match self.transact(batch, mode, turn) {
                Ok(committed) => return Ok(committed),
                Err(Remedy::RefuseCommand(why)) if mode == Mode::Together => {
                    tracing::warn!(error = %why, commands = batch.len(), "a batch is applied command by command");
                    self.metrics.writer_replays.inc();
                    mode = Mode::Apart;
                }
                Err(Remedy::TryAgain(why)) => {
                    tries += 1;
                    if tries >= TRIES {
                        return Err(BatchError::Unavailable(why));
                    }
                    tracing::debug!(error = %why, commands = batch.len(), "a batch is tried again");
                    turn = Turn::Held;
                }
                Err(Remedy::Reopen(why) | Remedy::RefuseCommand(why) | Remedy::DiskFailed(why)) => {
                    return Err(BatchError::Unavailable(why));
                }
            }
        }
    }

    /// The server keeps its own house.
    fn tidy(&mut self) {}
}

statement! {
    /// What time it is and where the log stands, if this is still the node's incarnation.
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
