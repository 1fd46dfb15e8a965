//! Folders for work in between, in the data folder: gone when they are dropped, or at the next start.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::removal::remove_tree;

/// A folder that only the hive's user can enter; removed with what is in it when dropped.
#[derive(Debug)]
pub(super) struct Spool(PathBuf);

impl Spool {
    /// Makes an empty folder of that name.
    pub(super) fn make(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
        remove_tree(&path)?;
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Makes one with a name that no other has.
    pub(super) fn make_any(folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self::make(folder, &format!(".survey-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(cause) = remove_tree(&self.0) {
            tracing::warn!(path = %self.0.display(), %cause, "a scratch folder stays until the next start");
        }
    }
}
