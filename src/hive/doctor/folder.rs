//! The data folder: that it is there, ours, closed to others, and has room.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::Finding;
use crate::backup::place::free_bytes;
use crate::cli::counted;

/// Less room than this and the hive will soon refuse work: the write-ahead log alone may take so much.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Less room than this is worth a word.
const FREE_BYTES_GOOD: u64 = 1 << 30;

/// Looks at it.
pub fn examine(folder: &Path) -> Vec<Finding> {
    let Ok(metadata) = std::fs::metadata(folder) else {
        return vec![missing(folder), room(&nearest(folder))];
    };
    let shown = folder.display();
    let myself = rustix::process::geteuid().as_raw();
    let mode = metadata.permissions().mode() & 0o777;
    let finding = if !metadata.is_dir() {
        Finding::problem("folder", format!("{shown} is no folder")).advise("--data-dir PATH chooses another")
    } else if access(folder, Access::WRITE_OK | Access::READ_OK | Access::EXEC_OK).is_err() {
        let finding = Finding::problem("folder", format!("{shown} cannot be written by user {myself}"));
        if metadata.uid() == myself {
            finding
                .advise(format!("chmod 700 {shown}; if that changes nothing, its disk is mounted read-only"))
        } else {
            finding.advise(format!("run this and the hive as user {}, who owns it", metadata.uid()))
        }
    } else if metadata.uid() != myself {
        Finding::note(
            "folder",
            format!("{shown} belongs to user {}, and this is user {myself}", metadata.uid()),
        )
        .advise("run the hive and its commands as one user")
    } else if mode & 0o077 != 0 {
        Finding::note("folder", format!("others on this machine can look into {shown} (mode {mode:o})"))
            .advise(format!("chmod 700 {shown}"))
    } else {
        Finding::ok("folder", format!("{shown}, mode {mode:o}"))
    };
    vec![finding, room(folder)]
}

fn missing(folder: &Path) -> Finding {
    let parent = nearest(folder);
    if access(&parent, Access::WRITE_OK | Access::EXEC_OK).is_ok() && parent.is_dir() {
        Finding::note("folder", format!("{} is not there yet", folder.display()))
            .advise("the first start makes it; --data-dir PATH names another")
    } else {
        Finding::problem(
            "folder",
            format!("{} cannot be made: {} is not writable", folder.display(), parent.display()),
        )
        .advise("--data-dir PATH chooses another")
    }
}

/// What is there of a path.
fn nearest(folder: &Path) -> PathBuf {
    folder.ancestors().find(|path| path.exists()).unwrap_or(folder).to_owned()
}

fn room(folder: &Path) -> Finding {
    let free = match free_bytes(folder) {
        Ok(free) => free,
        Err(error) => {
            return Finding::problem("disk", format!("{} cannot be looked at: {error}", folder.display()));
        }
    };
    let found = format!("{} free (about {} MiB)", counted(free, "byte"), free >> 20);
    if free < FREE_BYTES_MIN {
        Finding::problem("disk", found).advise("make room; a full disk refuses tasks")
    } else if free < FREE_BYTES_GOOD {
        Finding::note("disk", found).advise("make room before it is full: then tasks are refused")
    } else {
        Finding::ok("disk", found)
    }
}
