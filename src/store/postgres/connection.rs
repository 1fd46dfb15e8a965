//! Connections that block: each has a runtime of its own, which moves only while somebody waits for an answer. A
//! statement then needs no other thread, and no stalled worker of somebody else's runtime can hold it up.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::result::QueryResult;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls};

use super::tls::{self, Asked, Connector};
use crate::timeouts::Timeouts;

/// How long sent bytes may stay unconfirmed before the connection counts as lost.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(10);

/// What the writer's connection is set to. A transaction that is left alone is ended by the server after 2 s, so that a
/// node that stands still inside one holds nobody up for long; a commit is on disk whatever the server's default says.
const WRITER: &str = "SET idle_in_transaction_session_timeout = '2s'; SET synchronous_commit = 'on'; \
                      SET default_transaction_isolation = 'read committed'";
/// What a reader's connection is set to: it cannot write, and each answer is of one moment.
const READER: &str = "SET default_transaction_read_only = on; \
                      SET idle_in_transaction_session_timeout = '10s'; \
                      SET default_transaction_isolation = 'repeatable read'";
/// What the connection of a copy is set to: it takes as long as it takes, and waits for nobody for long.
const COPIER: &str = "SET lock_timeout = '4s'; SET statement_timeout = 0; \
                      SET idle_in_transaction_session_timeout = 0; SET synchronous_commit = 'on'";
/// How statements are planned: along an index, in its order, also while the tables are young and a plan over all rows, or one
/// that sorts, would seem cheaper: such a plan would be kept long after they have grown. Planned once, since no value
/// makes another plan better; and nothing here runs long enough to be worth compiling.
const PLANS: &str = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off; \
                     SET plan_cache_mode = 'force_generic_plan'";
/// The messages of the server in English, by which some errors are told apart; not every role may ask for it.
pub(super) const ENGLISH: &str = "SELECT set_config('lc_messages', 'C', false)";

/// What the client library says of a server that cannot be spoken to in secret.
const NO_TLS: &str = "server does not support TLS";

/// A server's database, and how long it is waited for.
#[derive(Clone)]
pub(crate) struct Address {
    url: Arc<str>,
    timeouts: Timeouts,
}

impl Address {
    pub(crate) fn new(url: &str, timeouts: Timeouts) -> Self {
        Self { url: Arc::from(url), timeouts }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What takes longer is told of.
    pub(super) const fn slow(&self) -> Duration {
        self.timeouts.slow
    }

    /// What a connection is set to.
    fn waits(&self) -> String {
        let Timeouts { lock, statement, .. } = self.timeouts;
        format!("SET lock_timeout = {}; SET statement_timeout = {}", lock.as_millis(), statement.as_millis())
    }
}

impl From<&str> for Address {
    fn from(url: &str) -> Self {
        Self::new(url, Timeouts::default())
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

/// A connection.
pub(crate) struct PgConn {
    conn: AsyncPgConnection,
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
}

impl PgConn {
    /// The connection that writes.
    pub(crate) fn writer(address: impl Into<Address>) -> ConnectionResult<Self> {
        let address = address.into();
        let mut conn = Self::establish(&address, "hive writer")?;
        conn.set_to(&format!("{WRITER}; {}", address.waits()))?;
        // Who may not ask for it has the server's language, and some of its errors are taken for refusals.
        let _ = conn.batch_execute(ENGLISH);
        Ok(conn)
    }

    /// A connection that only reads.
    pub(crate) fn reader(address: impl Into<Address>) -> ConnectionResult<Self> {
        let address = address.into();
        let mut conn = Self::establish(&address, "hive reader")?;
        conn.set_to(&format!("{READER}; {}", address.waits()))?;
        Ok(conn)
    }

    /// The connection of a copy.
    pub(crate) fn copier(url: &str) -> ConnectionResult<Self> {
        let mut conn = Self::establish(&url.into(), "hive copy")?;
        conn.set_to(COPIER)?;
        Ok(conn)
    }

    fn establish(address: &Address, name: &str) -> ConnectionResult<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
        let conn = runtime.block_on(connect(address, name))?;
        Ok(Self { conn, runtime: Some(runtime) })
    }

    fn set_to(&mut self, settings: &str) -> ConnectionResult<()> {
        self.batch_execute(&format!("{settings}; {PLANS}"))
            .map_err(ConnectionError::CouldntSetupConfiguration)
    }

    /// Waits for what is asked of the connection.
    pub(crate) fn wait<'c, T, F>(
        &'c mut self,
        ask: impl FnOnce(&'c mut AsyncPgConnection) -> F,
    ) -> QueryResult<T>
    where
        F: Future<Output = QueryResult<T>> + 'c,
    {
        match &self.runtime {
            Some(runtime) => runtime.block_on(ask(&mut self.conn)),
            None => Err(diesel::result::Error::BrokenTransactionManager),
        }
    }

    /// Sends all that is asked, one after the other, and waits for all answers. The first error is the cause of those
    /// after it.
    pub(super) fn together<'c, T>(
        &'c mut self,
        ask: impl FnOnce(&'c AsyncPgConnection) -> Vec<LocalBoxFuture<'c, QueryResult<T>>>,
    ) -> QueryResult<Vec<T>> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(join_all(ask(&self.conn))).into_iter().collect(),
            None => Err(diesel::result::Error::BrokenTransactionManager),
        }
    }

