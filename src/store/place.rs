//! Where a hive keeps everything: a data folder, or a database on a server.

use std::path::PathBuf;

use domain::Secret;

/// Names a hive's database. Its `Debug` shows no password.
#[derive(Debug, Clone)]
pub enum Place {
    /// SQLite, in the file `hive.db` of a data folder.
    Folder(PathBuf),
    /// PostgreSQL, by its URL.
    Server(Secret),
}

/// Runs something on a thread of its own: connections to a server wait, and the caller may be a task that must not.
pub(crate) fn aside<T: Send>(
    what: impl FnOnce() -> Result<T, crate::OpenError> + Send,
) -> Result<T, crate::OpenError> {
    std::thread::scope(|scope| {
        let done = scope.spawn(what);
        done.join().unwrap_or_else(|_| {
            Err(crate::OpenError::Database("the thread that used it panicked".to_owned()))
        })
    })
}
