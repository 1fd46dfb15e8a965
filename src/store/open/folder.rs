//! The data folder: made for its owner alone, and held by one hive at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::sqlite::connection;

/// Holds the data folder for this process as long as it lives.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// The lock's file within the folder.
const LOCK: &str = "hive.lock";

/// Whether somebody holds the folder; asked by a shared lock that is let go at once.
pub(crate) fn is_held(folder: &Path) -> Option<bool> {
    match File::open(folder.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Some(false),
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        },
    }
}

/// Makes the folder where it is missing and takes its lock.
pub(crate) fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| not_usable(folder, &error))?;
    let path = folder.join(LOCK);
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(folder.to_owned())),
        Err(TryLockError::Error(error)) => Err(not_usable(&path, &error)),
    }
}

/// The database's file, made where it is missing: SQLite gives its other files the same permissions.
pub(super) fn database(folder: &Path) -> Result<PathBuf, OpenError> {
    let path = folder.join(connection::FILE);
    private_file(&path)?;
    Ok(path)
}

/// Opens a file for writing without changing it; one that is new can be read and written by its owner alone.
pub(crate) fn private_file(path: &Path) -> Result<File, OpenError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map_err(|error| not_usable(path, &error))
}

/// What the operating system says of a path.
pub(super) fn not_usable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::NotUsable { path: path.to_owned(), why: error.to_string() }
}
