//! What goes to a link and what comes back: plain types, no work.

use std::sync::Arc;

use domain::{AgentId, Name, ProcessLink, Report, TaskId, WorkspaceReport};
use tokio::sync::{mpsc, oneshot};

use crate::output::OutputPiece;

/// An attempt as it is handed to a process.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// Who works.
    pub agent: AgentId,
    /// What people call the agent.
    pub agent_name: Name,
    /// How it is started.
    pub link: ProcessLink,
    /// What people call the task; the prompt of a task without input.
    pub title: String,
    /// The task's input as JSON.
    pub input: Option<Arc<str>>,
    /// How long the attempt may take in all, in milliseconds, beside the link's own time.
    pub timeout_ms: Option<u64>,
    /// How much it may print and return.
    pub limits: OutputLimits,
}

/// How much of what a process prints is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Most output of the attempt, in bytes: head and tail are kept, the cut is marked.
    pub output_bytes_max: u64,
    /// Largest result, in bytes of JSON.
    pub result_bytes_max: usize,
}

/// A process that was started, or is about to be.
#[derive(Debug)]
pub struct Running {
    /// What it prints, in pieces of at most 64 KiB; ends when it prints no more. Not taking a piece holds the process up.
    pub output: mpsc::Receiver<OutputPiece>,
    /// How it ended; comes after the last piece of output was handed over, so drain `output` first.
    pub ended: oneshot::Receiver<Ended>,
    /// Ends it; dropped, everything that it started is killed at once.
    pub leash: Leash,
}

/// Holds a process. Dropped, everything that it started is killed at once.
#[derive(Debug)]
pub struct Leash {
    pub(crate) end: mpsc::UnboundedSender<Why>,
}

impl Leash {
    /// Asks the process to end: SIGTERM now, SIGKILL after the grace.
    pub fn end(&self, why: Why) {
        // One that has ended already needs no word.
        let _ = self.end.send(why);
    }
}

/// Why a process has to end before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Somebody asked to cancel the task.
    Canceled,
    /// The hive stops.
    Draining,
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Ended {
    /// What is reported of it.
    pub report: Report,
    /// What it left in its workspace, where it had one.
    pub workspace: Option<WorkspaceReport>,
    /// Whether it failed before the command ran: such agents pause before they take more.
    pub is_launch_failure: bool,
}
