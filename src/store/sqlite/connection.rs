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
        database,
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
        database,
        "PRAGMA busy_timeout = 5000;
         PRAGMA query_only = ON;
         PRAGMA cache_size = -1024;
         PRAGMA temp_store = MEMORY;",
    )
}

/// The connection that checkpoints; it caches nothing worth keeping.
pub(crate) fn checkpointer(database: &Path) -> Result<SqliteConnection, ConnectionError> {
    connect(
        database,
        "PRAGMA busy_timeout = 0;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -64;",
    )
}

fn connect(database: &Path, pragmas: &str) -> Result<SqliteConnection, ConnectionError> {
    let mut conn = SqliteConnection::establish(&url(database))?;
    conn.batch_execute(pragmas).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// diesel reads a name that begins with `file:` as a URI; everything else is a path as it stands.
fn url(database: &Path) -> String {
    database.to_string_lossy().into_owned()
}
