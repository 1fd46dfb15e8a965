//! What nobody should have to look for: the causes of a `critical_alert`, measured once a second.
//!
//! Invariant: an alert is raised once when its cause begins and resolved once when it is over; who subscribes in between is
//! told what is raised. Each change has a number, and each session takes those that it was not told of: none is lost on
//! the way, and none is told twice.
//!
//! Invariant: one looks at a time. A look that was interrupted, or lasts too long, holds up the next one for five seconds at most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use domain::Timestamp;
use parking_lot::Mutex;
use protocol::HealthStatus;
use protocol::live::frame::{AlertView, Alerts, Body, Frame};
use protocol::live::topic::Root;
use rustix::fs::StatVfs;
use tokio::task::JoinHandle;

use crate::correlation;
use crate::health;
use crate::state::Shared;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(950);
/// How long a look may take before somebody else looks: its thread hangs then.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// How long the disk may take to tell what is free.
const DISK_WITHIN: Duration = Duration::from_secs(2);
/// Changes that are kept for sessions that do not take them; there is at most one a second.
const CHANGES_MAX: usize = 256;
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
    /// The question for free space that was not answered yet: a disk that hangs is not asked again and again.
    disk: Mutex<Option<JoinHandle<rustix::io::Result<StatVfs>>>>,
}

struct State {
    /// The number of the last look, when it began, and whether it goes on.
    looks: u64,
    looked_at: Option<Instant>,
    is_looking: bool,
    raised: BTreeMap<Cause, String>,
    /// How often that has changed, and what was said of the last changes.
    change: u64,
    changes: VecDeque<ByteString>,
    /// The last commit, and since when it is the last although the writer has work.
    committed: (i64, Option<Instant>),
    /// Requests and those that ended with a 5xx, as they were counted.
    requests: VecDeque<(Instant, u64, u64)>,
    health: (HealthStatus, HealthStatus),
}

impl Default for State {
    fn default() -> Self {
        Self {
            looks: 0,
            looked_at: None,
            is_looking: false,
            raised: BTreeMap::new(),
            change: 0,
            changes: VecDeque::new(),
            committed: (0, None),
            requests: VecDeque::new(),
            health: (HealthStatus::Healthy, HealthStatus::Healthy),
        }
    }
}

/// A look, until it is dropped.
struct Looking<'a> {
    lookout: &'a Lookout,
    number: u64,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let mut state = self.lookout.state.lock();
        if state.looks == self.number {
            state.is_looking = false;
        }
    }
}

impl Lookout {
    /// How the whole and the database were when they were last looked at.
    pub(crate) fn health(&self) -> (HealthStatus, HealthStatus) {
        self.state.lock().health
    }

    /// Begins a look, if one is due.
    fn begin(&self, now: Instant) -> Option<Looking<'_>> {
        let mut state = self.state.lock();
        let pause = if state.is_looking { LOOK_WITHIN } else { EVERY };
        if state.looked_at.is_some_and(|at| now.saturating_duration_since(at) < pause) {
            return None;
        }
        state.looks = state.looks.wrapping_add(1);
        (state.looked_at, state.is_looking) = (Some(now), true);
        Some(Looking { lookout: self, number: state.looks })
    }

    /// What is raised now, and the number of the last change.
    pub(crate) fn raised(&self) -> (u64, Option<Body>) {
        let state = self.state.lock();
        (state.change, state.body())
    }

    /// The number of the last change.
    pub(crate) fn change(&self) -> u64 {
        self.state.lock().change
    }

    /// What has changed since a change, in order, and the number of the last one. Who has missed too many of them is told
    /// what is raised now.
    pub(crate) fn changes_after(&self, told: u64, now: Timestamp) -> (u64, Vec<ByteString>) {
        let state = self.state.lock();
        let missed = usize::try_from(state.change.saturating_sub(told)).unwrap_or(usize::MAX);
        let texts = match state.changes.len().checked_sub(missed) {
            Some(known) => state.changes.iter().skip(known).cloned().collect(),
            None => state.body().map(|body| text(body, now)).into_iter().collect(),
        };
        (state.change, texts)
    }

    /// Free space of the disk of the data folder, of a hundred; nothing where it cannot be told.
    async fn free_percent(&self, hive: &Shared) -> Option<u64> {
        let folder = hive.facts.data_dir.clone();
        let asked = self.disk.lock().take();
        let mut asked =
            asked.unwrap_or_else(|| tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder)));
        let Ok(told) = tokio::time::timeout(DISK_WITHIN, &mut asked).await else {
            *self.disk.lock() = Some(asked);
            return None;
        };
        let told = told.ok()?.ok()?;
        told.f_bavail.saturating_mul(100).checked_div(told.f_blocks)
    }
}

