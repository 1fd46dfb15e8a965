//! One attempt from its assignment to its end.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{AttemptError, PromptVia, Report, Secret, WorkspaceReport};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::sleep_until;

use super::Parts;
use super::guarded::{self, Held};
use super::plan::{self, Environment, Surroundings};
use super::pour::{Sink, pour};
use super::prompt::PromptFile;
use super::verdict::{self, Verdict};
use crate::attempt::{Assignment, Ended, Why};
use crate::guard::words::Spec;
use crate::leftovers;
use crate::output::{OutputPiece, Shaper, masked};
use crate::result::ResultReader;
use crate::workspace::{Prepared, WorkspaceError};

/// The far ends of what the runtime holds of an attempt.
pub(super) struct Ends {
    pub(super) output: mpsc::Sender<OutputPiece>,
    pub(super) leash: mpsc::UnboundedReceiver<Why>,
}

/// An attempt on its way.
struct Attempt {
    parts: Arc<Parts>,
    assignment: Arc<Assignment>,
    hive: Environment,
    secrets: Vec<Secret>,
    began: Instant,
}

/// What was found before anything was made.
struct Found {
    program: PathBuf,
    prompt: String,
}

/// Sees an assignment through.
pub(super) async fn attend(parts: Arc<Parts>, assignment: Assignment, ends: Ends) -> Ended {
    let hive = plan::hive_environment();
    let secrets = plan::secrets(&hive, &assignment.link);
    let assignment = Arc::new(assignment);
    let attempt = Attempt { parts, assignment, hive, secrets, began: Instant::now() };
    let mut ended = attempt.run(ends).await;
    attempt.mask(&mut ended.report);
    ended
}

impl Attempt {
    async fn run(&self, ends: Ends) -> Ended {
        let Ends { output, mut leash } = ends;
        let unstarted = |verdict: Box<Verdict>| {
            let Verdict { report, is_launch_failure } = *verdict;
            Ended { report, workspace: None, is_launch_failure }
        };
        let found = match self.find() {
            Ok(found) => found,
            Err(verdict) => return unstarted(verdict),
        };
        let prepared = match self.prepare(&mut leash).await {
            Ok(prepared) => prepared,
            Err(verdict) => return unstarted(verdict),
        };
        let Verdict { report, is_launch_failure } =
            self.run_in(prepared.path(), found, output, &mut leash).await;
        Ended { report, workspace: self.settle(prepared).await, is_launch_failure }
    }

    fn find(&self) -> Result<Found, Box<Verdict>> {
        let program = self
            .parts
            .find_program(&self.assignment.link, &self.hive)
            .map_err(|message| Box::new(unstartable("program_missing", message)))?;
        // this is the task's fault, so the agent takes others all the same
        let prompt = plan::prompt_of(&self.assignment).map_err(|message| {
            let report = failed("prompt_too_long", message, false);
            Box::new(Verdict { report, is_launch_failure: false })
        })?;
        Ok(Found { program, prompt })
    }

    /// Makes the workspace, which takes its time: until then, too, the attempt may be asked to end, and its time be over.
    async fn prepare(&self, leash: &mut mpsc::UnboundedReceiver<Why>) -> Result<Prepared, Box<Verdict>> {
        let (hand_over, mut made) = oneshot::channel();
        let making = async {
            self.make(hand_over).await;
            (&mut made).await
        };
        let verdict = tokio::select! {
            biased;
            why = leash.recv() => Verdict { report: verdict::asked(why, None), is_launch_failure: false },
            () = self.until_timeout() => {
                let report = verdict::timed_out(self.timeout_ms(), None);
                Verdict { report, is_launch_failure: false }
            }
            made = making => return Self::made(made.map_err(|_| "making it failed".to_owned())),
        };
        // one that is made later settles itself
        made.close();
        if let Ok(Ok(prepared)) = made.try_recv() {
            self.settle(prepared).await;
        }
        Err(Box::new(verdict))
    }

    /// Begins to make the workspace when it is its turn. What nobody waits for any more is settled as soon as it is made.
    async fn make(&self, hand_over: oneshot::Sender<Result<Prepared, WorkspaceError>>) {
        let turn = Arc::clone(&self.parts.making).acquire_owned().await;
        let (workspaces, assignment) = (self.parts.workspaces.clone(), Arc::clone(&self.assignment));
        spawn_blocking(move || {
            let _turn = turn;
            if let Err(Ok(prepared)) = hand_over.send(workspaces.prepare(&assignment)) {
                let _ = prepared.settle(&[]);
            }
        });
    }

    fn made(made: Result<Result<Prepared, WorkspaceError>, String>) -> Result<Prepared, Box<Verdict>> {
        let failure = match made {
            Ok(Ok(prepared)) => return Ok(prepared),
            Ok(Err(WorkspaceError::InUse { .. })) => Verdict {
                report: Report::HandedBack { reason: "its workspace is in use", usage: None },
                is_launch_failure: true,
            },
            Ok(Err(error)) => unstartable("workspace_failed", told(&error)),
            Err(message) => unstartable("workspace_failed", message),
        };
        Err(Box::new(failure))
    }

