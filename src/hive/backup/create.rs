//! Makes a backup, while a hive serves from the folder or not.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::Timestamp;
use store::backup::{self, Kind, Look};

use super::manifest::Manifest;
use super::place::{Draft, folder_of, make_folder, require_room, unusable};
use super::seal::{self, Sealed};
use super::told;
use crate::exit::Exit;
use crate::failure::Failure;

/// The folder within the data folder where backups go that are given no name.
const FOLDER: &str = "backups";

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub sealed: Sealed,
    /// How long it took.
    pub took: Duration,
}

/// Copies the database of a data folder into `file`, or into a new one of `backups/`, checks the copy and seals it.
/// Comes back when it is on the disk. The folder's lock is not taken: a hive may hold it.
///
/// # Errors
/// A [`Failure`]; then there is no file of that name.
pub fn create(data_dir: &Path, file: Option<&Path>, now: Timestamp) -> Result<Created, Failure> {
    let began = Instant::now();
    let database = backup::database(data_dir);
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    if !database.is_file() {
        return Err(told(&backup::Error::Missing(database)));
    }
    let path = match file {
        Some(file) => std::path::absolute(file).map_err(|error| unusable(file, &error))?,
        None => {
            let folder = data_dir.join(FOLDER);
            make_folder(&folder).map_err(|error| unusable(&folder, &error))?;
            folder.join(format!("hive-{}.db", stamp(now)))
        }
    };
    if path.symlink_metadata().is_ok() {
        return Err(exists(&path));
    }
    // the copy has neither free pages nor a log: this is the most it can take
    let needed = length(&database).saturating_add(length(&backup::log_of(&database)));
    require_room(&folder_of(&path), needed)?;
    let draft = Draft::beside(&path).map_err(|error| unusable(&path, &error))?;
    backup::copy(&database, &draft.path).map_err(|error| told(&error))?;
    let contents = backup::inspect(&draft.path, Kind::Resting, Look::Whole).map_err(|error| told(&error))?;
    let manifest = Manifest::of(&contents, now, length(&draft.path));
    let sealed = seal::write(&draft.path, manifest).map_err(|error| unusable(&path, &error))?;
    draft.place(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(&path),
        _ => unusable(&path, &error),
    })?;
    Ok(Created { path, sealed, took: began.elapsed() })
}

/// A moment as file names have it: `20261121T152500.123Z`.
#[must_use]
pub fn stamp(at: Timestamp) -> String {
    let shown: String = protocol::time::show(at).chars().filter(|letter| !"-:".contains(*letter)).collect();
    let millis = shown.trim_end_matches('Z');
    format!("{}Z", millis.get(..millis.len().saturating_sub(3)).unwrap_or(millis))
}

fn exists(path: &Path) -> Failure {
    Failure::new(Exit::Conflict, format!("{} is there already", path.display()))
        .hint("a backup overwrites nothing: name another file, or none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time() {
        let at = |micros| stamp(Timestamp::from_micros(micros));
        assert_eq!(at(1_795_275_000_123_456), "20261121T153000.123Z");
        assert!(at(1_795_275_000_123_456) < at(1_795_275_000_124_000));
    }
}
