//! A layer between the real program and the C library (`shim.c`, preloaded): it notes what goes to the disk and which answers
//! leave, in their order, and has levers that delay syncs, fail or fake them, and move the time of day.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{Options, program};

/// EIO.
pub const IO_ERROR: i64 = 5;

/// What can be moved while the program runs. The numbers are those of `shim.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lever {
    /// Each sync begins so many microseconds later.
    SyncDelayUs = 0,
    /// The n-th sync from now on fails, once.
    FailSyncIn = 1,
    /// The n-th write from now on fails, once.
    FailWriteIn = 2,
    /// With this number.
    FailErrno = 3,
    /// Where syncs and writes fail: see [`Where`].
    FailWhere = 4,
    /// Not 0: syncs are answered and not done.
    Lies = 5,
    /// The time of day is so many microseconds later than it is.
    ClockUs = 6,
    /// How many syncs were asked for; read it.
    Syncs = 7,
}

const LEVERS: u64 = 8;

/// Files in which something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// Whatever the file, but no folder: SQLite does not look at how the sync of a folder ends.
    Files = -1,
    /// The database.
    Database = 2,
    /// Its write-ahead log.
    Log = 3,
}

/// The layer of one data folder, over all lives of its hive.
pub struct Shim {
    levers: File,
    /// The folder that holds the data folder: the log of the program lies beside that.
    pub folder: PathBuf,
    /// Where it is noted what went to the disk.
    pub log: PathBuf,
    levers_path: PathBuf,
    library: PathBuf,
    _own: tempfile::TempDir,
}

impl Shim {
    /// Builds the layer where that is needed and puts all levers to 0.
    ///
    /// # Errors
    /// When there is no C compiler, or no place.
    pub fn new() -> Result<Self> {
        let own = tempfile::tempdir()?;
        let whole = own.path().canonicalize()?;
        let (folder, log, levers_path) = (whole.join("disk"), whole.join("noted"), whole.join("levers"));
        std::fs::create_dir(&folder)?;
        let levers = File::options().create_new(true).read(true).write(true).open(&levers_path)?;
        levers.set_len(LEVERS * 8)?;
        Ok(Self { levers, folder, log, levers_path, library: library()?, _own: own })
    }

    /// The data folder.
    #[must_use]
    pub fn hive_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A hive on the data folder, with the layer before it.
    #[must_use]
    pub fn options(&self) -> Options {
        self.unnoted().set("HIVE_SHIM_FOLDER", self.folder.display()).set("HIVE_SHIM_LOG", self.log.display())
    }

    /// The same, of which nothing is noted: only the levers work.
    #[must_use]
    pub fn unnoted(&self) -> Options {
        Options::default()
            .folder(&self.hive_folder())
            .set("LD_PRELOAD", self.library.display())
            .set("HIVE_SHIM_LEVERS", self.levers_path.display())
    }

    /// Moves a lever.
    ///
    /// # Errors
    /// When the file of the levers cannot be written.
    pub fn set(&self, lever: Lever, to: i64) -> Result<()> {
        Ok(self.levers.write_all_at(&to.to_le_bytes(), lever as u64 * 8)?)
    }

    /// Where a lever stands.
    ///
    /// # Errors
    /// When the file of the levers cannot be read.
    pub fn get(&self, lever: Lever) -> Result<i64> {
        let mut bytes = [0; 8];
        self.levers.read_exact_at(&mut bytes, lever as u64 * 8)?;
        Ok(i64::from_le_bytes(bytes))
    }

    /// The n-th sync or write (as `lever` says) in such a file fails with EIO.
    ///
    /// # Errors
    /// When the file of the levers cannot be written.
    pub fn fail(&self, lever: Lever, n: i64, place: Where) -> Result<()> {
        self.set(Lever::FailErrno, IO_ERROR)?;
        self.set(Lever::FailWhere, place as i64)?;
        self.set(lever, n)
    }
}

/// Builds the layer beside the program, once for each state of its source.
fn library() -> Result<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/shim.c");
    let mut state = DefaultHasher::new();
    std::fs::read(source)?.hash(&mut state);
    let beside = program();
    let folder = beside.parent().context("a folder")?;
    let library = folder.join(format!("libshim-{:016x}.so", state.finish()));
    if library.exists() {
        return Ok(library);
    }
    let fresh = tempfile::NamedTempFile::new_in(folder)?.into_temp_path();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-o"])
        .arg(&fresh)
        .args([source, "-ldl", "-pthread"])
        .output()
        .context("install gcc: this test builds a small library with cc")?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    // Several tests may build it at a time: the last one's takes the place of the same.
    fresh.persist(&library)?;
    Ok(library)
}
