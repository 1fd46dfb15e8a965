//! The record of a running attempt in the data folder: who guards it, who it is, by which mark its processes are known.
//!
//! It is for the start after a crash ([`crate::leftovers`]). A crash of the machine ends the processes too, so it need not
//! survive one and is not flushed.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::tree::Identity;

/// One attempt that runs, or ran when its guard was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) guard: Identity,
    /// The command, which leads its process group.
    pub(crate) command: Identity,
    /// Which run of the machine it belongs to.
    pub(crate) boot_id: String,
    /// The value of `HIVE_PROCESS` in its environment.
    pub(crate) mark: String,
}

impl Record {
    /// Writes it in one step.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, serde_json::to_vec(self)?)?;
        fs::rename(unfinished, path)
    }

    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}

/// Removes it, if it is there.
pub(crate) fn remove(path: &Path) {
    // one that stays is found at the next start, where it points at nobody
    let _ = fs::remove_file(path);
}

/// Which run of the machine this is; empty where the kernel does not say.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
