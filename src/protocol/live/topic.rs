//! What a session can subscribe to: a topic, or a part of one by a path below it.

use std::fmt;

use domain::{AgentId, EventKind, Name, TaskId};

/// Characters of a subscription at most.
pub const TOPIC_CHARS_MAX: usize = 128;

/// A topic as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// Agents come, change and go.
    Agents,
    /// Alerts; never dropped.
    Alerts,
    /// Queues are paused, resumed and limited.
    Coordination,
    /// What is indexed of projects.
    ProjectIndex,
    /// The hive itself.
    System,
    /// Tasks and their attempts.
    Tasks,
}

impl Root {
    /// All of them, by name.
    pub const ALL: [Self; 6] =
        [Self::Agents, Self::Alerts, Self::Coordination, Self::ProjectIndex, Self::System, Self::Tasks];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Alerts => "alerts",
            Self::Coordination => "coordination",
            Self::ProjectIndex => "project_index",
            Self::System => "system",
            Self::Tasks => "tasks",
        }
    }

    /// The `type` of frames that tell of its events.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Agents => "agent_event",
            Self::Alerts => "critical_alert",
            Self::Coordination => "coordination_event",
            Self::ProjectIndex => "project_index_event",
            Self::System => "system_event",
            Self::Tasks => "task_event",
        }
    }

    /// The topic of an event.
    #[must_use]
    pub const fn of(kind: EventKind) -> Self {
        use EventKind as Kind;
        match kind {
            Kind::TaskSubmitted
            | Kind::TaskQueued
            | Kind::TaskStarted
            | Kind::TaskCompleted
            | Kind::TaskFailed
            | Kind::TaskRetrying
            | Kind::TaskReleased
            | Kind::TaskCancelRequested
            | Kind::TaskCanceled
            | Kind::TaskRedriven
            | Kind::TaskUpdated => Self::Tasks,
            Kind::AgentRegistered | Kind::AgentUpdated | Kind::AgentStateChanged | Kind::AgentRemoved => {
                Self::Agents
            }
            Kind::QueuePaused | Kind::QueueResumed | Kind::QueueUpdated => Self::Coordination,
            Kind::AuthKeyCreated
            | Kind::AuthKeyRemoved
            | Kind::SystemStarted
            | Kind::SystemActorRestarted
            | Kind::SystemTasksRetired => Self::System,
        }
    }

    fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|root| root.as_str() == text)
    }
}

/// What of a topic is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// One task.
    Task(TaskId),
    /// One agent.
    Agent(AgentId),
    /// One queue.
    Queue(Name),
    /// A path that nothing has yet.
    Other,
}

/// A subscription in its normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    root: Root,
    part: Part,
    text: Box<str>,
}

impl Topic {
    /// Reads one as a client writes it: it is trimmed and lower-cased, `\` counts as `/`, and slashes at both ends fall
    /// away. `None`: no such topic, an empty part or one of dots alone, a character that paths do not have, or more than
    /// [`TOPIC_CHARS_MAX`].
    #[must_use]
    pub fn read(written: &str) -> Option<Self> {
        if written.len() > 4 * TOPIC_CHARS_MAX {
            return None;
        }
        let text = written.trim().to_lowercase().replace('\\', "/");
        let text = text.trim_matches('/');
        if text.len() > TOPIC_CHARS_MAX {
            return None;
        }
        let (root, path) = match text.split_once('/') {
            Some((root, path)) => (Root::read(root)?, Some(path)),
            None => (Root::read(text)?, None),
        };
        let part = match path {
            None => Part::Whole,
            Some(path) if path.split('/').all(is_segment) => below(root, path),
            Some(_) => return None,
        };
        Some(Self { root, part, text: text.into() })
    }

    /// A topic as a whole.
    #[must_use]
    pub fn whole(root: Root) -> Self {
        Self { root, part: Part::Whole, text: root.as_str().into() }
    }

    /// The topic that it is, or is a part of.
    #[must_use]
    pub const fn root(&self) -> Root {
        self.root
    }

    /// What of it is meant.
    #[must_use]
    pub const fn part(&self) -> &Part {
        &self.part
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_segment(segment: &str) -> bool {
    let is_dots = segment.bytes().all(|byte| byte == b'.');
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    !is_dots && segment.bytes().all(is_plain)
}

fn below(root: Root, path: &str) -> Part {
    let queue = || path.strip_prefix("queue/").and_then(|name| name.parse().ok()).map(Part::Queue);
    let found = match root {
        Root::Tasks => path.parse().ok().map(Part::Task).or_else(queue),
        Root::Agents => path.parse().ok().map(Part::Agent),
        Root::Coordination => queue(),
        Root::Alerts | Root::ProjectIndex | Root::System => None,
    };
    found.unwrap_or(Part::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> Option<String> {
        Topic::read(text).map(|topic| topic.to_string())
    }

    #[test]
    fn a_topic_has_one_normal_form() {
        for (written, form) in [
            ("agents", "agents"),
            ("  Tasks ", "tasks"),
            ("/tasks/", "tasks"),
            ("TASKS\\queue\\Default", "tasks/queue/default"),
            ("project_index/repo-1/src", "project_index/repo-1/src"),
        ] {
            assert_eq!(normal(written).as_deref(), Some(form), "{written}");
            assert_eq!(normal(form).as_deref(), Some(form), "again");
        }
    }

    #[test]
    fn what_is_no_topic_is_refused() {
        let long = format!("tasks/{}", "x".repeat(TOPIC_CHARS_MAX));
        for bad in [
            "",
            " ",
            "/",
            "bogus",
            "task",
            "tasks//x",
            "tasks/..",
            "tasks/../system",
            "tasks/.",
            "tasks/a b",
            "tasks/ä",
            "tasks/a\0",
            "tasks,agents",
            &long,
        ] {
            assert_eq!(normal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_path_below_a_topic_means_a_task_an_agent_or_a_queue() {
        let part = |text: &str| Topic::read(text).unwrap().part().clone();
        let (task, agent) = (TaskId::from_raw(77), AgentId::from_raw(78));
        assert_eq!(part(&format!("tasks/{task}")), Part::Task(task));
        assert_eq!(part(&format!("TASKS/{}", task.to_string().to_uppercase())), Part::Task(task));
        assert_eq!(part(&format!("agents/{agent}")), Part::Agent(agent));
        assert_eq!(part("tasks/queue/fast"), Part::Queue("fast".parse().unwrap()));
        assert_eq!(part("coordination/queue/fast"), Part::Queue("fast".parse().unwrap()));
        assert_eq!(part("tasks/else"), Part::Other);
        assert_eq!(part("tasks"), Part::Whole);
    }

    #[test]
    fn every_event_has_a_topic_by_the_first_part_of_its_kind() {
        for kind in EventKind::ALL {
            let expected = match kind.as_str().split('.').next() {
                Some("task") => Root::Tasks,
                Some("agent") => Root::Agents,
                Some("queue") => Root::Coordination,
                _ => Root::System,
            };
            assert_eq!(Root::of(*kind), expected, "{}", kind.as_str());
        }
    }
}
