//! What nobody should have to look for: the causes of a `critical_alert`, measured once a second.
//!
//! Invariant: an alert is raised once when its cause begins and resolved once when it is over; who subscribes in between is
//! told what is raised.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use parking_lot::Mutex;
use protocol::HealthStatus;
use protocol::live::frame::{AlertView, Alerts, Body, Frame};
use protocol::live::topic::Root;

use crate::correlation;
use crate::health;
use crate::state::Shared;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(950);
/// How long the writer may have work and commit nothing.
const WRITER_STALLED: Duration = Duration::from_secs(5);
/// Free space below which the disk is about to be full, of a hundred.
const DISK_FREE_PERCENT: u64 = 5;
/// Dead letters within a minute.
const DEAD_LETTERS: u64 = 10;
/// How far back errors are counted.
const ERRORS_WITHIN: Duration = Duration::from_secs(60);
/// Requests within that time, from which on a share says something.
const REQUESTS_MIN: u64 = 20;
/// Requests of a hundred that may end with a 5xx.
const ERRORS_PERCENT: u64 = 5;

/// A cause of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    WriterStalled,
    DatabaseLost,
    DiskNearlyFull,
    ArbiterStalled,
    DeadLetterBurst,
    ErrorBudgetBurn,
}

impl Cause {
    const fn word(self) -> &'static str {
        match self {
            Self::WriterStalled => "writer_stalled",
            Self::DatabaseLost => "database_lost",
            Self::DiskNearlyFull => "disk_nearly_full",
            Self::ArbiterStalled => "arbiter_stalled",
            Self::DeadLetterBurst => "dead_letter_burst",
            Self::ErrorBudgetBurn => "error_budget_burn",
        }
    }

    const fn action(self) -> &'static str {
        match self {
            Self::WriterStalled => {
                "Look at the disk and at who else holds the database; tasks are not acknowledged meanwhile."
            }
            Self::DatabaseLost => "Look whether the database runs and can be reached.",
            Self::DiskNearlyFull => {
                "Free space on the disk of the data folder, or shorten retention.tasks_s."
            }
            Self::ArbiterStalled => {
                "Something blocks the actors' thread; GET /api/v2/system/actors tells which, a restart helps."
            }
            Self::DeadLetterBurst => "GET /api/v2/dead-letters tells what fails; redrive when it is mended.",
            Self::ErrorBudgetBurn => "Look at /health and at the log for requests that ended with a 5xx.",
        }
    }
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Lookout {
    state: Mutex<State>,
    is_looking: AtomicBool,
}

struct State {
    looked_at: Option<Instant>,
    raised: BTreeMap<Cause, String>,
    /// The last commit, and since when it is the last although the writer has work.
    committed: (i64, Option<Instant>),
    /// Requests and those that ended with a 5xx, as they were counted.
    requests: VecDeque<(Instant, u64, u64)>,
    health: (HealthStatus, HealthStatus),
}

impl Default for State {
    fn default() -> Self {
        Self {
            looked_at: None,
            raised: BTreeMap::new(),
            committed: (0, None),
            requests: VecDeque::new(),
            health: (HealthStatus::Healthy, HealthStatus::Healthy),
        }
    }
}

impl Lookout {
    /// How the whole and the database were when they were last looked at.
    pub(crate) fn health(&self) -> (HealthStatus, HealthStatus) {
        self.state.lock().health
    }

    /// Whether somebody should look now; whoever hears yes does.
    pub(crate) fn is_due(&self) -> bool {
        let mut state = self.state.lock();
        if state.looked_at.is_some_and(|at| at.elapsed() < EVERY) || self.is_looking.load(Ordering::Acquire) {
            return false;
        }
        state.looked_at = Some(Instant::now());
        true
    }

    /// What is raised now.
    pub(crate) fn raised(&self) -> Option<Body> {
        let state = self.state.lock();
        let views = state.raised.iter().map(|(cause, text)| view(*cause, "critical", text.clone()));
        body(views.collect())
    }
}