    async fn settle(&self, prepared: Prepared) -> Option<WorkspaceReport> {
        let secrets = self.secrets.clone();
        spawn_blocking(move || prepared.settle(&secrets)).await.ok().flatten()
    }

    async fn until_timeout(&self) {
        let timeout = self.timeout_ms().map(Duration::from_millis);
        match timeout.and_then(|timeout| self.began.checked_add(timeout)) {
            Some(at) => sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Runs it in its workspace, and sends its output.
    async fn run_in(
        &self,
        workspace: &Path,
        found: Found,
        output: mpsc::Sender<OutputPiece>,
        leash: &mut mpsc::UnboundedReceiver<Why>,
    ) -> Verdict {
        let record = self.parts.record(self.assignment.task, self.assignment.attempt);
        let prompt_file = match self.prompt_file(&record, &found.prompt) {
            Ok(prompt_file) => prompt_file,
            Err(error) => {
                return unstartable("prompt_failed", format!("its prompt cannot be written: {error}"));
            }
        };
        let spec = self.spec(workspace, record, found);
        let (guarded, pipes) = match guarded::start(&self.parts.settings.guard) {
            Ok(started) => started,
            Err(error) => {
                return unstartable("guard_failed", format!("its guard cannot be started: {error}"));
            }
        };
        let limits = self.assignment.limits;
        let mut sink = Sink {
            shaper: Shaper::new(limits.output_bytes_max, &self.secrets),
            reader: ResultReader::new(self.assignment.link.result, limits.result_bytes_max, &self.secrets),
            output,
        };
        let (over, is_over) = oneshot::channel();
        let held = async {
            let held = guarded.hold(&spec, leash).await;
            self.end_rest(&held, &spec.record).await;
            // the other side may have seen the end of both pipes already
            let _ = over.send(());
            held
        };
        let (held, ()) = tokio::join!(held, pour(pipes, &mut sink, is_over));
        drop(prompt_file);
        self.judge(&held, sink).await
    }

    /// Writes the prompt, if the link wants it in a file.
    fn prompt_file(&self, record: &Path, prompt: &str) -> io::Result<Option<PromptFile>> {
        let is_wanted = self.assignment.link.prompt == PromptVia::File;
        is_wanted.then(|| PromptFile::write(record, prompt)).transpose()
    }

    fn spec(&self, workspace: &Path, record: PathBuf, found: Found) -> Spec {
        let mark = format!("{:032x}", rand::random::<u128>());
        let surroundings = Surroundings {
            program: found.program,
            mark: &mark,
            workspace,
            prompt_file: &PromptFile::path(&record),
        };
        let order = plan::order(&self.assignment, &self.hive, found.prompt, surroundings);
        let left = self.timeout_ms().map(Duration::from_millis).map(|time| {
            // a millisecond, so that a time that is over already ends it in the usual way
            time.saturating_sub(self.began.elapsed()).max(Duration::from_millis(1))
        });
        Spec {
            order,
            timeout_ms: left.and_then(|left| u64::try_from(left.as_millis()).ok()),
            kill_grace_ms: self.parts.settings.kill_grace_ms,
            record,
            mark,
        }
    }

    /// The shorter of the link's time and the task's.
    fn timeout_ms(&self) -> Option<u64> {
        let Assignment { link, timeout_ms, .. } = &*self.assignment;
        link.timeout_ms.into_iter().chain(*timeout_ms).min()
    }

    /// Ends what a killed guard left, and tells of what could not be ended.
    async fn end_rest(&self, held: &Held, record: &Path) {
        let (task, attempt) = (self.assignment.task, self.assignment.attempt);
        match &held.ended {
            Some(ended) if ended.left_count > 0 => {
                let count = ended.left_count;
                tracing::error!(task.id = %task, attempt, count, "processes cannot be killed, and were left");
            }
            Some(_) => {}
            None => {
                let record = record.to_owned();
                let was_running = spawn_blocking(move || leftovers::end_one(&record)).await.unwrap_or(false);
                tracing::warn!(task.id = %task, attempt, was_running, "the guard of a process was lost");
            }
        }
    }

    /// Reads the result, and sends the last of the output.
    async fn judge(&self, held: &Held, sink: Sink) -> Verdict {
        let Sink { shaper, reader, output } = sink;
        for piece in shaper.finish() {
            if output.send(piece).await.is_err() {
                break; // nobody wants it any more
            }
        }
        let preset = self.assignment.link.preset.as_ref();
        let preset = preset.and_then(|name| self.parts.presets.get(name));
        let read = reader.finish(verdict::exit(held), preset);
        verdict::judge(held, read, self.timeout_ms())
    }

    /// Takes the secrets out of what people read about a failure.
    fn mask(&self, report: &mut Report) {
        if let Report::Failed { error, .. } | Report::TimedOut { error, .. } = report {
            error.message = masked(&error.message, &self.secrets);
        }
    }
}

fn unstartable(kind: &'static str, message: String) -> Verdict {
    Verdict { report: failed(kind, message, true), is_launch_failure: true }
}

fn failed(kind: &'static str, message: String, retryable: bool) -> Report {
    Report::Failed { error: AttemptError::stated(kind, message), retryable, usage: None }
}

/// An error and its causes, as one sentence.
fn told(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}
