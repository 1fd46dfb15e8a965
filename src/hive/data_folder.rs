//! The data folder: where it is, that it can be used, and how files get into it whole.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where it is when nobody says otherwise, seen from where the command is started.
pub const DEFAULT: &str = "./hive-data";

/// A folder that can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    /// Its absolute path.
    pub path: PathBuf,
    /// Whether this start made it.
    pub is_new: bool,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", .path.display())]
pub struct Error {
    /// What was tried.
    pub doing: &'static str,
    /// With what.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub cause: std::io::Error,
}

impl DataFolder {
    /// Makes the folder (`0700`) where it is missing, and tries whether it can be written.
    ///
    /// # Errors
    /// What was tried with which path, and what the system says.
    pub fn prepare(path: &Path) -> Result<Self, Error> {
        let failed = |doing, path: &Path| {
            let path = path.to_path_buf();
            move |cause| Error { doing, path, cause }
        };
        let path = std::path::absolute(path).map_err(failed("find", path))?;
        let is_new = !path.exists();
        store::open::make_folder(&path).map_err(failed("make the folder", &path))?;
        let metadata = std::fs::metadata(&path).map_err(failed("look at", &path))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            // not ours to change (it may be a mount or shared on purpose), but not ours to hide either
            tracing::warn!(path = %path.display(), "others on this machine can look into the data folder; chmod 700 closes it");
        }
        let probe = path.join(format!(".probe.{}", std::process::id()));
        create_new(&probe).map_err(failed("write to", &path))?;
        std::fs::remove_file(&probe).map_err(failed("write to", &path))?;
        Ok(Self { path, is_new })
    }
}

/// Puts a file into the folder whole or not at all (`0600`): a reader never sees half of it, also after a crash.
///
/// # Errors
/// What the system says.
pub fn write_whole(folder: &Path, name: &str, content: &[u8]) -> std::io::Result<()> {
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let written = create_new(&temporary)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, folder.join(name)));
    if written.is_err() {
        // the first error is the one to tell; what cannot be removed is overwritten by the next try
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    std::fs::File::open(folder)?.sync_all()
}

fn create_new(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_is_made_for_the_owner_alone_and_found_the_next_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/hive-data");
        let made = DataFolder::prepare(&path).unwrap();
        assert_eq!(made, DataFolder { path: path.clone(), is_new: true });
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!DataFolder::prepare(&path).unwrap().is_new);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_told_with_its_path() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        std::fs::write(&path, "").unwrap();
        let error = DataFolder::prepare(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot make the folder {}", path.display()));
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        write_whole(folder.path(), "x", b"one").unwrap();
        write_whole(folder.path(), "x", b"two").unwrap();
        assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