/// Looks, and tells what has changed.
pub(crate) async fn look(hive: &Arc<Shared>) {
    if hive.live.lookout.is_looking.swap(true, Ordering::AcqRel) {
        return;
    }
    let whole = health::whole(hive).await;
    let free = free_percent(hive).await;
    let database = whole.components.get("database").map_or(HealthStatus::Healthy, |part| part.status);
    let changed = {
        let mut state = hive.live.lookout.state.lock();
        state.health = (whole.status, database);
        let mut seen = BTreeMap::new();
        if let Some(stalled) = state.writer_stalled(hive) {
            seen.insert(Cause::WriterStalled, stalled);
        }
        if database == HealthStatus::Unhealthy {
            seen.insert(Cause::DatabaseLost, "the database does not answer".to_owned());
        }
        if let Some(free) = free.filter(|free| *free < DISK_FREE_PERCENT) {
            let text = format!("less than {DISK_FREE_PERCENT} % of the data folder's disk is free: {free} %");
            seen.insert(Cause::DiskNearlyFull, text);
        }
        if let Some(stalled) = hive.registry.arbiters().into_iter().find(|arbiter| arbiter.is_stalled) {
            let text = format!("the actors' thread {} does not answer", stalled.name);
            seen.insert(Cause::ArbiterStalled, text);
        }
        let dead = hive.feed.read(|projection| projection.dead_letters_recent(hive.clock.now()));
        if dead >= DEAD_LETTERS {
            seen.insert(Cause::DeadLetterBurst, format!("{dead} tasks became dead letters within a minute"));
        }
        if let Some(text) = state.errors(hive) {
            seen.insert(Cause::ErrorBudgetBurn, text);
        }
        state.change(seen)
    };
    for alert in &changed {
        tracing::warn!(ws.r#type = "critical_alert", level = alert.level, reason = alert.message, "alert");
    }
    if let Some(body) = body(changed) {
        let timestamp = hive.clock.now();
        let text = Frame { body, timestamp, correlation_id: correlation::made().to_string() }.text();
        hive.live.say(Root::Alerts, &ByteString::from(text));
    }
    hive.live.lookout.is_looking.store(false, Ordering::Release);
}

impl State {
    fn writer_stalled(&mut self, hive: &Shared) -> Option<String> {
        let (committed, depth) = hive.runtime.writer_pulse();
        let (last, since) = &mut self.committed;
        if committed != *last || depth == 0 {
            (*last, *since) = (committed, None);
            return None;
        }
        let waits = since.get_or_insert_with(Instant::now).elapsed();
        (waits >= WRITER_STALLED).then(|| {
            format!("the writer has {depth} commands and has committed nothing for {} s", waits.as_secs())
        })
    }

    fn errors(&mut self, hive: &Shared) -> Option<String> {
        let (requests, errors) = hive.metrics.answered();
        let now = Instant::now();
        self.requests.push_back((now, requests, errors));
        let is_old = |at: Instant| now.saturating_duration_since(at) > ERRORS_WITHIN;
        while self.requests.len() > 1 && self.requests.front().is_some_and(|(at, ..)| is_old(*at)) {
            self.requests.pop_front();
        }
        let (_, first_requests, first_errors) = *self.requests.front()?;
        let (requests, errors) =
            (requests.saturating_sub(first_requests), errors.saturating_sub(first_errors));
        let is_burning =
            requests >= REQUESTS_MIN && errors.saturating_mul(100) >= requests.saturating_mul(ERRORS_PERCENT);
        is_burning.then(|| format!("{errors} of {requests} requests of the last minute ended with a 5xx"))
    }

    /// Takes over what is seen; answers what is new and what is over.
    fn change(&mut self, seen: BTreeMap<Cause, String>) -> Vec<AlertView> {
        let over: Vec<Cause> =
            self.raised.keys().filter(|cause| !seen.contains_key(*cause)).copied().collect();
        let mut changed: Vec<AlertView> = seen
            .iter()
            .filter(|(cause, _)| !self.raised.contains_key(*cause))
            .map(|(cause, text)| view(*cause, "critical", text.clone()))
            .collect();
        changed.extend(over.into_iter().map(|cause| {
            let was = self.raised.get(&cause).cloned().unwrap_or_default();
            AlertView { action: None, ..view(cause, "resolved", was) }
        }));
        self.raised = seen;
        changed
    }
}

fn view(cause: Cause, level: &str, text: String) -> AlertView {
    AlertView {
        level: level.to_owned(),
        message: format!("{}: {text}", cause.word()),
        action: Some(cause.action().to_owned()),
    }
}

fn body(alerts: Vec<AlertView>) -> Option<Body> {
    let subscription = Root::Alerts.as_str().to_owned();
    (!alerts.is_empty()).then_some(Body::CriticalAlert { subscription, data: Alerts { alerts } })
}

/// Free space of the disk of the data folder, of a hundred; nothing where it cannot be told.
async fn free_percent(hive: &Shared) -> Option<u64> {
    let folder = hive.facts.data_dir.clone();
    // A network disk may take its time.
    let asked = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder)).await.ok()?.ok()?;
    asked.f_bavail.saturating_mul(100).checked_div(asked.f_blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(causes: &[Cause]) -> BTreeMap<Cause, String> {
        causes.iter().map(|cause| (*cause, "why".to_owned())).collect()
    }

    #[test]
    fn an_alert_is_raised_once_and_resolved_once() {
        let mut state = State::default();
        let mut told = |causes: &[Cause]| -> Vec<String> {
            state
                .change(seen(causes))
                .into_iter()
                .map(|alert| format!("{} {}", alert.level, alert.message))
                .collect()
        };
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&[Cause::DatabaseLost]), ["critical database_lost: why"]);
        assert_eq!(told(&[Cause::DatabaseLost]), [""; 0], "it lasts");
        let both = told(&[Cause::DiskNearlyFull]);
        assert_eq!(both, ["critical disk_nearly_full: why", "resolved database_lost: why"]);
        assert_eq!(told(&[]), ["resolved disk_nearly_full: why"]);
    }
}
