//! A disk whose syncs take longer: a layer between the hive and the C library (`tests/shim.c`, preloaded), of which only the
//! lever that delays syncs is moved.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Levers that the layer has, of 64 bits each; the first is the delay of a sync, in microseconds.
const LEVERS: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct SlowDisk {
    folder: tempfile::TempDir,
    /// How much longer a sync takes.
    pub delay: Duration,
}

impl SlowDisk {
    /// One on which each sync of a file takes so much longer.
    ///
    /// # Errors
    /// When there is no C compiler, or no place.
    pub fn of(delay: Duration) -> Result<Self> {
        let disk = Self { folder: tempfile::tempdir()?, delay };
        let mut levers = vec![0_i64; LEVERS];
        if let Some(first) = levers.first_mut() {
            *first = i64::try_from(delay.as_micros())?;
        }
        let bytes: Vec<u8> = levers.into_iter().flat_map(i64::to_le_bytes).collect();
        std::fs::write(disk.levers(), bytes)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/shim.c");
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(disk.library())
            .arg(source)
            .args(["-ldl", "-pthread"]);
        let built = compiler.output().context("install gcc: a slower disk is a small library in C")?;
        ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Ok(disk)
    }

    /// What a hive on such a disk has in its environment.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.library()), ("HIVE_SHIM_LEVERS", self.levers())]
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("libslow.so")
    }

    fn levers(&self) -> PathBuf {
        self.folder.path().join("levers")
    }
}
