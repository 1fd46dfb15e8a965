//! A task as somebody asks for it, once it is known to be within the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::backoff::Backoff;
use crate::id::{AgentId, TaskId, TenantId};
use crate::lane::LaneSpec;
use crate::limits;
use crate::name::Name;
use crate::time::Timestamp;
use crate::timeouts::Timeouts;
use crate::unique::Unique;
use crate::violation::{Review, Violations};

/// Labels: names to short texts.
pub type Labels = BTreeMap<Name, String>;

/// What is asked for; [`NewTask::review`] says whether it is within the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// What people call it, 1 to 256 characters.
    pub title: String,
    /// JSON for the agent, byte for byte as it came; checked by [`crate::json::check`].
    pub input: Option<Arc<str>>,
    /// Which queue it waits in.
    pub queue: Name,
    /// What sort of work it is, for agents that do several.
    pub kind: Option<Name>,
    /// 0 to 9, 9 first.
    pub priority: u8,
    /// What an agent must be capable of.
    pub requires: BTreeSet<Name>,
    /// For people and filters.
    pub labels: Labels,
    /// The one agent that may take it.
    pub agent_id: Option<AgentId>,
    /// When it becomes ready.
    pub start: Start,
    /// How many failures make it a dead letter.
    pub attempts_max: u32,
    /// How long it waits between attempts.
    pub backoff: Backoff,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The key that no other task may have at the same time.
    pub unique: Option<Unique>,
}

/// When a task becomes ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At once.
    Now,
    /// So many milliseconds after it is accepted.
    After(u64),
    /// At a point in time; at once when that has passed.
    At(Timestamp),
}

impl Start {
    /// The moment, for a task that is accepted at `now`.
    #[must_use]
    pub fn eligible_at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Now => now,
            Self::After(ms) => now.plus_ms(ms),
            Self::At(at) => at.max(now),
        }
    }
}

impl NewTask {
    /// A task that asks for nothing but its title.
    #[must_use]
    pub fn titled(title: impl Into<String>, queue: Name) -> Self {
        Self {
            title: title.into(),
            input: None,
            queue,
            kind: None,
            priority: limits::PRIORITY_DEFAULT,
            requires: BTreeSet::new(),
            labels: Labels::new(),
            agent_id: None,
            start: Start::Now,
            attempts_max: limits::ATTEMPTS_MAX_DEFAULT,
            backoff: Backoff::default(),
            timeouts: Timeouts::default(),
            unique: None,
        }
    }

    /// Checks every rule that does not depend on the hive's state.
    ///
    /// # Errors
    /// All broken rules at once.
    pub fn review(&self, limits: &limits::Limits) -> Result<(), Violations> {
        let mut review = Review::new();
        review_title(&mut review, &self.title);
        review_input(&mut review, self.input.as_deref(), limits.input_bytes_max);
        review.require(self.priority <= limits::PRIORITY_MAX, "priority", "must be from 0 to 9");
        review.require(
            self.requires.len() <= limits::REQUIRES_MAX,
            "requires",
            "may name at most 16 capabilities",
        );
        review_labels(&mut review, &self.labels);
        review.require(
            (1..=limits::ATTEMPTS_MAX_MAX).contains(&self.attempts_max),
            "attempts_max",
            "must be from 1 to 100",
        );
        if let Start::After(ms) = self.start {
            review.require(ms <= limits::DELAY_MS_MAX, "delay_ms", "must be at most 31622400000 (366 days)");
        }
        for (field, message) in self.backoff.broken_rule().into_iter().chain(self.timeouts.broken_rule()) {
            review.note(field, message);
        }
        if let Some(unique) = &self.unique {
            unique.review(&mut review);
        }
        review.finish()
    }

    /// The lane it goes to.
    #[must_use]
    pub fn lane(&self, tenant: TenantId) -> LaneSpec {
        LaneSpec { tenant, queue: self.queue.clone(), requires: self.requires.clone(), pinned: self.agent_id }
    }
}

/// A task with all that the hive adds when it accepts it.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedTask {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What was asked for.
    pub asked: NewTask,
    /// Who asked.
    pub created_by: String,
    /// What ties log lines and events of the request together.
    pub correlation_id: Arc<str>,
}

fn review_title(review: &mut Review, title: &str) {
    let length = title.chars().count();
    review.require(
        (1..=limits::TITLE_CHARS_MAX).contains(&length) && !title.trim().is_empty(),
        "title",
        "must be 1 to 256 characters and not only spaces",
    );
    review.require(!title.contains('\0'), "title", "must not hold the character U+0000");
}

fn review_input(review: &mut Review, input: Option<&str>, bytes_max: usize) {
    let Some(input) = input else { return };
    review.require(input.len() <= bytes_max, "input", &format!("must be at most {bytes_max} bytes"));
    if let Err(unfit) = crate::json::check(input) {
        review.note("input", unfit.to_string());
    }
}

/// Checks labels of a task or an agent; their keys are names already.
pub fn review_labels(review: &mut Review, labels: &Labels) {
    review.require(labels.len() <= limits::LABELS_MAX, "labels", "may hold at most 32 labels");
    for (key, value) in labels {
        let fits = value.chars().count() <= limits::LABEL_VALUE_CHARS_MAX && !value.contains('\0');
        review.require(fits, &format!("labels.{key}"), "must be at most 256 characters without U+0000");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> NewTask {
        NewTask::titled("t", "default".parse().unwrap())
    }

    fn broken(task: &NewTask) -> Vec<String> {
        match task.review(&limits::Limits::default()) {
            Ok(()) => vec![],
            Err(Violations(found)) => found.into_iter().map(|violation| violation.field).collect(),
        }
    }

    #[test]
    fn a_task_within_the_rules_passes() {
        assert_eq!(broken(&task()), Vec::<String>::new());
        let longest = NewTask { title: "ä".repeat(256), priority: 9, attempts_max: 100, ..task() };
        assert_eq!(broken(&longest), Vec::<String>::new());
    }

    #[test]
    fn every_broken_rule_is_told_at_once_with_its_field() {
        let bad = NewTask {
            title: " ".into(),
            input: Some(r#""\u0000""#.into()),
            priority: 10,
            requires: (0..17).map(|n| format!("c{n}").parse().unwrap()).collect(),
            labels: Labels::from([("k".parse().unwrap(), "v".repeat(257))]),
            start: Start::After(u64::MAX),
            attempts_max: 0,
            backoff: Backoff { factor: 0.5, ..Backoff::default() },
            timeouts: Timeouts { heartbeat_ms: Some(1), ..Timeouts::default() },
            ..task()
        };
        assert_eq!(
            broken(&bad),
            [
                "title",
                "input",
                "priority",
                "requires",
                "labels.k",
                "attempts_max",
                "delay_ms",
                "backoff.factor",
                "timeouts.heartbeat_ms"
            ]
        );
    }

    #[test]
    fn the_input_limit_counts_bytes_and_is_inclusive() {
        let sized = |n: usize| NewTask { input: Some(format!("\"{}\"", "x".repeat(n - 2)).into()), ..task() };
        assert_eq!(broken(&sized(1 << 20)), Vec::<String>::new());
        assert_eq!(broken(&sized((1 << 20) + 1)), ["input"]);
    }

    #[test]
    fn a_start_in_the_past_is_now() {
        let now = Timestamp::from_micros(5_000_000);
        assert_eq!(Start::At(Timestamp::ZERO).eligible_at(now), now);
        assert_eq!(Start::After(7).eligible_at(now), now.plus_ms(7));
        assert_eq!(Start::Now.eligible_at(now), now);
    }
}
