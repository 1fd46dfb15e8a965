//! What commands and queries run their statements on.

use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;
use diesel_async::methods::{ExecuteDsl, LoadQuery};

use super::connection::PgConn;
use super::events::InsertEvents;
use crate::sql::event_row::LinkedEvent;

/// A connection.
pub(crate) struct PgSession {
    conn: PgConn,
}

impl PgSession {
    /// A session on a connection.
    pub(crate) const fn new(conn: PgConn) -> Self {
        Self { conn }
    }

    /// All rows.
    pub(crate) fn load<'q, U, S>(&mut self, statement: S) -> QueryResult<Vec<U>>
    where
        U: Send,
        S: LoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        self.conn.wait(|conn| diesel_async::RunQueryDsl::load(statement, conn))
    }

    /// The first row; `NotFound` when there is none.
    pub(crate) fn get_result<'q, U, S>(&mut self, statement: S) -> QueryResult<U>
    where
        U: Send,
        S: LoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        self.conn.wait(|conn| diesel_async::RunQueryDsl::get_result(statement, conn))
    }

    /// How many rows it wrote.
    pub(crate) fn execute<S>(&mut self, statement: S) -> QueryResult<usize>
    where
        S: ExecuteDsl<AsyncPgConnection>,
    {
        self.conn.wait(|conn| diesel_async::RunQueryDsl::execute(statement, conn))
    }

    /// Runs statements without binds and without rows.
    pub(crate) fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        self.conn.batch_execute(sql)
    }

    /// Writes events in order.
    pub(crate) fn insert_events(&mut self, events: &[LinkedEvent]) -> QueryResult<()> {
        if !events.is_empty() {
            self.execute(InsertEvents::of(events))?;
        }
        Ok(())
    }
}