    /// Sends what is asked, each after the answer of the one before.
    pub(super) fn one_by_one<'c, T>(
        &'c mut self,
        ask: impl FnOnce(&'c AsyncPgConnection) -> Vec<LocalBoxFuture<'c, QueryResult<T>>>,
    ) -> QueryResult<Vec<T>> {
        let Some(runtime) = &self.runtime else {
            return Err(diesel::result::Error::BrokenTransactionManager);
        };
        ask(&self.conn).into_iter().map(|asked| runtime.block_on(asked)).collect()
    }

    /// Runs statements without binds and without rows.
    pub(crate) fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        self.wait(|conn| conn.batch_execute(sql))
    }
}

impl Drop for PgConn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where nobody may wait; the socket closes with it.
            runtime.shutdown_background();
        }
    }
}

/// Connects, and lets the connection's driver run on the runtime that it is called in.
pub(super) async fn connect(address: &Address, name: &str) -> ConnectionResult<AsyncPgConnection> {
    let Asked { mut config, connector } =
        tls::asked(&address.url).map_err(ConnectionError::InvalidConnectionUrl)?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(address.timeouts.connect);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNCONFIRMED_MAX);
    }
    if config.get_application_name().is_none() {
        config.application_name(name);
    }
    // The client library counts the time to reach a host alone, and not what this says or does not say afterwards.
    let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1).max(1);
    let patience = config.get_connect_timeout().copied().unwrap_or(address.timeouts.connect) * hosts;
    match tokio::time::timeout(patience, let_in(&config, connector)).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectionError::BadConnection(format!(
            "the server takes connections and does not answer within {} ms",
            patience.as_millis()
        ))),
    }
}

async fn let_in(config: &Config, connector: Option<Connector>) -> ConnectionResult<AsyncPgConnection> {
    let refused = |error: tokio_postgres::Error| ConnectionError::BadConnection(explained(&error));
    match connector {
        Some(connector) => {
            let (client, driver) = config.connect(connector).await.map_err(refused)?;
            AsyncPgConnection::try_from_client_and_connection(client, driver).await
        }
        None => {
            let (client, driver) = config.connect(NoTls).await.map_err(refused)?;
            AsyncPgConnection::try_from_client_and_connection(client, driver).await
        }
    }
}

/// What an error to connect says, with its cause.
pub(crate) fn said(error: &ConnectionError) -> String {
    match error {
        ConnectionError::CouldntSetupConfiguration(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// What the client library says, with its cause, which its own text leaves out.
pub(super) fn explained(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) if source.to_string() == NO_TLS => {
            "the server does not speak TLS, and sslmode asks for it".to_owned()
        }
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
