//! What a batch is going to ask for, read off its commands before the first is applied.

use std::collections::{BTreeMap, BTreeSet};

use domain::Report;

use super::unit::{KeyId, Run, UniqueId};
use crate::command::{Command, SubmitTask};
use crate::sql::commands::keys::Guarded;

/// Heads of one lane and priority that are read before they are claimed; each comes with its input. Claims that take more
/// read on.
const HEADS_MAX: i64 = 256;

/// Rows that commands will read. What is not foreseen is read one by one when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Tasks, to be locked in this order.
    pub tasks: BTreeSet<i64>,
    /// What these tasks ask for.
    pub specs: BTreeSet<i64>,
    /// Agents that take tasks.
    pub agents: BTreeSet<i64>,
    /// Idempotency keys.
    pub keys: BTreeSet<KeyId>,
    /// Unique keys.
    pub uniques: BTreeSet<UniqueId>,
    /// Heads, and how many.
    pub heads: BTreeMap<Run, i64>,
}

impl Wanted {
    /// What these commands will ask for.
    pub(super) fn by(batch: &[Command]) -> Self {
        let mut wanted = Self::default();
        for command in batch {
            wanted.add(command);
        }
        wanted
    }

    fn add(&mut self, command: &Command) {
        match command {
            Command::SubmitTask(command) => self.submit(command),
            Command::SubmitMany(command) => command.tasks.iter().for_each(|task| self.submit(task)),
            Command::ClaimTasks(command) => {
                self.agents.insert(command.agent.raw());
                self.tasks.extend(command.behind.iter().map(|(task, _)| task.raw()));
                let run = (command.lane.0, command.priority);
                let count = self.heads.entry(run).or_default();
                *count = count.saturating_add(i64::from(command.count)).min(HEADS_MAX);
            }
            Command::FinishAttempt(command) => {
                self.tasks.insert(command.task.raw());
                // What failed waits as it was asked for; what succeeded asks for nothing more.
                if !matches!(command.report, Report::Succeeded { .. }) {
                    self.specs.insert(command.task.raw());
                }
            }
            Command::RenewLease(command) => {
                self.tasks.insert(command.task.raw());
            }
            Command::AppendOutput(command) => {
                self.tasks.insert(command.task.raw());
            }
            Command::CancelTask(command) => self.shown(command.task.raw()),
            Command::RedriveTask(command) => self.shown(command.task.raw()),
            Command::PatchTask(command) => self.shown(command.task.raw()),
            Command::RegisterAgent(_)
            | Command::ChangeAgent(_)
            | Command::CreateApiKey(_)
            | Command::RemoveApiKey(_)
            | Command::ChangeQueue(_)
            | Command::Sweep(_)
            | Command::GraceLeases(_)
            | Command::RecordSystemEvent(_)
            | Command::SaveCheckpoint(_)
            | Command::SavePerformance(_) => {}
        }
    }

    /// A task that the answer shows.
    fn shown(&mut self, task: i64) {
        self.tasks.insert(task);
        self.specs.insert(task);
    }

    fn submit(&mut self, command: &SubmitTask) {
        let accepted = &command.task;
        let tenant = accepted.tenant.0;
        self.tasks.insert(accepted.id.raw());
        self.agents.extend(command.eager.iter().chain(&accepted.asked.agent_id).map(|agent| agent.raw()));
        if let Some(key) = &command.key {
            self.keys.insert((tenant, key.hash, Guarded::Submit.code()));
        }
        if let Some(unique) = &accepted.asked.unique {
            self.uniques.insert((tenant, unique.key.clone()));
        }
    }
}
