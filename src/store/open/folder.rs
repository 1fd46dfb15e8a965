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

/// Makes a folder for its owner alone where it is missing, and sees to it that a power cut does not take it away with all
/// that is in it: its name stands in the folder above, which has to be synced like any other file.
///
/// # Errors
/// What the system says. A folder above that may not be read cannot be synced, and is left to the system.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let missing =
        folder.ancestors().skip(1).take_while(|above| !above.as_os_str().is_empty() && !above.exists());
    let made = 1 + missing.count();
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Also of one that was there: the start that made it may have ended before it came to this.
    for above in folder.ancestors().skip(1).take(made) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match File::open(above) {
            Ok(opened) => opened.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the folder where it is missing and takes its lock.
pub(crate) fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    make_folder(folder).map_err(|error| not_usable(folder, &error))?;
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
