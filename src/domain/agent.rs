//! Agents: who takes assignments, and how one is doing.

use std::collections::BTreeSet;

use crate::id::{AgentId, TenantId};
use crate::limits;
use crate::name::Name;
use crate::new_task::{Labels, review_labels};
use crate::process_link::{ProcessLink, Workspace};
use crate::time::Timestamp;
use crate::violation::{Review, Violations};

/// How an agent is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// A worker in any language that asks for assignments over HTTP.
    Worker,
    /// A command that the hive starts for each assignment.
    Process(Box<ProcessLink>),
}

impl Link {
    /// The word for the kind of a worker.
    pub const WORKER: &'static str = "worker";
    /// The word for the kind of a process.
    pub const PROCESS: &'static str = "process";

    /// The word for its kind that is stored and shown.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Worker => Self::WORKER,
            Self::Process(_) => Self::PROCESS,
        }
    }

    /// How its process is started, where it is one.
    #[must_use]
    pub const fn process(&self) -> Option<&ProcessLink> {
        match self {
            Self::Worker => None,
            Self::Process(link) => Some(link),
        }
    }
}

/// What was observed of an agent. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It asks for work or reports.
    Active,
    /// Signs of life, no progress.
    Stalled,
    /// No sign of life.
    Offline,
    /// Its actor was given up after too many panics.
    Failed,
}

impl Health {
    /// Every health, in the order of the stored numbers.
    pub const ALL: [Self; 4] = [Self::Active, Self::Stalled, Self::Offline, Self::Failed];

    /// The stored number.
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Active => 0,
            Self::Stalled => 1,
            Self::Offline => 2,
            Self::Failed => 3,
        }
    }

    /// Reads a stored number back.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|index| Self::ALL.get(index).copied())
    }
}

/// The one word that is shown for an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// Here and free.
    Idle,
    /// Holds at least one assignment.
    Working,
    /// Takes nothing new.
    Draining,
    /// Signs of life, no progress.
    Stalled,
    /// No sign of life.
    Offline,
    /// Its actor was given up.
    Failed,
}

impl AgentState {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Draining => "draining",
            Self::Stalled => "stalled",
            Self::Offline => "offline",
            Self::Failed => "failed",
        }
    }

    /// The one word for what is known: what an operator asked for goes before what was observed.
    #[must_use]
    pub const fn of(is_draining: bool, health: Health, working_count: u64) -> Self {
        match health {
            Health::Failed => Self::Failed,
            Health::Active | Health::Stalled | Health::Offline if is_draining => Self::Draining,
            Health::Offline => Self::Offline,
            Health::Stalled => Self::Stalled,
            Health::Active if working_count > 0 => Self::Working,
            Health::Active => Self::Idle,
        }
    }
}

/// An agent as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgent {
    /// What people call it; one agent a name within a tenant.
    pub name: Name,
    /// What it is for, in a word.
    pub role: Name,
    /// What it can do.
    pub capabilities: BTreeSet<Name>,
    /// How many assignments it may hold at a time.
    pub capacity: u32,
    /// For people and filters.
    pub labels: Labels,
    /// How it is reached.
    pub link: Link,
}

impl NewAgent {
    /// Checks every rule that does not depend on the hive's state.
    ///
    /// # Errors
    /// All broken rules at once.
    pub fn review(&self) -> Result<(), Violations> {
        let mut review = Review::new();
        review_agent(&mut review, Some(&self.capabilities), Some(self.capacity), Some(&self.labels));
        self.review_link(&mut review);
        review.finish()
    }

    fn review_link(&self, review: &mut Review) {
        let Some(link) = self.link.process() else { return };
        link.review(review);
        let is_shared = self.capacity > 1 && matches!(link.workspace, Workspace::Directory { .. });
        review.require(!is_shared, "capacity", "must be 1 for a directory: attempts never share a workspace");
    }
}

/// What may be changed of an agent; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentPatch {
    /// Another role.
    pub role: Option<Name>,
    /// Other capabilities, all of them.
    pub capabilities: Option<BTreeSet<Name>>,
    /// Another capacity.
    pub capacity: Option<u32>,
    /// Other labels, all of them.
    pub labels: Option<Labels>,
    /// Another link, whole.
    pub link: Option<Link>,
}

impl AgentPatch {
    /// Checks every rule that does not depend on the hive's state.
    ///
    /// # Errors
    /// All broken rules at once.
    pub fn review(&self) -> Result<(), Violations> {
        let mut review = Review::new();
        review_agent(&mut review, self.capabilities.as_ref(), self.capacity, self.labels.as_ref());
        review.finish()
    }
}

fn review_agent(
    review: &mut Review,
    capabilities: Option<&BTreeSet<Name>>,
    capacity: Option<u32>,
    labels: Option<&Labels>,
) {
    let few = capabilities.is_none_or(|capabilities| capabilities.len() <= limits::CAPABILITIES_MAX);
    review.require(few, "capabilities", "may name at most 64 capabilities");
    let fits = capacity.is_none_or(|capacity| (1..=limits::CAPACITY_MAX).contains(&capacity));
    review.require(fits, "capacity", "must be from 1 to 10000");
    if let Some(labels) = labels {
        review_labels(review, labels);
    }
}

/// An agent as the hive knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What was asked for.
    pub asked: NewAgent,
    /// Whether it takes nothing new.
    pub is_draining: bool,
    /// What was last observed and stored.
    pub health: Health,
    /// When it was registered.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_state_follows_from_what_was_asked_and_what_was_observed() {
        use AgentState as S;
        #[rustfmt::skip]
        let table = [
            // health          free, working, free and draining
            (Health::Active,  [S::Idle,    S::Working, S::Draining]),
            (Health::Stalled, [S::Stalled, S::Stalled, S::Draining]),
            (Health::Offline, [S::Offline, S::Offline, S::Draining]),
            (Health::Failed,  [S::Failed,  S::Failed,  S::Failed]),
        ];
        for (health, expected) in table {
            let shown = [S::of(false, health, 0), S::of(false, health, 2), S::of(true, health, 0)];
            assert_eq!(shown, expected);
            assert_eq!(Health::from_code(health.code()), Some(health));
        }
    }

    #[test]
    fn a_directory_is_for_one_attempt_at_a_time() {
        let workspace = Workspace::Directory { path: "/repo".into() };
        let link = ProcessLink { command: vec!["true".into()], workspace, ..ProcessLink::default() };
        let mut agent = NewAgent {
            name: "a".parse().unwrap(),
            role: "worker".parse().unwrap(),
            capabilities: BTreeSet::new(),
            capacity: 1,
            labels: Labels::default(),
            link: Link::Process(Box::new(link)),
        };
        assert!(agent.review().is_ok());
        agent.capacity = 2;
        assert_eq!(agent.review().unwrap_err().0[0].field, "capacity");
    }

    #[test]
    fn capacity_and_capabilities_have_limits() {
        let patch = AgentPatch { capacity: Some(0), ..AgentPatch::default() };
        assert!(patch.review().is_err());
        let patch = AgentPatch { capacity: Some(10_000), ..AgentPatch::default() };
        assert!(patch.review().is_ok());
        let many = (0..65).map(|n| format!("c{n}").parse().unwrap()).collect();
        assert!(AgentPatch { capabilities: Some(many), ..AgentPatch::default() }.review().is_err());
    }
}
