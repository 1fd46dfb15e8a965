//! The writer on PostgreSQL: one transaction a batch on the node's one connection, and what becomes of it when
//! something fails.

use domain::Timestamp;

use super::connection::{Address, PgConn};
use super::node::Incarnation;
use super::remedy;
use super::session::PgSession;
use super::turn::{BumpLog, Turn};
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

impl PgWriter {
    /// Opens the connection, once nothing is under way on the one before, and loads where the lanes stand.
    pub(crate) fn open(
        address: impl Into<Address>,
        node: Incarnation,
        lanes_max: u32,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, OpenError> {
        let address = address.into();
        let slow = address.slow();
        let conn = PgConn::writer(&address).map_err(Failure::from)?;
        let mut session = PgSession::writer(conn, metrics.writer_statement_seconds.clone(), slow);
        node.prove(&mut session)?;
        session.warm_up().map_err(Failure::from)?;
        let mut conn = Conn::Postgres(Box::new(session));
        let lanes = Lanes::load(&mut conn)?;
        let lanes_max = usize::try_from(lanes_max).unwrap_or(usize::MAX);
        Ok(Self { conn, node, lanes, lanes_max, last_at: Timestamp::ZERO, clock, metrics })
    }

    /// One transaction. What was interned in it is forgotten when it fails.
    fn transact(&mut self, batch: &[Command], mode: Mode, turn: Turn) -> Result<Committed, Remedy> {
        // Apart, each command reads its rows by itself, so that what is wrong with them is its own affair.
        let foreseen = if mode == Mode::Together { batch } else { &[] };
        let (now, last_seq) = self.begin(foreseen, turn)?;
        let most = (self.lanes_max, &self.metrics.quarantine);
        let mut open = Batch::new(&mut self.conn, &mut self.lanes, most, now, last_seq);
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
                self.roll_back();
                Err(remedy)
            }
        }
    }

    /// Begins a transaction: proves that this node is still who it says, asks what time it is and where the log stands,
    /// and reads what the batch will ask for.
    fn begin(&mut self, batch: &[Command], turn: Turn) -> Result<(Timestamp, i64), Remedy> {
        let node = (i16::try_from(self.node.number).unwrap_or(i16::MAX), self.node.incarnation);
        let why = match self.session()?.begin(turn, node, batch) {
            Ok(Some((now, last_seq))) => {
                let now = self.clock.heard(Timestamp::from_micros(now)).max(self.last_at);
                return Ok((now, last_seq));
            }
            Ok(None) => {
                let number = self.node.number;
                Remedy::Reopen(format!("another hive has taken node number {number}: end one of the two"))
            }
            Err(error) => remedy::of(&error),
        };
        self.roll_back();
        Err(why)
    }

    fn roll_back(&mut self) {
        if let Ok(session) = self.session() {
            session.forget();
        }
        // Without a connection there is nothing to roll back.
        let _ = self.conn.batch_execute("ROLLBACK");
    }

    fn session(&mut self) -> Result<&mut PgSession, Remedy> {
        session(&mut self.conn)
    }
}

/// Levers for tests.
#[cfg(test)]
impl PgWriter {
    /// Sets its connection to something.
    pub(crate) fn execute(&mut self, sql: &str) {
        self.conn.batch_execute(sql).expect("the connection works");
    }

    /// How many batches it has applied command by command.
    pub(crate) fn replays(&self) -> u64 {
        self.metrics.writer_replays.get()
    }

    /// How many of its batches were tried again.
    pub(crate) fn tries(&self) -> u64 {
        self.metrics.writer_retries.get()
    }

    /// Which of the server's processes serves it.
    pub(crate) fn server_process(&mut self) -> i32 {
        let pid = diesel::dsl::sql::<diesel::sql_types::Integer>("SELECT pg_backend_pid()");
        let Conn::Postgres(session) = &mut self.conn else { panic!("this is PostgreSQL's writer") };
        session.peek(pid).expect("the connection works")
    }

    /// Begins a batch that holds the log, and does not go on.
    pub(crate) fn stand_still(&mut self, batch: &[Command]) {
        assert!(self.begin(batch, Turn::Held).is_ok());
    }
}

fn session(conn: &mut Conn) -> Result<&mut PgSession, Remedy> {
    match conn {
        Conn::Postgres(session) => Ok(session),
        Conn::Sqlite(_) => Err(Remedy::Reopen("this is no connection to PostgreSQL".to_owned())),
    }
}

/// Writes what is not written yet, bumps the log and commits.
fn commit(open: &mut Batch<'_>, expected: i64) -> Result<(), Remedy> {
    let seq = open.last_seq();
    let bump = (seq != expected).then_some(BumpLog { expected, seq });
    let (conn, events) = open.unwritten();
    session(conn)?.commit(events, bump).map_err(|error| remedy::of(&error))
}

impl BatchWriter for PgWriter {
    fn apply(&mut self, batch: &[Command]) -> Result<Committed, BatchError> {
        let (mut mode, mut turn) = (Mode::Together, Turn::Hoped);
        let mut tries = 0;
        loop {
            match self.transact(batch, mode, turn) {
                Ok(committed) => return Ok(committed),
                Err(Remedy::RefuseCommand(why) | Remedy::TooSlow(why)) if mode == Mode::Together => {
                    tracing::warn!(error = %why, commands = batch.len(), "a batch is applied command by command");
                    self.metrics.writer_replays.inc();
                    // Its events are written before its end, so that nobody else may write any meanwhile.
                    (mode, turn) = (Mode::Apart, Turn::Held);
                }
                Err(Remedy::TryAgain(why)) => {
                    tries += 1;
                    self.metrics.writer_retries.inc();
                    if tries >= TRIES {
                        return Err(BatchError::Busy(why));
                    }
                    tracing::debug!(error = %why, commands = batch.len(), "a batch is tried again");
                    turn = Turn::Held;
                }
                Err(Remedy::TooSlow(why)) => return Err(BatchError::Busy(why)),
                Err(Remedy::Reopen(why) | Remedy::RefuseCommand(why) | Remedy::DiskFailed(why)) => {
                    return Err(BatchError::Unavailable(why));
                }
            }
        }
    }

    /// The server keeps its own house.
    fn tidy(&mut self) {}
}
