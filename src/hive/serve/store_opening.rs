//! Opens the store, and says what to do when that fails.

use store::{OpenError, OpenOptions, Store};

use super::NODE;
use crate::data_folder::DataFolder;
use crate::failure::Failure;
use crate::server_file::ServerFile;
use crate::settings::Settings;

/// Opens the store of a folder, migrating it where that is needed.
///
/// # Errors
/// A [`Failure`] with a hint.
pub fn open(settings: &Settings, folder: &DataFolder) -> Result<Store, Failure> {
    let options = OpenOptions {
        data_dir: folder.path.clone(),
        database_url: settings.store.database_url.clone(),
        node: NODE,
        lanes_max: settings.store.lanes_max,
        writer_queue: settings.store.writer_queue,
        reader_connections: settings.store.reader_connections,
    };
    store::open(&options).map_err(|error| {
        let failure = Failure::surroundings(&error);
        match error {
            OpenError::InUse(_) => failure.hint(in_use(folder)),
            OpenError::NotUsable { .. } => failure.hint("--data-dir PATH chooses another folder"),
            OpenError::Newer { .. } => failure.hint("start the newer hive, or choose another database"),
            OpenError::NodeInUse(_) => {
                failure.hint("end it first, or name another database with --database-url URL")
            }
            OpenError::Migration(_) | OpenError::Database(_) if settings.store.database_url.is_some() => {
                failure.hint("nothing was changed; does `psql` reach the database by the same URL?")
            }
            OpenError::Migration(_) | OpenError::Database(_) => {
                failure.hint("nothing was changed; is the disk full, or the file damaged?")
            }
        }
    })
}

fn in_use(folder: &DataFolder) -> String {
    match ServerFile::read(&folder.path) {
        Some(file) => format!(
            "it answers at {} (process {}); --data-dir PATH chooses another folder",
            file.url, file.pid
        ),
        None => "it is starting or stopping just now; --data-dir PATH chooses another folder".to_owned(),
    }
}
