//! How far a demo is, folded from the hive's own events.

use std::collections::HashMap;

use domain::TaskId;
use domain::event::EventKind;
use protocol::EventView;

use super::crew::{Given, Member};
use super::roles::ROLES;

/// How a role's agents stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Agents that will be there.
    pub agents: u64,
    /// Tasks in all.
    pub tasks: u64,
    /// Attempts at work.
    pub working: u64,
    /// Tasks that are completed.
    pub done: u64,
    /// Tasks that ended in another way.
    pub lost: u64,
    /// Attempts that ended badly and are followed by another one.
    pub crashes: u64,
    /// Tasks that wait for their next attempt after such a one.
    pub waiting_again: u64,
    /// What happened last.
    pub last: String,
}

/// How all of them stand.
#[derive(Debug)]
pub struct Progress {
    roles: Vec<Standing>,
    tasks: HashMap<TaskId, (usize, String)>,
}

impl Progress {
    /// Nothing has happened yet.
    pub fn new(members: &[Member], given: &[Given]) -> Self {
        let mut roles = vec![Standing::default(); ROLES.len()];
        for member in members {
            if let Some(role) = roles.get_mut(member.role) {
                role.agents += 1;
            }
        }
        for task in given {
            if let Some(role) = roles.get_mut(task.role) {
                role.tasks += 1;
            }
        }
        let tasks = given.iter().map(|task| (task.id, (task.role, task.job.title.clone()))).collect();
        Self { roles, tasks }
    }

    /// Takes in what happened next.
    pub fn fold(&mut self, event: &EventView) {
        let known = event.task_id.and_then(|task| self.tasks.get(&task));
        let (Some(kind), Some((place, title))) = (EventKind::from_word(&event.kind), known) else { return };
        if let Some(role) = self.roles.get_mut(*place) {
            role.fold(kind, event.attempt.unwrap_or_default(), title);
        }
    }

    /// Each role, in the order of [`ROLES`].
    pub fn standings(&self) -> impl Iterator<Item = (&'static str, &Standing)> {
        ROLES.iter().map(|role| role.name).zip(&self.roles)
    }

    /// All roles together.
    pub fn sum(&self) -> Standing {
        self.roles.iter().fold(Standing::default(), |sum, role| Standing {
            agents: sum.agents + role.agents,
            tasks: sum.tasks + role.tasks,
            working: sum.working + role.working,
            done: sum.done + role.done,
            lost: sum.lost + role.lost,
            crashes: sum.crashes + role.crashes,
            waiting_again: sum.waiting_again + role.waiting_again,
            last: String::new(),
        })
    }
}

impl Standing {
    fn fold(&mut self, kind: EventKind, attempt: u32, title: &str) {
        let again = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        match kind {
            EventKind::TaskStarted => {
                self.working += 1;
                if attempt > 1 {
                    self.waiting_again = self.waiting_again.saturating_sub(1);
                }
                self.last = format!("{title}{again}");
            }
            EventKind::TaskCompleted => {
                self.ended();
                self.done += 1;
                self.last = format!("{title}{again}: done");
            }
            EventKind::TaskRetrying => {
                self.ended();
                self.crashes += 1;
                self.waiting_again += 1;
                self.last = format!("{title}: crashed, will be tried again");
            }
            EventKind::TaskReleased => self.ended(),
            EventKind::TaskFailed | EventKind::TaskCanceled => {
                self.ended();
                self.lost += 1;
                self.last = format!("{title}{again}: lost");
            }
            _ => {}
        }
    }

    fn ended(&mut self) {
        self.working = self.working.saturating_sub(1);
    }

    /// Whether nothing more will happen.
    pub const fn is_over(&self) -> bool {
        self.done + self.lost >= self.tasks
    }

    /// How it stands, in a word.
    pub const fn word(&self) -> &'static str {
        match self {
            standing if standing.is_over() && standing.lost > 0 => "failed",
            standing if standing.is_over() => "done",
            standing if standing.working > 0 => "working",
            standing if standing.waiting_again > 0 => "will retry",
            _ => "waiting",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::crew;
    use domain::Timestamp;
    use serde_json::value::RawValue;

    fn event(kind: EventKind, task: TaskId, attempt: u32) -> EventView {
        EventView {
            seq: 1,
            at: Timestamp::ZERO,
            kind: kind.as_str().to_owned(),
            task_id: Some(task),
            agent_id: None,
            attempt: Some(attempt),
            queue: None,
            correlation_id: String::new(),
            data: RawValue::from_string("{}".to_owned()).unwrap(),
        }
    }

    #[test]
    fn a_task_that_crashes_and_is_tried_again_is_seen_at_every_step() {
        let members = crew::members(6);
        let (role, job) = crew::jobs(&members).into_iter().find(|(_, job)| job.stumbles).unwrap();
        let id = TaskId::from_raw(7);
        let title = job.title.clone();
        let mut progress = Progress::new(&members, &[Given { id, role, job }]);
        let mut seen = Vec::new();
        for (kind, attempt) in [
            (EventKind::TaskSubmitted, 0),
            (EventKind::TaskStarted, 1),
            (EventKind::TaskRetrying, 1),
            (EventKind::TaskQueued, 1),
            (EventKind::TaskStarted, 2),
            (EventKind::TaskCompleted, 2),
        ] {
            progress.fold(&event(kind, id, attempt));
            seen.push(progress.standings().nth(role).unwrap().1.word());
        }
        assert_eq!(seen, ["waiting", "working", "will retry", "will retry", "working", "done"]);
        let sum = progress.sum();
        assert_eq!((sum.done, sum.lost, sum.working, sum.crashes, sum.waiting_again), (1, 0, 0, 1, 0));
        assert!(sum.is_over());
        let last = &progress.standings().nth(role).unwrap().1.last;
        assert_eq!(*last, format!("{title} (attempt 2): done"));
    }

    #[test]
    fn what_happens_to_tasks_of_others_changes_nothing() {
        let mut progress = Progress::new(&crew::members(6), &[]);
        progress.fold(&event(EventKind::TaskStarted, TaskId::from_raw(8), 1));
        assert_eq!(progress.sum(), Standing { agents: 6, ..Standing::default() });
    }
}
