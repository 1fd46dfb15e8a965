//! Which hive may write under a node's number: one incarnation at a time.
//!
//! Two things say it. A lock that a connection of the hive holds keeps a second hive from starting. It ends with the
//! connection, however the hive ends; and since the server ends a connection on which nothing is asked for ten seconds,
//! also when the hive stands still. The incarnation in the node's row is what every batch proves: a hive that comes back
//! after another has begun under its number writes nothing any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Bool};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::connection::{Address, PgConn};
use super::remedy;
use super::session::PgSession;
use crate::error::OpenError;
use crate::sql::conn::Conn;
use crate::sql::failure::{Failure, Remedy};
use crate::sql::statement::statement;

/// How often the connection that holds the lock is used.
const PERIOD: Duration = Duration::from_secs(2);
/// After how long without use the server ends it. Longer than a healthy hive ever pauses, shorter than anybody wants to wait
/// for another to take over.
const TERM: &str = "SET idle_session_timeout = '10s'";

/// Which node writes, and which start of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incarnation {
    /// The node's number.
    pub number: u16,
    /// What tells this start of the node from all others.
    pub incarnation: i64,
}

impl Incarnation {
    /// Takes a number, on a connection that is to be kept; refused while another hive holds it. From here on nobody else
    /// commits anything under it: what is read afterwards is how the one before left it.
    pub(crate) fn begin(conn: &mut Conn, number: u16) -> Result<Self, OpenError> {
        hold(conn, number)?;
        conn.batch_execute(TERM).map_err(Failure::from)?;
        let begin = BeginIncarnation { number: column(number) };
        let (incarnation,) = conn.get_result::<(i64,), _>(begin).map_err(Failure::from)?;
        Ok(Self { number, incarnation })
    }

    /// Proves itself, and waits until nothing of it is under way on another connection any more: a COMMIT whose answer was
    /// lost has come to its end then, one way or the other.
    pub(super) fn prove(self, session: &mut PgSession) -> Result<(), OpenError> {
        let Self { number, incarnation } = self;
        match session.get_result::<(i64,), _>(ProveIncarnation { number: column(number), incarnation }) {
            Ok(_) => Ok(()),
            Err(diesel::result::Error::NotFound) => Err(OpenError::NodeInUse(number)),
            Err(error) => Err(Failure::from(error).into()),
        }
    }
}

/// Holds a node's number for this process as long as it lives and is not standing still.
pub struct NodeLock {
    keeper: NodeKeeper,
}

impl std::fmt::Debug for NodeLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeLock").field("number", &self.incarnation().number).finish_non_exhaustive()
    }
}

/// Keeps the connection that holds the lock in use, and takes the lock again when the connection was lost. Cheap to clone.
#[derive(Clone)]
pub(crate) struct NodeKeeper {
    incarnation: Incarnation,
    address: Address,
    held: Arc<Mutex<Held>>,
    owner: Arc<watch::Sender<Owner>>,
}

struct Held {
    /// `None` while the lock is lost.
    session: Option<Box<PgSession>>,
    /// When the server was asked last.
    asked: Instant,
}

/// Whose the number is, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Ours, also while its lock is lost with its connection.
    Us,
    /// Nobody's: this hive has ended.
    Nobody,
    /// Another hive has begun under it.
    Another,
}

/// Waits until no hive has a node's number, and keeps others from taking it for as long as the connection lives. It waits
/// as long as for any lock: a hive that has just ended, however it ended, is still there for a moment.
pub(crate) fn hold(conn: &mut Conn, number: u16) -> Result<(), OpenError> {
    match conn.get_result::<(bool,), _>(HoldNumber { number: i32::from(number) }) {
        Ok(_) => Ok(()),
        Err(error) => match remedy::of(&error) {
            Remedy::TryAgain(_) | Remedy::TooSlow(_) => Err(OpenError::NodeInUse(number)),
            _ => Err(Failure::from(error).into()),
        },
    }
}

impl NodeLock {
    /// Keeps the number of an incarnation for as long as it lives, on the connection on which that has begun.
    pub(crate) fn keep(conn: Conn, incarnation: Incarnation, address: &Address) -> Result<Self, OpenError> {
        let Conn::Postgres(session) = conn else {
            return Err(OpenError::Database("this is no connection to PostgreSQL".to_owned()));
        };
        let held = Held { session: Some(session), asked: Instant::now() };
        let keeper = NodeKeeper {
            incarnation,
            address: address.clone(),
            held: Arc::new(Mutex::new(held)),
            owner: Arc::new(watch::Sender::new(Owner::Us)),
        };
        Ok(Self { keeper })
    }

    /// Who proves itself in each batch.
    pub(crate) const fn incarnation(&self) -> Incarnation {
        self.keeper.incarnation
    }

    /// Comes back when another hive has begun under the number: this one can write nothing any more.
    pub async fn lost(&self) {
        let mut owner = self.keeper.owner.subscribe();
        // The sender lives as long as this.
        let _ = owner.wait_for(|owner| *owner == Owner::Another).await;
    }

    /// What keeps it; somebody has to ask it to, each second or so.
    pub(crate) fn keeper(&self) -> NodeKeeper {
        self.keeper.clone()
    }
}

impl Drop for NodeLock {
    fn drop(&mut self) {
        self.keeper.owner.send_replace(Owner::Nobody);
        // Whoever is at it just now finds that it is over when it is done.
        if let Some(mut held) = self.keeper.held.try_lock_for(Duration::from_secs(1)) {
            held.session = None;
        }
    }
}

