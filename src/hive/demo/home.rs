//! The demo's folder: made for it, and gone after it.
//!
//! Invariant: it lies in the system's folder for such things, only its user can look into it, and nothing else is removed
//! with it.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a removal is tried again while something still writes into the folder.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(3);
/// From one try to the next.
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

/// A folder that is removed with this value, unless it is kept.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    is_kept: bool,
}

impl Home {
    /// Makes one under the system's temporary folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(is_kept: bool) -> io::Result<Self> {
        // as the system names it: the folders of processes are compared with it
        let parent = std::env::temp_dir().canonicalize()?;
        let path = parent.join(format!("hive-demo-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, is_kept })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays.
    pub const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Removes it now, and says when that cannot be done; one that is kept stays.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave(self) -> io::Result<()> {
        self.remove()
    }

    fn remove(&self) -> io::Result<()> {
        if self.is_kept {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            match std::fs::remove_dir_all(&self.path) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) if began.elapsed() > REMOVAL_TIMEOUT => return Err(error),
                Err(_) => std::thread::sleep(REMOVAL_PAUSE),
            }
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // who wanted to hear of it has called `leave`
        let _ = self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_goes_with_all_that_is_in_it_and_nobody_else_can_look_into_it() {
        let home = Home::make(false).unwrap();
        let path = home.path().to_owned();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/c"), "x").unwrap();
        drop(home);
        assert!(!path.exists());
    }

    #[test]
    fn one_that_is_kept_stays() {
        let home = Home::make(true).unwrap();
        let path = home.path().to_owned();
        home.leave().unwrap();
        assert!(path.exists());
        std::fs::remove_dir_all(path).unwrap();
    }
}
