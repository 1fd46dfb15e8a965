//! What a supervisor has to do later, under one timer: thousands of children may wait for their restart at once.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// Something to do at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// Restart the children that still wait this wait, in this order.
    Restart(Vec<(u64, u64)>),
    /// See whose grace is over in the wind under way.
    CheckWind,
    /// See whether a child that was told to stop alone has done so.
    CheckStop(u64),
}

/// Things to do, by time.
#[derive(Default)]
pub(crate) struct Agenda {
    items: BTreeMap<(Instant, u64), Due>,
    next_number: u64,
    armed_for: Option<Instant>,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Instant, due: Due) {
        // The number keeps apart, and in order, what is due at the same time.
        self.next_number += 1;
        self.items.insert((at, self.next_number), due);
    }

    /// How long to sleep, if no timer is set that is early enough.
    pub(crate) fn arm(&mut self, now: Instant) -> Option<Duration> {
        let ((at, _), _) = self.items.first_key_value()?;
        if self.armed_for.is_some_and(|armed_for| armed_for <= *at) {
            return None;
        }
        self.armed_for = Some(*at);
        Some(at.saturating_duration_since(now))
    }

    /// Takes what is due; the timer that led here is spent.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Due> {
        self.armed_for = None;
        let mut due = Vec::new();
        while let Some(item) = self.items.first_entry() {
            if item.key().0 > now {
                break;
            }
            due.push(item.remove());
        }
        due
    }
}