impl NodeKeeper {
    /// Uses the connection, when it was not used for a while. May wait for as long as a statement or a connect may take.
    pub(crate) fn keep(&self) {
        let mut held = self.held.lock();
        if self.is_ours() && held.asked.elapsed() >= PERIOD {
            held.asked = Instant::now();
            self.ask(&mut held);
        }
        // The hive may have ended meanwhile.
        if !self.is_ours() {
            held.session = None;
        }
    }

    fn is_ours(&self) -> bool {
        *self.owner.borrow() == Owner::Us
    }

    /// Asks on the connection that holds the lock, or takes it again on a new one.
    fn ask(&self, held: &mut Held) {
        if let Some(session) = &mut held.session {
            match session.get_result::<(bool,), _>(self.question()) {
                Ok((true,)) => return,
                Ok((false,)) => return self.give_up(),
                Err(error) => {
                    tracing::warn!(%error, number = self.incarnation.number, "the connection that holds this node's number was lost");
                    held.session = None;
                }
            }
        }
        match self.take_again() {
            Ok(Some(session)) => {
                tracing::info!(number = self.incarnation.number, "this node's number is held again");
                held.session = Some(session);
            }
            Ok(None) => self.give_up(),
            // The server is not there, or a hive that is starting holds the lock for a moment: the next time tells.
            Err(error) => tracing::debug!(%error, "this node's number is not held"),
        }
    }

    fn question(&self) -> IsIncarnation {
        let Incarnation { number, incarnation } = self.incarnation;
        IsIncarnation { number: column(number), incarnation }
    }

    fn give_up(&self) {
        let number = self.incarnation.number;
        tracing::error!(
            number,
            "another hive has taken this node's number: this one can write nothing any more"
        );
        self.owner.send_if_modified(|owner| {
            let is_news = *owner == Owner::Us;
            if is_news {
                *owner = Owner::Another;
            }
            is_news
        });
    }

    /// The lock on a new connection; `None` when another hive has begun under the number.
    fn take_again(&self) -> Result<Option<Box<PgSession>>, OpenError> {
        let conn = PgConn::writer(&self.address).map_err(Failure::from)?;
        let mut conn = Conn::from(conn);
        let (is_ours,): (bool,) = conn.get_result(self.question()).map_err(Failure::from)?;
        if !is_ours {
            return Ok(None);
        }
        hold(&mut conn, self.incarnation.number)?;
        let Conn::Postgres(mut session) = conn else { return Ok(None) };
        session.batch_execute(TERM).map_err(Failure::from)?;
        // Somebody may have begun while the lock was waited for.
        let (is_ours,): (bool,) = session.get_result(self.question()).map_err(Failure::from)?;
        Ok(is_ours.then_some(session))
    }
}

fn column(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

statement! {
    /// Waits until the number is ours. The first half of the lock's key names the schema that this hive lives in.
    HoldNumber { number: i32 } -> (Bool,) =
    "SELECT pg_advisory_lock(hashtext('hive node ' || current_schema()), "; number, ") IS NULL"
}

statement! {
    /// Whether an incarnation is still its node's.
    IsIncarnation { number: i16, incarnation: i64 } -> (Bool,) =
    "SELECT EXISTS (SELECT 1 FROM nodes WHERE number = "; number, " AND incarnation = "; incarnation, ")"
}

statement! {
    /// The same; every batch holds the row that this waits for. Refused by a server that cannot be written to.
    ProveIncarnation { number: i16, incarnation: i64 } -> (BigInt,) =
    "SELECT incarnation FROM nodes WHERE number = "; number, " AND incarnation = "; incarnation, " FOR UPDATE"
}

statement! {
    /// A new incarnation, in place of the one before, whose batches are refused from now on.
    BeginIncarnation { number: i16 } -> (BigInt,) =
    "INSERT INTO nodes (number, incarnation, started_at) VALUES ("; number,
    ", ('x' || substr(replace(gen_random_uuid()::text, '-', ''), 17))::bit(64)::bigint, \
     (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) \
     ON CONFLICT (number) DO UPDATE SET incarnation = excluded.incarnation, started_at = excluded.started_at \
     RETURNING incarnation"
}

#[cfg(test)]
mod tests {
    use domain::Secret;

    use super::*;
    use crate::conformance::postgres_rig::Schema;
    use crate::open::{OpenOptions, open};

    #[test]
    fn a_number_whose_keeper_was_busy_when_the_hive_ended_is_let_go_once_it_is_done() {
        let (schema, folder) = (Schema::new(), tempfile::tempdir().unwrap());
        let url = Some(Secret::new(schema.url()));
        let store = open(&OpenOptions { database_url: url, ..OpenOptions::new(folder.path()) }).unwrap();
        let lock = store.node.unwrap();
        let keeper = lock.keeper();
        let busy = keeper.held.lock();
        drop(lock);
        assert!(busy.session.is_some(), "it could not be taken from whoever is at it");
        drop(busy);
        keeper.keep();
        assert!(keeper.held.lock().session.is_none());
    }

    #[test]
    fn what_else_goes_wrong_while_a_number_is_waited_for_is_said_as_it_is() {
        let schema = Schema::new();
        let mut conn = Conn::from(PgConn::writer(schema.url()).unwrap());
        conn.batch_execute("BEGIN; SELECT 1 / 0").unwrap_err();
        let refused = hold(&mut conn, 0).unwrap_err();
        let OpenError::Database(why) = refused else { panic!("{refused}") };
        assert!(why.starts_with("current transaction is aborted"), "{why}");
    }
}
