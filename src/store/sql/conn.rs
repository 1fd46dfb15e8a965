//! A connection to one of the two databases: every statement is written once and runs on either.

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use diesel::query_dsl::methods::{ExecuteDsl, LoadQuery};
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use diesel_async::AsyncPgConnection;
use diesel_async::methods::{ExecuteDsl as AsyncExecuteDsl, LoadQuery as AsyncLoadQuery};

use crate::postgres::connection::PgConn;
use crate::postgres::remedy;
use crate::postgres::session::PgSession;
use crate::sql::failure::{Failure, Remedy};
use crate::sqlite::session::SqliteSession;

/// A connection, inside or outside of a transaction. Each call blocks until the database has answered.
pub(crate) enum Conn {
    /// To a file of our own.
    Sqlite(Box<SqliteSession>),
    /// To a server.
    Postgres(Box<PgSession>),
}

impl Conn {
    /// All rows.
    pub(crate) fn load<'q, U, S>(&mut self, statement: S) -> QueryResult<Vec<U>>
    where
        U: Send,
        S: LoadQuery<'q, SqliteConnection, U> + AsyncLoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        match self {
            Self::Sqlite(session) => diesel::RunQueryDsl::load(statement, session.written()?),
            Self::Postgres(session) => session.load(statement),
        }
    }

    /// The first row; `NotFound` when there is none.
    pub(crate) fn get_result<'q, U, S>(&mut self, statement: S) -> QueryResult<U>
    where
        U: Send,
        S: LoadQuery<'q, SqliteConnection, U> + AsyncLoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        match self {
            Self::Sqlite(session) => diesel::RunQueryDsl::get_result(statement, session.written()?),
            Self::Postgres(session) => session.get_result(statement),
        }
    }

    /// How many rows it wrote.
    pub(crate) fn execute<S>(&mut self, statement: S) -> QueryResult<usize>
    where
        S: ExecuteDsl<SqliteConnection> + RunQueryDsl<SqliteConnection> + AsyncExecuteDsl<AsyncPgConnection>,
    {
        match self {
            Self::Sqlite(session) => diesel::RunQueryDsl::execute(statement, session.written()?),
            Self::Postgres(session) => session.execute(statement),
        }
    }

    /// How many rows it wrote to a table of which no unit of work holds rows: output and lanes.
    pub(crate) fn execute_aside<S>(&mut self, statement: S) -> QueryResult<usize>
    where
        S: ExecuteDsl<SqliteConnection> + RunQueryDsl<SqliteConnection> + AsyncExecuteDsl<AsyncPgConnection>,
    {
        match self {
            Self::Sqlite(session) => diesel::RunQueryDsl::execute(statement, session.aside()),
            Self::Postgres(session) => session.execute_aside(statement),
        }
    }

    /// The first row of what no unit of work holds; `NotFound` when there is none.
    pub(crate) fn peek<'q, U, S>(&mut self, statement: S) -> QueryResult<U>
    where
        U: Send,
        S: LoadQuery<'q, SqliteConnection, U> + AsyncLoadQuery<'q, AsyncPgConnection, U> + 'q,
    {
        match self {
            Self::Sqlite(session) => diesel::RunQueryDsl::get_result(statement, session.aside()),
            Self::Postgres(session) => session.peek(statement),
        }
    }

    /// The session of a writer that gathers rows in a unit of work.
    pub(crate) fn gathering(&mut self) -> Option<&mut PgSession> {
        match self {
            Self::Postgres(session) if session.is_writer() => Some(session),
            Self::Postgres(_) | Self::Sqlite(_) => None,
        }
    }

    /// Whether SQLite's writer may gather new tasks, which it does not where each command stands by itself. A server's always
    /// gathers.
    pub(crate) const fn gather(&mut self, may_gather: bool) {
        match self {
            Self::Sqlite(session) => session.gather(may_gather),
            Self::Postgres(_) => {}
        }
    }

    /// The session that gathers new tasks now, of SQLite's writer.
    pub(crate) const fn adding(&mut self) -> Option<&mut SqliteSession> {
        match self {
            Self::Sqlite(session) if session.is_gathering() => Some(session),
            Self::Postgres(_) | Self::Sqlite(_) => None,
        }
    }

    /// Writes what was gathered of new tasks; a server's waits for the end of its unit of work.
    pub(crate) fn write(&mut self) -> QueryResult<()> {
        match self {
            Self::Sqlite(session) => session.written().map(drop),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Forgets what was gathered since a savepoint, or in a transaction, that is taken back.
    pub(crate) fn forget(&mut self) {
        match self {
            Self::Sqlite(session) => session.forget(),
            Self::Postgres(session) if session.is_writer() => session.forget(),
            Self::Postgres(_) => {}
        }
    }

    /// Runs statements without binds and without rows.
    pub(crate) fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        match self {
            Self::Sqlite(session) => session.written()?.batch_execute(sql),
            Self::Postgres(session) => session.batch_execute(sql),
        }
    }
}

impl Conn {
    /// What to do about a failure of this database.
    pub(crate) fn remedy(&self, failure: &Failure) -> Remedy {
        match (self, failure) {
            (Self::Postgres(_), Failure::Database(error)) => remedy::of(error),
            (Self::Postgres(_) | Self::Sqlite(_), _) => failure.remedy(),
        }
    }
}

impl From<PgConn> for Conn {
    fn from(conn: PgConn) -> Self {
        Self::Postgres(Box::new(PgSession::new(conn)))
    }
}

impl From<SqliteConnection> for Conn {
    fn from(conn: SqliteConnection) -> Self {
        Self::Sqlite(Box::new(SqliteSession::new(conn)))
    }
}
