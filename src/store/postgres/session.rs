//! What commands and queries run their statements on: a connection, and the unit of work of its open transaction.
//!
//! Rows that the unit holds are read and written there; a statement that goes to the database by itself finds written
//! what was to be written before it. [`PgSession::begin`] reads what a batch will ask for and [`PgSession::commit`] writes
//! what it left behind, each in one round trip: requests are sent one after the other and their answers awaited together.

use std::time::{Duration, Instant};

use diesel::OptionalExtension;
use diesel::result::QueryResult;
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::LocalBoxFuture;
use prometheus::HistogramVec;

use super::connection::PgConn;
use super::events::InsertEvents;
use super::fetch::{self, Fetched};
use super::stores::{InsertAttempts, InsertSpecs, InsertTasks, InsertUniques, StoreKeys, UpdateTasks};
use super::turn::{BumpLog, Standing, Turn};
use super::unit::Unit;
use super::wanted::Wanted;
use crate::command::Command;
use crate::sql::event_row::LinkedEvent;

/// A connection. Only a writer's gathers rows in a unit of work.
pub(crate) struct PgSession {
    pub(super) conn: PgConn,
    pub(super) unit: Unit,
    /// Only of a writer.
    watch: Option<Watch>,
}

/// What is measured of a writer's round trips.
struct Watch {
    seconds: HistogramVec,
    slow: Duration,
}

impl PgSession {
    /// A session that reads, or writes each statement by itself.
    pub(crate) fn new(conn: PgConn) -> Self {
        Self { conn, unit: Unit::default(), watch: None }
    }

    /// A session for transactions of many commands.
    pub(crate) fn writer(conn: PgConn, seconds: HistogramVec, slow: Duration) -> Self {
        Self { watch: Some(Watch { seconds, slow }), ..Self::new(conn) }
    }

    /// Whether rows are gathered.
    pub(crate) const fn is_writer(&self) -> bool {
        self.watch.is_some()
    }

    /// Notes how long a round trip took that began then.
    fn note(&self, kind: &'static str, began: Instant) {
        let Some(Watch { seconds, slow }) = &self.watch else { return };
        let took = began.elapsed();
        seconds.with_label_values(&[kind]).observe(took.as_secs_f64());
        if took >= *slow {
            tracing::warn!(kind, seconds = took.as_secs_f64(), "a round trip to the database was slow");
        }
    }

    /// All rows. Finds written what was to be written.
    pub(crate) fn load<'q, U, S>(&mut self, statement: S) -> QueryResult<Vec<U>>
    where
        U: Send,
        S: LoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        self.settle()?;
        self.peek_all(statement)
    }

    /// The first row; `NotFound` when there is none. Finds written what was to be written.
    pub(crate) fn get_result<'q, U, S>(&mut self, statement: S) -> QueryResult<U>
    where
        U: Send,
        S: LoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        self.settle()?;
        self.peek(statement)
    }

    /// How many rows it wrote. What is known of rows may be so no longer, and is forgotten.
    pub(crate) fn execute<S>(&mut self, statement: S) -> QueryResult<usize>
    where
        S: ExecuteDsl<AsyncPgConnection>,
    {
        self.settle()?;
        self.forget();
        self.execute_aside(statement)
    }

    /// The first row of what the unit does not hold.
    pub(crate) fn peek<'q, U, S>(&mut self, statement: S) -> QueryResult<U>
    where
        U: Send,
        S: LoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        let began = Instant::now();
        let found = self.conn.wait(|conn| RunQueryDsl::get_result(statement, conn));
        self.note("read", began);
        found
    }

    /// How many rows it wrote to a table of which the unit holds nothing.
    pub(crate) fn execute_aside<S>(&mut self, statement: S) -> QueryResult<usize>
    where
        S: ExecuteDsl<AsyncPgConnection>,
    {
        let began = Instant::now();
        let written = self.conn.wait(|conn| RunQueryDsl::execute(statement, conn));
        self.note("write", began);
        written
    }

    /// Runs statements without binds and without rows, as they stand.
    pub(crate) fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        self.conn.batch_execute(sql)
    }

    /// Forgets all rows, also those that were to be written: their transaction, or its savepoint, is taken back.
    pub(crate) fn forget(&mut self) {
        self.unit = Unit::default();
    }

    /// Prepares every statement of [`Self::begin`] and [`Self::commit`], so that none has to be prepared between others
    /// that are on their way: the order in which they are sent is the order in which they take effect.
    pub(crate) fn warm_up(&mut self) -> QueryResult<()> {
        self.batch_execute("BEGIN")?;
        let (unit, nothing) = (Unit::default(), Wanted::default());
        for load in [Turn::Hoped, Turn::Held] {
            self.conn.one_by_one(|conn| fetch::loads(conn, load, (0, 0), &nothing, true))?;
        }
        // The log never stands below zero: this one is refused before it waits for whoever holds the log.
        let stand = BumpLog { expected: -1, seq: 0 };
        self.conn.one_by_one(|conn| vec![boxed(stand.execute(&mut &*conn))]).or_else(unless_refused)?;
        self.batch_execute("ROLLBACK; BEGIN")?;
        self.conn.one_by_one(|conn| {
            let mut stores = stores(conn, &unit, true);
            stores.push(boxed(InsertEvents::default().execute(&mut &*conn)));
            stores
        })?;
        self.batch_execute("ROLLBACK")
    }

    /// Begins a transaction and reads what these commands will ask for. `None` when another incarnation has the node's
    /// number.
    pub(crate) fn begin(
        &mut self,
        turn: Turn,
        node: (i16, i64),
        batch: &[Command],
    ) -> QueryResult<Option<Standing>> {
        self.forget();
        let wanted = Wanted::by(batch);
        let began = Instant::now();
        let fetched = self.conn.together(|conn| fetch::loads(conn, turn, node, &wanted, false));
        self.note("begin", began);
        let fetched = fetched?;
        let mut standing = None;
        for fetched in fetched {
            match fetched {
                Fetched::Standing(found) => standing = found,
                fetched => fetch::learn(&mut self.unit, fetched),
            }
        }
        fetch::learn_absences(&mut self.unit, &wanted);
        Ok(standing)
    }

    /// Writes what is to be written, the end of the log and the events, and commits.
    pub(crate) fn commit(&mut self, events: &[LinkedEvent], bump: Option<BumpLog>) -> QueryResult<()> {
        let (unit, began) = (&self.unit, Instant::now());
        let committed = self.conn.together(|conn| {
            let mut train = stores(conn, unit, false);
            // Before the events: where another node has written meanwhile, it is the bump that says so.
            if let Some(bump) = bump {
                train.push(boxed(bump.execute(&mut &*conn)));
            }
            if !events.is_empty() {
                train.push(boxed(InsertEvents::of(events).execute(&mut &*conn)));
            }
            train.push(Box::pin(async move { (&*conn).batch_execute("COMMIT").await.map(|()| 0) }));
            train
        });
        self.note("commit", began);
        committed?;
        self.forget();
        Ok(())
    }

    /// Writes what is to be written and these events; the transaction goes on.
    pub(crate) fn insert_events(&mut self, events: &[LinkedEvent]) -> QueryResult<()> {
        self.settle()?;
        if !events.is_empty() {
            self.execute_aside(InsertEvents::of(events))?;
        }
        Ok(())
    }

    /// Writes what is to be written; what is known stays known.
    fn settle(&mut self) -> QueryResult<()> {
        if self.unit.is_clean() {
            return Ok(());
        }
        let (unit, began) = (&self.unit, Instant::now());
        let stored = self.conn.together(|conn| stores(conn, unit, false));
        self.note("settle", began);
        stored?;
        self.unit.wash();
        Ok(())
    }

    /// All rows of what the unit does not hold.
    pub(super) fn peek_all<'q, U, S>(&mut self, statement: S) -> QueryResult<Vec<U>>
    where
        U: Send,
        S: LoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        let began = Instant::now();
        let found = self.conn.wait(|conn| RunQueryDsl::load(statement, conn));
        self.note("read", began);
        found
    }

    /// The first row of what the unit does not hold, if there is one.
    pub(super) fn peek_optional<'q, U, S>(&mut self, statement: S) -> QueryResult<Option<U>>
    where
        U: Send,
        S: LoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        self.peek(statement).optional()
    }
}

