//! What to do about a child that failed. Pure: time and luck are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::OnExhausted;
use crate::intensity::Failures;
use crate::supervisor_spec::Plan;
use crate::table::Record;

/// What is done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It begins again after the delay, with whom the strategy says.
    Restart(Duration),
    /// It is removed.
    GiveUp,
    /// Its supervisor fails.
    Escalate,
}

/// Counts the failure and decides. `roll` is random in 0..1.
pub(crate) fn verdict(
    plan: &Plan,
    record: &mut Record,
    shared: &mut Failures,
    now: Instant,
    roll: f64,
) -> Verdict {
    let failures = if plan.intensity.is_per_child() { &mut record.failures } else { shared };
    if !failures.exceed(plan.intensity, now) {
        return Verdict::Restart(record.streak.next_delay(plan.backoff, now, roll));
    }
    match plan.on_exhausted {
        OnExhausted::Escalate => Verdict::Escalate,
        OnExhausted::GiveUp => Verdict::GiveUp,
    }
}
