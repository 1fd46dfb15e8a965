//! How a supervisor ends with all its children, and how it begins again.

use std::sync::Arc;

use crate::ShutdownReport;
use crate::entry::ActorState;
use crate::node::Exit;
use crate::table::{After, Goal, Phase};
use crate::turn::Turn;

impl Turn<'_> {
    /// The supervisor fails: towards its own supervisor, or for good if it is the root.
    pub(crate) fn fail(&mut self, text: Arc<str>) {
        self.node.entry.set_error(&text);
        if self.node.owner.line.is_some() {
            self.suspend(Exit::Failed(text), false);
        } else {
            self.finish(Some(text), false);
        }
    }

    pub(crate) fn suspend(&mut self, exit: Exit, is_forced: bool) {
        match self.table.phase {
            Phase::Running | Phase::Ending => self.end(Goal::Suspend, is_forced, After::Suspend(exit)),
            Phase::Suspended => self.node.owner.tell(exit, false, Vec::new()),
            Phase::Stopped => {}
        }
    }

    pub(crate) fn finish(&mut self, failure: Option<Arc<str>>, is_forced: bool) {
        if self.table.phase != Phase::Stopped {
            self.end(Goal::Stop, is_forced, After::Finish { failure });
        }
    }

    fn end(&mut self, goal: Goal, is_forced: bool, after: After) {
        self.table.phase = Phase::Ending;
        self.table.deferred.clear();
        self.node.entry.set_state(ActorState::Stopping);
        let after = match (self.table.wind.take().map(|wind| wind.after), after) {
            // A stop under way stays one, and a failure is not forgotten over it.
            (Some(After::Finish { failure }), After::Finish { failure: None } | After::Suspend(_)) => {
                After::Finish { failure }
            }
            (_, after) => after,
        };
        let goal = if matches!(after, After::Finish { .. }) { Goal::Stop } else { goal };
        let keys: Vec<u64> = self.table.children.keys().copied().collect();
        self.table.begin_wind(&keys, goal, is_forced, after);
    }

    /// The supervisor's next incarnation: all children of the spec begin, those that had ended included.
    pub(crate) fn begin_again(&mut self) {
        if self.table.phase != Phase::Suspended {
            return;
        }
        self.table.phase = Phase::Running;
        self.table.shared.forget();
        if self.node.entry.begin_incarnation() {
            self.node.registry.count_restart(self.node.entry.kind);
        }
        let keys: Vec<u64> = self.table.children.keys().copied().collect();
        for key in keys {
            if let Some(child) = self.table.children.get_mut(&key) {
                child.record = None;
            }
            self.begin_child(key);
        }
    }

    /// Goes on with the wind under way, as far as the exits so far allow.
    pub(crate) fn go_on(&mut self) {
        while let Some(after) = self.table.advance_wind(self.now) {
            match after {
                After::RestartGroup { keys, delay } => {
                    self.schedule_restart(&keys, delay);
                    for (key, text) in std::mem::take(&mut self.table.deferred) {
                        self.child_failed(key, &text);
                    }
                }
                After::Suspend(exit) => {
                    self.table.phase = Phase::Suspended;
                    self.node.entry.set_state(ActorState::Restarting);
                    self.node.owner.tell(exit, false, std::mem::take(&mut self.table.late));
                }
                After::Finish { failure } => self.close(failure),
            }
        }
    }

    pub(crate) fn note_late(&mut self, key: u64) {
        let Some(child) = self.table.children.get(&key) else { return };
        let path = child.node.entry().path();
        tracing::warn!(actor.path = %path, grace = ?child.grace, "actor did not stop in time");
        self.table.late.push(path);
    }

    fn close(&mut self, failure: Option<Arc<str>>) {
        self.table.phase = Phase::Stopped;
        let keys: Vec<u64> = self.table.children.keys().copied().collect();
        keys.into_iter().for_each(|key| self.forget(key));
        let late = std::mem::take(&mut self.table.late);
        let entry = &self.node.entry;
        entry.set_state(if failure.is_some() { ActorState::Failed } else { ActorState::Stopped });
        self.node.owner.tell(Exit::Stopped, true, late.clone());
        if self.node.owner.line.is_none() {
            self.node.registry.deregister(entry);
        }
        if let (Some(tell), Some(text)) = (&self.node.failure, failure) {
            tracing::error!(supervisor.path = %entry.path(), error = %text, "root supervisor failed");
            tell.send_replace(Some(text));
        }
        // Last, for who waited may look at the registry at once.
        for waiter in self.table.waiters.drain(..) {
            let _ = waiter.send(ShutdownReport { late: late.clone() });
        }
    }
}
