//! The numbers that the projection keeps.

use domain::{Event, EventKind, TaskState, Timestamp};
use serde::{Deserialize, Serialize};

/// How many tasks stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StateCounts {
    /// Not ready yet.
    pub scheduled: u64,
    /// Ready.
    pub queued: u64,
    /// Held by an attempt.
    pub working: u64,
    /// Ended well.
    pub completed: u64,
    /// Dead letters.
    pub failed: u64,
    /// Canceled.
    pub canceled: u64,
}

impl StateCounts {
    /// The count of one state.
    #[must_use]
    pub const fn of(&self, state: TaskState) -> u64 {
        match state {
            TaskState::Scheduled => self.scheduled,
            TaskState::Queued => self.queued,
            TaskState::Working => self.working,
            TaskState::Completed => self.completed,
            TaskState::Failed => self.failed,
            TaskState::Canceled => self.canceled,
        }
    }

    /// All states together.
    #[must_use]
    pub fn total(&self) -> u64 {
        TaskState::ALL.into_iter().map(|state| self.of(state)).sum()
    }

    /// Tasks that wait: scheduled and queued.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.scheduled + self.queued
    }

    pub(crate) fn shift(&mut self, from: Option<TaskState>, to: TaskState) {
        if let Some(from) = from {
            self.lower(from, 1);
        }
        let place = self.place(to);
        *place = place.saturating_add(1);
    }

    pub(crate) fn raise(&mut self, state: TaskState, by: u64) {
        let place = self.place(state);
        *place = place.saturating_add(by);
    }

    pub(crate) fn lower(&mut self, state: TaskState, by: u64) {
        let place = self.place(state);
        *place = place.saturating_sub(by);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for state in TaskState::ALL {
            *self.place(state) += other.of(state);
        }
    }

    const fn place(&mut self, state: TaskState) -> &mut u64 {
        match state {
            TaskState::Scheduled => &mut self.scheduled,
            TaskState::Queued => &mut self.queued,
            TaskState::Working => &mut self.working,
            TaskState::Completed => &mut self.completed,
            TaskState::Failed => &mut self.failed,
            TaskState::Canceled => &mut self.canceled,
        }
    }
}

/// One lane or one queue. Waiting and working are exact; the terminal counts go over all the log, also over tasks
/// that retention has removed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueFigures {
    /// By state.
    pub counts: StateCounts,
    /// Queued tasks by priority.
    pub by_priority: [u64; 10],
}

impl QueueFigures {
    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        for (sum, more) in self.by_priority.iter_mut().zip(other.by_priority) {
            *sum += more;
        }
    }
}

/// One agent, over all the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentFigures {
    /// Attempts it holds now.
    pub working: u64,
    /// Attempts that it ended well.
    pub completed: u64,
    /// Attempts of it that failed, timed out or lost their lease; one that ended with the hive is not its fault.
    pub failed: u64,
    /// When it last began or ended an attempt.
    #[serde(with = "micros")]
    pub last_activity_at: Option<Timestamp>,
    /// Whether it was removed while it held attempts; its figures go with the last of them.
    pub(crate) is_removed: bool,
}

mod micros {
    use domain::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_micros).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_micros))
    }
}

/// Seconds that [`Rates`] look back.
pub const RATE_SECONDS: usize = 60;

/// What happened per second, measured over the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Rates {
    /// Tasks accepted per second.
    pub submitted_per_second: f64,
    /// Attempts begun per second.
    pub started_per_second: f64,
    /// Tasks completed per second.
    pub completed_per_second: f64,
    /// Attempts that ended badly and dead letters per second.
    pub failed_per_second: f64,
}

/// How attempts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends {
    /// Completed.
    pub well: u64,
    /// Failed, and dead letters.
    pub badly: u64,
}

/// Counts of one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    second: i64,
    submitted: u32,
    started: u32,
    completed: u32,
    failed: u32,
    dead: u32,
}

/// A ring of the last [`RATE_SECONDS`] seconds; not stored, since it is about now.
#[derive(Debug, Clone)]
pub(crate) struct RateRing([Second; RATE_SECONDS]);

impl Default for RateRing {
    fn default() -> Self {
        Self([Second::default(); RATE_SECONDS])
    }
}

impl RateRing {
    pub(crate) fn count(&mut self, event: &Event) {
        let second = event.at.as_micros() / 1_000_000;
        let place = usize::try_from(second).unwrap_or(0) % RATE_SECONDS;
        let Some(slot) = self.0.get_mut(place) else { return };
        if slot.second != second {
            *slot = Second { second, ..Second::default() };
        }
        match event.kind {
            EventKind::TaskSubmitted => slot.submitted += 1,
            EventKind::TaskStarted => slot.started += 1,
            EventKind::TaskCompleted => slot.completed += 1,
            EventKind::TaskFailed => {
                slot.failed += 1;
                slot.dead += 1;
            }
            EventKind::TaskRetrying => slot.failed += 1,
            _ => {}
        }
    }

    /// Dead letters of the last full minute before `now`.
    pub(crate) fn dead(&self, now: Timestamp) -> u64 {
        let this_second = now.as_micros() / 1_000_000;
        let span = i64::try_from(RATE_SECONDS).unwrap_or(0);
        // The present second counts, too: a burst is told of at once.
        let recent = self.0.iter().filter(|slot| (0..=span).contains(&(this_second - slot.second)));
        recent.map(|slot| u64::from(slot.dead)).sum()
    }

    /// The ends of the last 30 full seconds before `now`, and of the 30 before those.
    pub(crate) fn halves(&self, now: Timestamp) -> [Ends; 2] {
        let this_second = now.as_micros() / 1_000_000;
        let half = i64::try_from(RATE_SECONDS / 2).unwrap_or(0);
        let within = |from: i64| {
            let recent =
                self.0.iter().filter(move |slot| (from..from + half).contains(&(this_second - slot.second)));
            recent.fold(Ends::default(), |ends, slot| Ends {
                well: ends.well + u64::from(slot.completed),
                badly: ends.badly + u64::from(slot.failed),
            })
        };
        [within(1), within(1 + half)]
    }

    /// Mean per second over the last full minute before `now`.
    pub(crate) fn rates(&self, now: Timestamp) -> Rates {
        let this_second = now.as_micros() / 1_000_000;
        let span = i64::try_from(RATE_SECONDS).unwrap_or(0);
        let recent = || self.0.iter().filter(|slot| (1..=span).contains(&(this_second - slot.second)));
        let mean = |count: fn(&Second) -> u32| f64::from(recent().map(count).sum::<u32>()) / 60.0;
        Rates {
            submitted_per_second: mean(|slot| slot.submitted),
            started_per_second: mean(|slot| slot.started),
            completed_per_second: mean(|slot| slot.completed),
            failed_per_second: mean(|slot| slot.failed),
        }
    }
}