/// Looks, where that is due, and tells what has changed.
pub(crate) async fn look(hive: &Arc<Shared>) {
    let lookout = &hive.live.lookout;
    let Some(looking) = lookout.begin(Instant::now()) else { return };
    let whole = health::whole(hive).await;
    let free = lookout.free_percent(hive).await;
    let database = whole.components.get("database").map_or(HealthStatus::Healthy, |part| part.status);
    let changed = {
        let mut state = lookout.state.lock();
        if state.looks != looking.number {
            // Somebody has looked since.
            return;
        }
        state.health = (whole.status, database);
        let mut seen = BTreeMap::new();
        if let Some(stalled) = state.writer_stalled(hive) {
            seen.insert(Cause::WriterStalled, stalled);
        }
        if database == HealthStatus::Unhealthy {
            seen.insert(Cause::DatabaseLost, "the database does not answer".to_owned());
        }
        if let Some(text) = state.disk_nearly_full(free) {
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
        let changed = state.change(seen);
        state.keep(changed.clone(), hive.clock.now());
        changed
    };
    for alert in &changed {
        tracing::warn!(ws.r#type = "critical_alert", level = alert.level, reason = alert.message, "alert");
    }
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

    /// A disk that does not answer is as it was.
    fn disk_nearly_full(&self, free: Option<u64>) -> Option<String> {
        match free {
            Some(free) if free < DISK_FREE_PERCENT => {
                Some(format!("less than {DISK_FREE_PERCENT} % of the data folder's disk is free: {free} %"))
            }
            Some(_) => None,
            None => self.raised.get(&Cause::DiskNearlyFull).cloned(),
        }
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

    /// Keeps what has changed for those who hear alerts.
    fn keep(&mut self, changed: Vec<AlertView>, now: Timestamp) {
        let Some(body) = body(changed) else { return };
        self.change = self.change.wrapping_add(1);
        self.changes.push_back(text(body, now));
        if self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
    }

    /// What is raised now.
    fn body(&self) -> Option<Body> {
        body(self.raised.iter().map(|(cause, text)| view(*cause, "critical", text.clone())).collect())
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

/// The frame: the same bytes for everybody.
fn text(body: Body, timestamp: Timestamp) -> ByteString {
    Frame { body, timestamp, correlation_id: correlation::made().to_string() }.text().into()
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

    #[test]
    fn one_looks_at_a_time_and_one_that_is_interrupted_or_hangs_does_not_end_the_others() {
        let (lookout, now) = (Lookout::default(), Instant::now());
        let after = |ms| now + Duration::from_millis(ms);
        let first = lookout.begin(now).unwrap();
        assert!(lookout.begin(after(1_000)).is_none(), "one looks");
        drop(first);
        assert!(lookout.begin(after(949)).is_none(), "it is not due");
        let hanging = lookout.begin(after(950)).unwrap();
        assert!(lookout.begin(after(5_949)).is_none());
        let other = lookout.begin(after(5_950)).unwrap();
        drop(hanging);
        assert!(lookout.begin(after(7_000)).is_none(), "the end of one that hung is not the other's");
        drop(other);
        assert!(lookout.begin(after(7_000)).is_some());
    }

    #[test]
    fn a_disk_that_does_not_answer_is_as_it_was() {
        let mut state = State::default();
        assert_eq!(state.disk_nearly_full(None), None);
        let full = state.disk_nearly_full(Some(4)).unwrap();
        state.raised.insert(Cause::DiskNearlyFull, full.clone());
        assert_eq!(state.disk_nearly_full(None), Some(full));
        assert_eq!(state.disk_nearly_full(Some(5)), None);
    }

    #[test]
    fn each_change_is_told_once_and_who_missed_too_many_is_told_what_is_raised() {
        let (lookout, now) = (Lookout::default(), Timestamp::from_micros(0));
        let change = |causes: &[Cause]| {
            let mut state = lookout.state.lock();
            let changed = state.change(seen(causes));
            state.keep(changed, now);
        };
        let told = |after: u64| {
            let (number, texts) = lookout.changes_after(after, now);
            let level = |text: ByteString| if text.contains("resolved") { "resolved" } else { "critical" };
            (number, texts.into_iter().map(level).collect::<Vec<_>>())
        };
        assert_eq!(told(0), (0, vec![]));
        change(&[Cause::DatabaseLost]);
        change(&[Cause::DatabaseLost]);
        change(&[]);
        assert_eq!(told(0), (2, vec!["critical", "resolved"]), "also what was over before somebody asked");
        assert_eq!(told(1), (2, vec!["resolved"]));
        assert_eq!(told(2), (2, vec![]));
        for _ in 0..CHANGES_MAX {
            change(&[Cause::DatabaseLost]);
            change(&[]);
        }
        assert_eq!(told(2), (514, vec![]), "what is over");
        change(&[Cause::DatabaseLost]);
        assert_eq!(told(2), (515, vec!["critical"]), "what is raised");
        assert_eq!(told(515 - 256).1.len(), 256);
    }
}
