//! The two databases of a copy: held for its time, one read, one written in a transaction that is kept or not.

use std::fs;
use std::path::{Path, PathBuf};

use diesel::sql_types::Text;

use super::pages;
use super::tables::TABLES;
use super::{Error, Side, database};
use crate::backup;
use crate::error::OpenError;
use crate::migrations;
use crate::open::{self, FolderLock};
use crate::place::Place;
use crate::postgres::connection::PgConn;
use crate::postgres::node;
use crate::sql::conn::Conn;
use crate::sql::failure::Failure;
use crate::sql::statement::statement;
use crate::sqlite::connection;

/// The node whose hive must not serve meanwhile; there is one.
const NODE: u16 = 0;

/// Waits until no batch is under way, and keeps every later one from beginning until this transaction ends: each locks a row
/// of this table first. A hive whose own lock was lost with its connection writes all the same without this. It comes before
/// the first question, so that the answers are of a moment after it.
const STAND_STILL: &str = "LOCK TABLE nodes IN EXCLUSIVE MODE";

/// What is read.
pub(super) struct Source {
    pub conn: Conn,
    /// Names its log.
    pub epoch: String,
    _lock: Option<FolderLock>,
}

impl Source {
    pub fn open(place: &Place) -> Result<Self, Error> {
        let unread = |failure: Failure| database("read the hive to copy", &failure);
        let (mut conn, lock) = match place {
            Place::Folder(folder) => {
                let lock = open::hold(folder).map_err(Side::Source.refused())?;
                let conn = connection::onlooker(&folder.join(connection::FILE));
                (conn.map(Conn::from).map_err(|error| unread(error.into()))?, Some(lock))
            }
            Place::Server(url) => {
                let mut conn: Conn =
                    PgConn::copier(url.reveal()).map_err(|error| unread(error.into()))?.into();
                node::hold(&mut conn, NODE).map_err(Side::Source.refused())?;
                (conn, None)
            }
        };
        let begin = match &conn {
            Conn::Sqlite(_) => "BEGIN",
            Conn::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        conn.batch_execute(begin).map_err(|error| unread(error.into()))?;
        if let Conn::Postgres(_) = &conn {
            conn.batch_execute(STAND_STILL).map_err(|error| unread(error.into()))?;
        }
        let names: Vec<(String,)> = conn.load(LoadEpoch {}).map_err(|error| unread(error.into()))?;
        let Some((epoch,)) = names.into_iter().next() else { return Err(Error::NoHive) };
        Ok(Self { conn, epoch, _lock: lock })
    }
}

/// What is written.
pub(super) struct Target {
    pub conn: Conn,
    draft: Option<Draft>,
}

/// A file that is to become the database of a folder; what is left of it goes when it is dropped.
struct Draft {
    path: PathBuf,
    folder: PathBuf,
    _lock: FolderLock,
}

impl Target {
    /// Makes the tables where they are missing, and finds them empty.
    pub fn open(place: &Place) -> Result<Self, Error> {
        let unwritten = |failure: Failure| database("write the copy", &failure);
        let refused = Side::Target.refused();
        let (mut conn, draft) = match place {
            Place::Folder(folder) => {
                let draft = Draft::begin(folder)?;
                let conn = connection::writer(&draft.path).map_err(|error| unwritten(error.into()))?;
                let conn = open::migrated(conn, &draft.folder).map_err(refused)?;
                (Conn::from(conn), Some(draft))
            }
            Place::Server(url) => {
                make_tables_where_there_are_none(place).map_err(refused)?;
                let mut conn: Conn =
                    PgConn::copier(url.reveal()).map_err(|error| unwritten(error.into()))?.into();
                node::hold(&mut conn, NODE).map_err(refused)?;
                (conn, None)
            }
        };
        conn.batch_execute("BEGIN").map_err(|error| unwritten(error.into()))?;
        for table in TABLES.iter().filter(|table| table.name != "tenants") {
            let rows = pages::count(&mut conn, table.name).map_err(unwritten)?;
            if rows > 0 {
                return Err(Error::NotEmpty(format!("{rows} rows in its table {}", table.name)));
            }
        }
        // The one that the migrations make; the source has it, too.
        conn.batch_execute("DELETE FROM tenants").map_err(|error| unwritten(error.into()))?;
        Ok(Self { conn, draft })
    }

    /// On a server a row says where the log ends.
    pub fn end_the_log(&mut self) -> Result<(), Failure> {
        match &self.conn {
            Conn::Sqlite(_) => Ok(()),
            Conn::Postgres(_) => Ok(self.conn.execute(EndLog {}).map(|_| ())?),
        }
    }

    /// Makes what was written the hive of this place.
    pub fn keep(self) -> Result<(), Error> {
        let Self { mut conn, draft } = self;
        let unkept = |why: &dyn std::fmt::Display| database("keep the copy", why);
        conn.batch_execute("COMMIT").map_err(|error| unkept(&error))?;
        drop(conn);
        let Some(draft) = draft else { return Ok(()) };
        backup::settle(&draft.path).map_err(|error| unkept(&error))?;
        let kept = fs::File::open(&draft.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&draft.path, draft.folder.join(connection::FILE)))
            .and_then(|()| fs::File::open(&draft.folder)?.sync_all());
        kept.map_err(|error| unkept(&error))
    }
}

impl Draft {
    fn begin(folder: &Path) -> Result<Self, Error> {
        let refused = Side::Target.refused();
        let lock = open::hold(folder).map_err(refused)?;
        let database = folder.join(connection::FILE);
        // A log without its database, too: SQLite would play it into the copy.
        let found =
            ENDS.map(|end| beside(&database, end)).into_iter().find(|path| path.symlink_metadata().is_ok());
        if let Some(found) = found {
            return Err(Error::NotEmpty(format!("there is {}", found.display())));
        }
        let draft =
            Self { path: database.with_extension("db.copying"), folder: folder.to_owned(), _lock: lock };
        // What a copy that was broken off left.
        draft.remove();
        open::private_file(&draft.path).map_err(refused)?;
        Ok(draft)
    }

    fn remove(&self) {
        for end in ENDS {
            let _ = fs::remove_file(beside(&self.path, end));
        }
    }
}

/// A schema that is there is left as it is, whatever it lacks: somebody may serve from it.
fn make_tables_where_there_are_none(target: &Place) -> Result<(), OpenError> {
    if migrations::status(target)?.iter().all(|step| step.applied_at.is_none()) {
        migrations::run(target)?;
    }
    migrations::require_none_pending(target)
}

/// What SQLite puts behind the name of a database for the files beside it.
const ENDS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}

statement! {
    /// The database's name.
    LoadEpoch {} -> (Text,) = "SELECT epoch FROM hive WHERE id = 1"
}

statement! {
    /// The log goes on after the last event, also when retention has removed it.
    EndLog {} =
    ("SELECT 1", "UPDATE log_head SET seq = greatest(coalesce((SELECT max(seq) FROM events), 0), \
     (SELECT events_floor FROM hive WHERE id = 1)) WHERE id = 1")
}
