//! What the layers above ask of processes: presets, workspaces, output as it comes, and their end.

use std::time::Duration;

use ::links::{Presets, Pruned, WorkspaceRecord, Workspaces};
use domain::{Name, ProcessLink, ProcessLinkEdit, TaskId, Violations};
use tokio::sync::watch;

use super::RuntimeHandle;
use crate::error::Error;
use crate::task::launch::end_for_drain;

/// How often an end looks whether processes still run.
const LOOK: Duration = Duration::from_millis(20);
/// How much longer than its grace a process may take to end and to be reported.
const END_SLACK: Duration = Duration::from_secs(3);

impl RuntimeHandle {
    /// The presets that agents can be made from.
    #[must_use]
    pub fn presets(&self) -> &Presets {
        self.shared.links.presets()
    }

    /// The link that somebody asks for, from a preset or from a command.
    ///
    /// # Errors
    /// [`Violations`] when there is no such preset, a rule is broken or the program is not installed.
    pub fn resolve_link(
        &self,
        preset: Option<&Name>,
        edit: ProcessLinkEdit,
    ) -> Result<ProcessLink, Violations> {
        let base = match preset {
            None => ProcessLink::default(),
            Some(name) => self.preset(name)?,
        };
        self.checked(base.edited(edit))
    }

    /// A link with what somebody wants of it changed.
    ///
    /// # Errors
    /// As [`RuntimeHandle::resolve_link`].
    pub fn edit_link(&self, link: ProcessLink, edit: ProcessLinkEdit) -> Result<ProcessLink, Violations> {
        self.checked(link.edited(edit))
    }

    fn preset(&self, name: &Name) -> Result<ProcessLink, Violations> {
        if let Some(preset) = self.presets().get(name) {
            return Ok(ProcessLink { preset: Some(name.clone()), ..preset.link.clone() });
        }
        let known: Vec<&str> = self.presets().all().map(|preset| preset.name.as_str()).collect();
        Err(Violations::one("link.preset", format!("must be one of {}", known.join(", "))))
    }

    fn checked(&self, link: ProcessLink) -> Result<ProcessLink, Violations> {
        let mut review = domain::Review::new();
        link.review(&mut review);
        review.finish()?;
        match self.shared.links.program_missing(&link) {
            None => Ok(link),
            Some(why) => Err(Violations::one("link.command", why)),
        }
    }

    /// All workspaces on this machine.
    ///
    /// # Errors
    /// [`Error::Workspace`] when they cannot be read.
    pub async fn workspaces(&self) -> Result<Vec<WorkspaceRecord>, Error> {
        self.on_disk(|workspaces| workspaces.list()).await
    }

    /// Removes workspaces that nobody uses: without `force` only those without uncommitted work.
    ///
    /// # Errors
    /// [`Error::Workspace`] when they cannot be read.
    pub async fn prune_workspaces(&self, force: bool) -> Result<Vec<Pruned>, Error> {
        self.on_disk(move |workspaces| workspaces.prune(force)).await
    }

    async fn on_disk<T, E>(
        &self,
        work: impl FnOnce(&Workspaces) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let workspaces = self.shared.links.workspaces().clone();
        let done = tokio::task::spawn_blocking(move || work(&workspaces)).await;
        match done {
            Ok(outcome) => outcome.map_err(|error| Error::Workspace(error.to_string())),
            Err(error) => Err(Error::Crashed(error.to_string())),
        }
    }

    /// Changes when output of the running attempt is stored, closed when that ends; `None` when none runs here.
    #[must_use]
    pub fn follow_output(&self, task: TaskId) -> Option<watch::Receiver<u64>> {
        self.shared.board.follow_output(task)
    }

    /// How many processes run now.
    #[must_use]
    pub fn running_processes(&self) -> usize {
        self.shared.processes.get()
    }

    /// Ends all processes in order and hands their attempts back; waits until that is stored, a little longer than the
    /// processes' grace at most.
    pub async fn end_all_processes(&self) {
        end_for_drain(self.shared.board.actors());
        let patience = Duration::from_millis(self.shared.settings.kill_grace_ms) + END_SLACK;
        let until = tokio::time::Instant::now() + patience;
        while self.running_processes() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
    }
}
