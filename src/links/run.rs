//! Starts assignments as processes and follows them to their end.
//!
//! ```text
//!   Links::start --> attend: plan (prompt, words, environment) --> workspace --> guarded + pour --> verdict --> Ended
//! ```
//!
//! Everything here happens on an I/O runtime of its own, which no actor can hold up and which a restart of an actor leaves
//! alone.
//!
//! Reading order: `attend`, `plan`, `prompt`, `program`, `guarded`, `pour`, `verdict`.

mod attend;
mod guarded;
mod plan;
mod pour;
mod program;
mod prompt;
mod verdict;

pub use program::find as find_program;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{ProcessLink, TaskId};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::attempt::{Assignment, Leash, Running};
use crate::leftovers;
use crate::preset::Presets;
use crate::workspace::Workspaces;
use attend::{Ends, attend};

/// Pieces of output that wait for whoever takes them; beyond that, the process is held up.
const OUTPUT_CAPACITY: usize = 2;
/// Most blocking steps at a time: workspaces are made by running git.
const BLOCKING_THREADS: usize = 16;
/// Most workspaces that are made at a time. It may take minutes, and what ends attempts needs threads, too.
const MAKING_MAX: usize = 12;

/// Why links cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder for the records of processes cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The runtime cannot be started.
    #[error("cannot start the threads for processes")]
    Runtime(#[source] io::Error),
    /// A preset that the program brings along is wrong.
    #[error("a preset is wrong")]
    Presets(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What links need to know.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// The data folder, absolute.
    pub data_dir: PathBuf,
    /// A program that understands `exec-guard`: the hive itself, as `/proc/self/exe`.
    pub guard: PathBuf,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub kill_grace_ms: u64,
}

/// Starts processes. When the last clone is dropped, all that run are killed.
#[derive(Debug, Clone)]
pub struct Links {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// There until it is dropped.
    runtime: Option<Runtime>,
    parts: Arc<Parts>,
}

/// What the attempts share.
#[derive(Debug)]
struct Parts {
    settings: LinkSettings,
    presets: Presets,
    workspaces: Workspaces,
    /// Turns to make a workspace.
    making: Arc<Semaphore>,
}

impl Links {
    /// Opens them over a data folder.
    ///
    /// # Errors
    /// When its folder or the threads are not to be had.
    pub fn open(settings: LinkSettings) -> Result<Self, Error> {
        let folder = records(&settings.data_dir);
        std::fs::create_dir_all(&folder).map_err(|source| Error::Folder { path: folder, source })?;
        let presets = Presets::embedded().map_err(|error| Error::Presets(error.into()))?;
        let workspaces = Workspaces::open(&settings.data_dir);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("hive-io")
            .enable_all()
            .build()
            .map_err(Error::Runtime)?;
        let parts =
            Arc::new(Parts { settings, presets, workspaces, making: Arc::new(Semaphore::new(MAKING_MAX)) });
        Ok(Self { inner: Arc::new(Inner { runtime: Some(runtime), parts }) })
    }

    /// Starts an assignment. What goes wrong comes as its end.
    #[must_use = "dropped, it is killed"]
    pub fn start(&self, assignment: Assignment) -> Running {
        let (output, output_taker) = mpsc::channel(OUTPUT_CAPACITY);
        let (end, leash) = mpsc::unbounded_channel();
        let (tell, ended) = oneshot::channel();
        let parts = Arc::clone(&self.inner.parts);
        if let Some(runtime) = &self.inner.runtime {
            // its owner is whoever holds the leash
            runtime.handle().spawn(async move {
                // one that nobody waits for any more has been ended all the same
                let _ = tell.send(attend(parts, assignment, Ends { output, leash }).await);
            });
        }
        Running { output: output_taker, ended, leash: Leash { end } }
    }

    /// The presets that the program brings along.
    #[must_use]
    pub fn presets(&self) -> &Presets {
        &self.inner.parts.presets
    }

    /// The workspaces of the data folder.
    #[must_use]
    pub fn workspaces(&self) -> &Workspaces {
        &self.inner.parts.workspaces
    }

    /// Kills what an earlier hive left running in this data folder, then removes its scratch folders; answers of how many
    /// attempts something was running. Blocks, up to some seconds. Call it before anything is started.
    #[must_use]
    pub fn end_leftovers(&self) -> usize {
        let count = leftovers::end_all(&records(&self.inner.parts.settings.data_dir));
        self.workspaces().remove_scratch();
        count
    }

    /// A sentence about a link's program when it is not there, with what to do about it. `None` when it is found, and when it
    /// lies in a workspace that is yet to be made.
    #[must_use]
    pub fn program_missing(&self, link: &ProcessLink) -> Option<String> {
        self.inner.parts.find_program(link, &plan::hive_environment()).err()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // waits for nobody, so it may happen anywhere; the guards see their sockets close
            runtime.shutdown_background();
        }
    }
}

impl Parts {
    /// The program of a link: its file, or a sentence about what is missing.
    fn find_program(&self, link: &ProcessLink, hive: &plan::Environment) -> Result<PathBuf, String> {
        let environment = plan::environment(hive, link);
        program::find(link, environment.get("PATH").map(String::as_str)).map_err(|missing| {
            let preset = link.preset.as_ref().and_then(|name| self.presets.get(name));
            match preset.and_then(|preset| preset.install.as_deref()) {
                Some(install) => format!("{missing}; {install}"),
                None => missing,
            }
        })
    }

    /// Where an attempt is on record while it runs.
    fn record(&self, task: TaskId, attempt: u32) -> PathBuf {
        records(&self.settings.data_dir).join(format!("{task}-{attempt}.json"))
    }
}

fn records(data_dir: &Path) -> PathBuf {
    data_dir.join("processes")
}
