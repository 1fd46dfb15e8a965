//! Opens the store, and says what to do when that fails.

use std::path::Path;

use store::{OpenError, OpenOptions, Place, Store, Threads};

use super::NODE;
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::server_file::ServerFile;
use crate::settings::Settings;

/// Opens the store of a folder, migrating it where that is needed and allowed.
///
/// # Errors
/// A [`Failure`] with a hint.
pub fn open(settings: &Settings, folder: &DataFolder) -> Result<Store, Failure> {
    let options = OpenOptions {
        data_dir: folder.path.clone(),
        database_url: settings.store.database_url.clone(),
        is_migrating: settings.store.is_migrating,
        node: NODE,
        lanes_max: settings.store.lanes_max,
        writer_queue: settings.store.writer_queue,
        reader_connections: settings.store.reader_connections,
        timeouts: settings.store.timeouts,
        threads: Threads::Own,
    };
    store::open(&options).map_err(|error| explained(&error, &folder.path, &place(&folder.path, settings)))
}

/// Where a hive with these settings keeps everything.
pub fn place(folder: &Path, settings: &Settings) -> Place {
    match &settings.store.database_url {
        Some(url) => Place::Server(url.clone()),
        None => Place::Folder(folder.to_owned()),
    }
}

/// What stands in the way of a store, with what to do about it.
pub fn explained(error: &OpenError, folder: &Path, place: &Place) -> Failure {
    let failure = Failure::surroundings(error);
    match (error, place) {
        (OpenError::InUse(_), _) => failure.hint(in_use(folder)),
        (OpenError::NotUsable { .. }, _) => failure.hint("--data-dir PATH chooses another folder"),
        (OpenError::Newer { .. }, _) => failure.hint("use the newer hive, or choose another database"),
        (OpenError::NodeInUse(_), _) => {
            failure.hint("end it first, or name another database with --database-url URL")
        }
        (OpenError::Pending { .. }, _) => {
            failure.hint("`hive migrate run` brings it up to date; `database.migrate` says who may")
        }
        (OpenError::Migration(_), Place::Server(_)) => {
            failure.hint("`hive migrate status` tells where it stands")
        }
        (OpenError::Database(_), Place::Server(_)) => {
            failure.hint("nothing was changed; does `psql` reach the database by the same URL?")
        }
        (OpenError::Migration(_) | OpenError::Database(_), Place::Folder(_)) => {
            failure.hint("nothing was changed; is the disk full, or the file damaged?")
        }
    }
}

fn in_use(folder: &Path) -> String {
    match ServerFile::read(folder) {
        Some(file) => format!(
            "it answers at {} (process {}); --data-dir PATH chooses another folder",
            file.url, file.pid
        ),
        None => "it is starting or stopping just now; --data-dir PATH chooses another folder".to_owned(),
    }
}
