//! Connections that block: each has a runtime of its own, which moves only while somebody waits for an answer. A
//! statement then needs no other thread, and no stalled worker of somebody else's runtime can hold it up.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, QueryResult};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls};

use super::tls::{self, Asked, Connector};
use crate::timeouts::Timeouts;

/// How long sent bytes may stay unconfirmed before the connection counts as lost.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(10);
/// How long nothing may come before the other host is asked whether it is there; it has [`UNCONFIRMED_MAX`] to say so.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// Time from one such question to the next.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// Questions without an answer after which the connection counts as lost.
const KEEPALIVE_RETRIES: u32 = 3;
/// What the client library takes for [`KEEPALIVE_IDLE`] where a URL says nothing.
const KEEPALIVE_IDLE_UNSAID: Duration = Duration::from_secs(2 * 60 * 60);

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

    /// How long an answer is waited for: as long as the server may take for a statement, and as long as it may take to let a
    /// connection in, which is long for the way there and back.
    fn patience(&self) -> Duration {
        self.timeouts.statement.saturating_add(self.timeouts.connect)
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
///
/// Invariant: once an answer was waited for in vain, nothing is sent on it any more: what would come next might be that
/// answer.
pub(crate) struct PgConn {
    conn: AsyncPgConnection,
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
    /// How long without an answer it is waited; as long as it takes when `None`.
    patience: Option<Duration>,
    /// Whether an answer was waited for in vain.
    is_silent: bool,
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
        conn.patience = None;
        conn.set_to(COPIER)?;
        let _ = conn.batch_execute(ENGLISH);
        Ok(conn)
    }

    fn establish(address: &Address, name: &str) -> ConnectionResult<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
        let conn = runtime.block_on(connect(address, name))?;
        Ok(Self { conn, runtime: Some(runtime), patience: Some(address.patience()), is_silent: false })
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
        let runtime = speaking(self.runtime.as_ref(), self.is_silent)?;
        let asked = ask(&mut self.conn);
        match runtime.block_on(patiently(self.patience, || 0, pin!(asked))) {
            Some(answer) => answer,
            None => Err(silent(&mut self.is_silent, self.patience)),
        }
    }

    /// Sends all that is asked, one after the other, and waits for all answers. The first error is the cause of those
    /// after it.
    pub(super) fn together<'c, T>(
        &'c mut self,
        ask: impl FnOnce(&'c AsyncPgConnection) -> Vec<LocalBoxFuture<'c, QueryResult<T>>>,
    ) -> QueryResult<Vec<T>> {
        let runtime = speaking(self.runtime.as_ref(), self.is_silent)?;
        let count = Cell::new(0);
        let asked = join_all(ask(&self.conn).into_iter().map(|asked| async {
            let answer = asked.await;
            count.set(count.get() + 1);
            answer
        }));
        match runtime.block_on(patiently(self.patience, || count.get(), pin!(asked))) {
            Some(answers) => answers.into_iter().collect(),
            None => Err(silent(&mut self.is_silent, self.patience)),
        }
    }

    /// Sends what is asked, each after the answer of the one before.
    pub(super) fn one_by_one<'c, T>(
        &'c mut self,
        ask: impl FnOnce(&'c AsyncPgConnection) -> Vec<LocalBoxFuture<'c, QueryResult<T>>>,
    ) -> QueryResult<Vec<T>> {
        let runtime = speaking(self.runtime.as_ref(), self.is_silent)?;
        let mut answers = Vec::new();
        for asked in ask(&self.conn) {
            match runtime.block_on(patiently(self.patience, || 0, pin!(asked))) {
                Some(answer) => answers.push(answer?),
                None => return Err(silent(&mut self.is_silent, self.patience)),
            }
        }
        Ok(answers)
    }

    /// Runs statements without binds and without rows.
    pub(crate) fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        self.wait(|conn| conn.batch_execute(sql))
    }
}

/// The runtime of a connection that is not silent.
fn speaking(runtime: Option<&Runtime>, is_silent: bool) -> QueryResult<&Runtime> {
    let runtime = runtime.filter(|_| !is_silent);
    runtime.ok_or(diesel::result::Error::BrokenTransactionManager)
}

/// Waits for all answers, for so long from one to the next; `count` says how many have come. The server ends a statement
/// that takes too long, so that whoever is silent for longer than that is not there, or stands still.
async fn patiently<T>(
    patience: Option<Duration>,
    count: impl Fn() -> usize,
    mut asked: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    let Some(patience) = patience else { return Some(asked.await) };
    loop {
        let before = count();
        match tokio::time::timeout(patience, asked.as_mut()).await {
            Ok(answers) => return Some(answers),
            Err(_) if count() > before => {}
            Err(_) => return None,
        }
    }
}

/// An answer was waited for in vain.
fn silent(is_silent: &mut bool, patience: Option<Duration>) -> diesel::result::Error {
    *is_silent = true;
    let why = format!("the server has not answered for {} ms", patience.unwrap_or_default().as_millis());
    diesel::result::Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(why))
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
    find_out_losses(&mut config);
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

/// What a URL does not say about connections whose other end has gone without a word.
fn find_out_losses(config: &mut Config) {
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNCONFIRMED_MAX);
    }
    if config.get_keepalives_idle() == KEEPALIVE_IDLE_UNSAID {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVE_RETRIES);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(url: &str) -> (Option<Duration>, Duration, Option<Duration>, Option<u32>) {
        let mut config: Config = url.parse().unwrap();
        find_out_losses(&mut config);
        let unconfirmed = config.get_tcp_user_timeout().copied();
        let (idle, interval) = (config.get_keepalives_idle(), config.get_keepalives_interval());
        (unconfirmed, idle, interval, config.get_keepalives_retries())
    }

    #[test]
    fn a_host_that_has_gone_is_found_out_within_seconds_unless_the_url_says_otherwise() {
        let seconds = Duration::from_secs;
        let said = losses("postgresql://hive@db.example/hive");
        assert_eq!(said, (Some(seconds(10)), seconds(10), Some(seconds(3)), Some(3)));
        let said = losses(
            "postgresql://hive@db.example/hive?tcp_user_timeout=60&keepalives_idle=61&keepalives_interval=62&keepalives_retries=6",
        );
        assert_eq!(said, (Some(seconds(60)), seconds(61), Some(seconds(62)), Some(6)));
    }
}
