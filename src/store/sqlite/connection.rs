//! Connections and what each is set to.

use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection, ConnectionError};

/// Name of the database within the data folder.
pub(crate) const FILE: &str = "hive.db";

/// The write-ahead log of a database.
pub(crate) fn wal_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// The connection that writes. `synchronous=FULL` costs next to nothing once commits are grouped; checkpoints are
/// somebody else's, so that no commit waits for one.
pub(crate) fn writer(database: &Path) -> Result<SqliteConnection, ConnectionError> {
    connect(
        &url(database),
        "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -4096;
         PRAGMA temp_store = MEMORY;",
    )
}

/// A connection that only reads; its cache is small because there are several.
pub(crate) fn reader(database: &Path) -> Result<SqliteConnection, ConnectionError> {
    connect(
        &url(database),
        "PRAGMA busy_timeout = 5000;
         PRAGMA query_only = ON;
         PRAGMA cache_size = -1024;
         PRAGMA temp_store = MEMORY;",
    )
}

/// The connection that checkpoints; it caches nothing worth keeping.
pub(crate) fn checkpointer(database: &Path) -> Result<SqliteConnection, ConnectionError> {
    connect(
        &url(database),
        "PRAGMA busy_timeout = 0;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -64;",
    )
}

/// A connection to a database that others may have open, which cannot write to it. (`query_only` would also forbid
/// `VACUUM INTO`, which writes elsewhere.)
pub(crate) fn onlooker(database: &Path) -> Result<SqliteConnection, ConnectionError> {
    connect(&uri(database, "mode=ro"), "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -4096;")
}

/// A connection to a copy at rest: no locks, no files beside it.
pub(crate) fn archivist(database: &Path) -> Result<SqliteConnection, ConnectionError> {
    connect(&uri(database, "mode=ro&immutable=1"), "PRAGMA cache_size = -4096;")
}

/// The only connection there is, without a write-ahead log that would outlive it.
pub(crate) fn lone(database: &Path) -> Result<SqliteConnection, ConnectionError> {
    connect(&url(database), "PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL;")
}

fn connect(url: &str, pragmas: &str) -> Result<SqliteConnection, ConnectionError> {
    let mut conn = SqliteConnection::establish(url)?;
    conn.batch_execute(pragmas).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// diesel reads a name that begins with `file:` as a URI; everything else is a path as it stands.
fn url(database: &Path) -> String {
    database.to_string_lossy().into_owned()
}

/// As SQLite's URIs write a path. Source: <https://www.sqlite.org/uri.html>, section 3.1.
fn uri(database: &Path, flags: &str) -> String {
    let path = url(database).replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{path}?{flags}")
}