/// The statements that write what a unit holds; those without rows only where they are to be prepared.
fn stores<'c>(
    conn: &'c AsyncPgConnection,
    unit: &Unit,
    is_for_warmth: bool,
) -> Vec<LocalBoxFuture<'c, QueryResult<usize>>> {
    let mut stores = Vec::with_capacity(9);
    let tasks = InsertTasks::of(unit);
    if is_for_warmth || !tasks.id.is_empty() {
        stores.push(boxed(tasks.execute(&mut &*conn)));
    }
    let changed = UpdateTasks::of(unit);
    if is_for_warmth || !changed.id.is_empty() {
        stores.push(boxed(changed.execute(&mut &*conn)));
    }
    let specs = InsertSpecs::of(unit);
    if is_for_warmth || !specs.task.is_empty() {
        stores.push(boxed(specs.execute(&mut &*conn)));
    }
    let attempts = InsertAttempts::of(unit);
    if is_for_warmth || !attempts.task.is_empty() {
        stores.push(boxed(attempts.execute(&mut &*conn)));
    }
    let keys = StoreKeys::of(unit);
    if is_for_warmth || !keys.tenant.is_empty() {
        stores.push(boxed(keys.execute(&mut &*conn)));
    }
    let uniques = InsertUniques::of(unit);
    if is_for_warmth || !uniques.tenant.is_empty() {
        stores.push(boxed(uniques.execute(&mut &*conn)));
    }
    stores
}

fn boxed<'c, T>(future: impl Future<Output = T> + 'c) -> LocalBoxFuture<'c, T> {
    Box::pin(future)
}

/// A bump that the table refuses has been prepared all the same.
fn unless_refused(error: diesel::result::Error) -> QueryResult<Vec<usize>> {
    match error {
        diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::CheckViolation, _) => {
            Ok(Vec::new())
        }
        other => Err(other),
    }
}

/// Statements of a batch, for tests that look at their plans.
#[cfg(test)]
pub(crate) mod plans {
    use super::super::loads::{LockHeads, LockTasks};
    use super::super::stores::UpdateTasks;

    /// Heads of two runs.
    pub(crate) fn heads() -> LockHeads {
        LockHeads::of([(1, 5, 0, 9), (2, 5, 0, 9)].into_iter())
    }

    /// Two tasks.
    pub(crate) fn tasks() -> LockTasks {
        LockTasks { id: vec![1, 2] }
    }

    /// No tasks that changed.
    pub(crate) fn changes() -> UpdateTasks {
        UpdateTasks::default()
    }
}
