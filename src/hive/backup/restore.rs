//! Puts the database of a backup into a data folder that no hive serves from.
//!
//! The new database is written and synced under another name first. The present one, if there is one, is brought into one
//! file (its write-ahead log must not be applied to another database), gets a second name in `replaced-<time>/`, and then
//! one rename puts the new one in its place: a crash at any moment leaves either the old or the new database there. Only
//! where the present database is too damaged to be settled, it is moved aside first, log and all, and a crash at that
//! moment leaves no database; it is in `replaced-<time>/` then.
//!
//! Invariant: the present database is never removed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use domain::Timestamp;
use store::backup::{self, Kind, Look};

use super::create::stamp;
use super::place::{Draft, make_folder, require_room, sync_folder, unusable};
use super::seal::{self, Sealed};
use super::told;
use super::verify::{again, verify};
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::server_file::ServerFile;

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The data folder.
    pub folder: PathBuf,
    /// What it holds now.
    pub sealed: Sealed,
    /// Where the database is that was there before.
    pub set_aside: Option<PathBuf>,
}

/// Verifies a backup and makes it the database of a data folder, whose log gets a new name (`epoch`).
///
/// # Errors
/// A [`Failure`]: the backup is not whole, a hive serves from the folder, or there is a database and no `force`. Then
/// the folder's database is as it was.
pub fn restore(file: &Path, data_dir: &Path, force: bool, now: Timestamp) -> Result<Restored, Failure> {
    let wanted = verify(file)?;
    let folder = DataFolder::prepare(data_dir)
        .map_err(|error| Failure::surroundings(&error).hint("--data-dir PATH chooses another folder"))?
        .path;
    let _lock =
        backup::hold(&folder).map_err(|error| Failure::surroundings(&error).hint(stop_it(&folder)))?;
    let database = backup::database(&folder);
    let is_there = database.symlink_metadata().is_ok() || backup::log_of(&database).exists();
    if is_there && !force {
        let message = format!("there is a database in {}", folder.display());
        let hint = "--force moves it aside and keeps it; --data-dir PATH chooses another folder";
        return Err(Failure::new(Exit::Conflict, message).hint(hint));
    }
    require_room(&folder, wanted.manifest.database_bytes)?;
    let draft = Draft::beside(&database).map_err(|error| unusable(&folder, &error))?;
    let sealed = write(file, &draft.path)?;
    if sealed != wanted {
        let message = format!("{} was changed while it was read", file.display());
        return Err(Failure::new(Exit::Environment, message));
    }
    backup::rename_log(&draft.path).map_err(|error| told(&error))?;
    again(&draft.path)?;
    sync(&draft.path).map_err(|error| unusable(&draft.path, &error))?;
    let set_aside = if is_there {
        let aside = folder.join(format!("replaced-{}", stamp(now)));
        set_aside(&database, &aside).map_err(|error| unusable(&aside, &error))?;
        Some(aside)
    } else {
        None
    };
    draft.replace(&database).map_err(|error| unusable(&database, &error))?;
    Ok(Restored { folder, sealed, set_aside })
}

/// The database of a backup as a file of its own; its seal is checked once more over what is written.
fn write(file: &Path, path: &Path) -> Result<Sealed, Failure> {
    let unwritable = |error: std::io::Error| unusable(path, &error);
    let mut copy = BufWriter::new(File::create(path).map_err(unwritable)?);
    let sealed = seal::read(file, &mut copy)?;
    copy.flush().map_err(unwritable)?;
    Ok(sealed)
}

fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Gives the present database a second place; afterwards its first one can be taken by a rename.
fn set_aside(database: &Path, aside: &Path) -> std::io::Result<()> {
    make_folder(aside)?;
    // what cannot be read is not touched: SQLite would remove a log that it finds to be of no use
    if backup::inspect(database, Kind::Living, Look::Quick).is_ok() {
        // where this fails its log is still there, and is moved with it
        let _ = backup::settle(database);
    }
    let mut files = vec![database.to_owned()];
    for end in ["-wal", "-shm", "-journal"] {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        files.push(PathBuf::from(name));
    }
    for file in files.iter().filter(|file| file.symlink_metadata().is_ok()) {
        let name = file.file_name().unwrap_or_default();
        std::fs::hard_link(file, aside.join(name)).or_else(|_| std::fs::rename(file, aside.join(name)))?;
    }
    sync_folder(aside)?;
    if let Some(parent) = aside.parent() {
        sync_folder(parent)?;
    }
    // what belongs to the old database must not be taken for the new one's; its database goes first, because without
    // its log it would be an older one
    let beside = files.iter().skip(1).any(|file| file.symlink_metadata().is_ok());
    for file in files.iter().filter(|file| beside && file.symlink_metadata().is_ok()) {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

fn stop_it(folder: &Path) -> String {
    match ServerFile::read(folder) {
        Some(file) => format!("stop it first: kill {} ends it in order", file.pid),
        None => "it is starting or stopping just now".to_owned(),
    }
}
