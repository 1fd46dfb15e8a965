//! Files on their way to their final names, and the room there is for them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};

use crate::cli::counted;
use crate::exit::Exit;
use crate::failure::Failure;

/// What ends the name of a file that is not whole yet.
const DRAFT: &str = ".hive-draft";

/// A file that is being made beside the place where it will stand; gone when it is dropped before that.
#[derive(Debug)]
pub struct Draft {
    /// Where it is now.
    pub path: PathBuf,
    is_placed: bool,
}

impl Draft {
    /// An empty one for its owner alone, in the folder of `place`. What programs that died left of theirs goes.
    ///
    /// # Errors
    /// What the system says.
    pub fn beside(place: &Path) -> io::Result<Self> {
        let folder = folder_of(place);
        clear_leftovers(&folder);
        let name = place.file_name().ok_or_else(|| io::Error::from(ErrorKind::IsADirectory))?;
        let name = format!(".{}.{}{DRAFT}", name.to_string_lossy(), std::process::id());
        let path = folder.join(name);
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Self { path, is_placed: false })
    }

    /// Gives it its final name, unless something has that name, and syncs the folder. Sync the file before.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system says.
    pub fn place(mut self, place: &Path) -> io::Result<()> {
        renameat_with(CWD, &self.path, CWD, place, RenameFlags::NOREPLACE)?;
        self.is_placed = true;
        sync_folder(&folder_of(place))
    }

    /// Gives it its final name in place of what has it, and syncs the folder. Sync the file before.
    ///
    /// # Errors
    /// What the system says.
    pub fn replace(mut self, place: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, place)?;
        self.is_placed = true;
        sync_folder(&folder_of(place))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_placed {
            // what stays behind is cleared by the next one
            remove_draft(&self.path);
        }
    }
}

/// Makes a folder for its owner alone where it is missing.
///
/// # Errors
/// What the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes sure that a power cut does not forget what was renamed in a folder.
///
/// # Errors
/// What the system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The folder that a file stands in.
#[must_use]
pub fn folder_of(place: &Path) -> PathBuf {
    match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Bytes that this user may still write where `path` is.
///
/// # Errors
/// What the system says.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Refuses when a folder has no room for so many bytes and a little more.
///
/// # Errors
/// A [`Failure`] with both numbers.
pub fn require_room(folder: &Path, needed: u64) -> Result<(), Failure> {
    let free = free_bytes(folder).map_err(|error| unusable(folder, &error))?;
    let needed = needed.saturating_add(RESERVE_BYTES);
    if free >= needed {
        return Ok(());
    }
    let message = format!(
        "too little room in {}: {} may be needed and {} are free",
        folder.display(),
        counted(needed, "byte"),
        counted(free, "byte")
    );
    Err(Failure::new(Exit::Environment, message))
}

/// What is left free for a hive that goes on beside.
const RESERVE_BYTES: u64 = 1 << 20;

/// A path of which the system says no.
#[must_use]
pub fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Environment, format!("cannot use {}: {error}", path.display()))
}

/// Drafts of processes that are not there any more; a draft of a living one is left to it.
fn clear_leftovers(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let owner = name.strip_suffix(DRAFT).and_then(|name| name.rsplit_once('.')?.1.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove_draft(&path);
        }
    }
}

fn remove_draft(path: &Path) {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    for gone in [path, Path::new(&journal)] {
        let _ = std::fs::remove_file(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_takes_no_name_that_is_taken_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x.db");
        let draft = Draft::beside(&place).unwrap();
        std::fs::write(&place, "mine").unwrap();
        assert_eq!(draft.place(&place).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&place).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn drafts_of_the_dead_go_and_those_of_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let of = |pid: u32| folder.path().join(format!(".a.db.{pid}{DRAFT}"));
        let (dead, living) = (of(u32::MAX), of(1));
        for path in [&dead, &living] {
            std::fs::write(path, "").unwrap();
        }
        let mine = Draft::beside(&folder.path().join("b.db")).unwrap();
        assert!(!dead.exists() && living.exists() && mine.path.exists());
    }
}
