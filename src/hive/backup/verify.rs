//! Says whether a backup is whole and can be restored by this program. It changes nothing.

use std::path::Path;

use store::backup::{self, Kind, Look};

use super::seal::{self, Sealed};
use super::told;
use crate::exit::Exit;
use crate::failure::Failure;

/// Checks the seal over every byte, then the database: its pages and indexes, its schema, that rows refer to rows that
/// are there, that the log has no hole, and that it holds what the manifest says.
///
/// # Errors
/// A [`Failure`] that names the first thing that is wrong.
pub fn verify(path: &Path) -> Result<Sealed, Failure> {
    let path = std::path::absolute(path).map_err(|error| super::place::unusable(path, &error))?;
    let sealed = seal::read(&path, &mut std::io::sink())?;
    let contents = backup::inspect(&path, Kind::Resting, Look::Whole).map_err(|error| {
        let hint = match error {
            backup::Error::Newer { .. } => "verify and restore it with the newer hive",
            _ => "use another backup",
        };
        Failure::new(Exit::Environment, format!("the backup {}: {error}", path.display())).hint(hint)
    })?;
    if sealed.manifest.agrees_with(&contents) {
        return Ok(sealed);
    }
    let found =
        super::manifest::Manifest::of(&contents, sealed.manifest.created_at, sealed.manifest.database_bytes);
    let message = format!(
        "the backup {} holds something else than its manifest says: {} and event {} instead of {} and event {}",
        path.display(),
        crate::cli::counted(found.task_count, "task"),
        found.last_seq,
        crate::cli::counted(sealed.manifest.task_count, "task"),
        sealed.manifest.last_seq,
    );
    Err(Failure::new(Exit::Environment, message).hint("use another backup"))
}

/// Whether a database stands whole and agrees with a manifest, for one that was just written from a backup.
///
/// # Errors
/// What the store says.
pub(super) fn again(database: &Path) -> Result<(), Failure> {
    backup::inspect(database, Kind::Resting, Look::Quick).map(|_| ()).map_err(|error| told(&error))
}
