//! What a supervisor does about a child's exit: forget it, restart it, give it up, or fail with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::agenda::Due;
use crate::entry::ActorState;
use crate::node::{ChildExited, Exit};
use crate::supervisor::SupervisorNode;
use crate::table::{After, ChildState, Goal, Phase, Table};
use crate::verdict::{Verdict, verdict};
use crate::{Consequence, GivenUp, StopOutcome, Strategy};

/// One look at the table, under its lock.
pub(crate) struct Turn<'a> {
    pub(crate) node: &'a SupervisorNode,
    pub(crate) table: &'a mut Table,
    pub(crate) now: Instant,
    pub(crate) given_up: Vec<GivenUp>,
}

impl Turn<'_> {
    pub(crate) fn child_exited(&mut self, signal: ChildExited) {
        let ChildExited { key, ref exit, is_gone, .. } = signal;
        let is_absorbed = self.table.wind_absorbs(&signal);
        self.table.late.extend_from_slice(&signal.late);
        let Some(child) = self.table.children.get(&key) else { return };
        let was_running = child.state == ChildState::Running;
        let is_due = child.restart.is_due(exit);
        let can_restart = !is_gone || child.spec.is_some();
        let text = match exit {
            Exit::Failed(text) => Some(Arc::clone(text)),
            Exit::Normal if is_due => Some(Arc::from("ended although it is permanent")),
            Exit::Normal | Exit::Suspended | Exit::Stopped => None,
        };
        if let Some(text) = text {
            let is_failure = !is_absorbed && was_running && is_due && can_restart;
            if !is_failure {
                self.note(key, &text, Consequence::Ended);
            }
            if is_gone {
                self.child_gone(key);
            }
            if is_failure {
                self.child_failed(key, &text);
            }
        } else if is_gone {
            self.child_gone(key);
        }
    }

    fn child_gone(&mut self, key: u64) {
        let Some(child) = self.table.children.get_mut(&key) else { return };
        child.is_gone = true;
        for waiter in child.stop_waiters.drain(..) {
            // Who stopped it may have gone.
            let _ = waiter.send(StopOutcome::InTime);
        }
        let entry = child.node.entry();
        if child.state == ChildState::GivingUp {
            entry.set_state(ActorState::Failed);
            self.given_up.push(GivenUp {
                id: Arc::clone(&entry.segment),
                path: entry.path(),
                text: entry.last_error().map_or_else(|| Arc::from(""), |error| error.text),
                restarts: entry.restarts(),
            });
        }
        // Who was to begin again still is, from its spec: say, a supervisor that escalated and then lost its arbiter.
        if !matches!(child.state, ChildState::Waiting(_) | ChildState::Suspended) {
            child.state = ChildState::Gone;
        }
        if child.spec.is_none() {
            self.forget(key);
        }
    }

    pub(crate) fn forget(&mut self, key: u64) {
        if let Some(child) = self.table.remove(key) {
            self.node.registry.deregister(child.node.entry());
        }
    }

    fn note(&self, key: u64, text: &Arc<str>, consequence: Consequence) {
        if let Some(child) = self.table.children.get(&key) {
            self.node.registry.note_failure(child.node.entry(), text, consequence);
        }
    }

    pub(crate) fn child_failed(&mut self, key: u64, text: &Arc<str>) {
        if self.table.phase != Phase::Running {
            return;
        }
        if self.table.wind.is_some() {
            self.table.deferred.push((key, Arc::clone(text)));
            return;
        }
        let Some(child) = self.table.children.get_mut(&key) else { return };
        let record = child.record.get_or_insert_default();
        match verdict(&self.node.plan, record, &mut self.table.shared, self.now, rand::random()) {
            Verdict::Restart(delay) => {
                self.note(key, text, Consequence::Restarted);
                child_state(self.table, key, ChildState::Suspended);
                self.restart_group(key, delay);
            }
            Verdict::GiveUp => {
                self.note(key, text, Consequence::GivenUp);
                if let Some(child) = self.table.children.get_mut(&key) {
                    child.state = ChildState::GivingUp;
                    if child.is_gone {
                        self.child_gone(key);
                    } else {
                        child.node.stop(true);
                    }
                }
            }
            Verdict::Escalate => {
                self.note(key, text, Consequence::Escalated);
                child_state(self.table, key, ChildState::Suspended);
                let path = self.table.children.get(&key).map(|child| child.node.entry().path());
                self.fail(Arc::from(format!(
                    "too many failures, last of {}: {text}",
                    path.unwrap_or_default()
                )));
            }
        }
    }

    /// Restarts the child, and those the strategy restarts with it once they have ended.
    fn restart_group(&mut self, key: u64, delay: Duration) {
        let from = match self.node.plan.strategy {
            Strategy::OneForOne => return self.schedule_restart(&[key], delay),
            Strategy::OneForAll => 0,
            Strategy::RestForOne => key,
        };
        let later = self.table.children.range(from..);
        let keys: Vec<u64> =
            later.filter(|(_, child)| child.state != ChildState::Gone).map(|(key, _)| *key).collect();
        self.table.begin_wind(&keys, Goal::Suspend, false, After::RestartGroup { keys: keys.clone(), delay });
    }

    pub(crate) fn stop_child(&mut self, id: &Arc<str>, reply: oneshot::Sender<StopOutcome>) {
        let Some(key) = self.table.ids.get(id).copied() else { return };
        let Some(child) = self.table.children.get_mut(&key) else { return };
        if child.is_gone {
            let _ = reply.send(StopOutcome::InTime);
            return;
        }
        child.stop_waiters.push(reply);
        child.state = ChildState::Stopping;
        child.node.stop(child.grace.is_zero());
        let deadline = self.now.checked_add(child.grace).unwrap_or(self.now);
        self.table.agenda.add(deadline, Due::CheckStop(key));
    }

    pub(crate) fn keep_appointments(&mut self) {
        for due in self.table.agenda.take_due(self.now) {
            match due {
                Due::Restart(waits) => {
                    waits.into_iter().for_each(|(key, wait)| self.restart_child(key, wait))
                }
                Due::CheckWind => {
                    for key in self.table.overdue(self.now) {
                        self.note_late(key);
                    }
                }
                Due::CheckStop(key) => {
                    let Some(child) = self.table.children.get_mut(&key) else { continue };
                    if child.state == ChildState::Stopping {
                        child.node.stop(true);
                        for waiter in child.stop_waiters.drain(..) {
                            let _ = waiter.send(StopOutcome::Late);
                        }
                    }
                }
            }
        }
    }

    fn restart_child(&mut self, key: u64, wait: u64) {
        let Some(child) = self.table.children.get_mut(&key) else { return };
        if self.table.phase == Phase::Running && child.state == ChildState::Waiting(wait) {
            self.begin_child(key);
        }
    }

    /// Begins a child's next incarnation, in its place or, if it is gone, from its spec.
    pub(crate) fn begin_child(&mut self, key: u64) {
        let seat = self.node.seat(self.table, key);
        let Some(child) = self.table.children.get_mut(&key) else { return };
        child.state = ChildState::Running;
        if !child.is_gone {
            child.node.restart();
            return;
        }
        let Some(spec) = &child.spec else { return };
        match spec.start(seat) {
            Ok(node) => {
                self.node.registry.deregister(child.node.entry());
                child.node = node;
                child.is_gone = false;
            }
            Err(error) => {
                child.state = ChildState::Gone;
                self.fail(Arc::from(error.to_string()));
            }
        }
    }

    pub(crate) fn schedule_restart(&mut self, keys: &[u64], delay: Duration) {
        let mut waits = Vec::with_capacity(keys.len());
        for key in keys {
            let lives =
                self.table.children.get(key).is_some_and(|child| child.state == ChildState::Suspended);
            if lives && let Some(wait) = self.table.await_restart(*key) {
                waits.push((*key, wait));
            }
        }
        if delay.is_zero() {
            waits.into_iter().for_each(|(key, wait)| self.restart_child(key, wait));
        } else {
            self.table.agenda.add(self.now.checked_add(delay).unwrap_or(self.now), Due::Restart(waits));
        }
    }
}

fn child_state(table: &mut Table, key: u64, state: ChildState) {
    if let Some(child) = table.children.get_mut(&key) {
        child.state = state;
    }
}
