//! `/health`, `/health/live`, `/health/ready`, `/metrics`: without a login, and without the gate.
//!
//! The parts are looked at about once a second, however often somebody asks: nobody without a login makes the database
//! or the registry work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse};
use parking_lot::Mutex;
use prometheus::TextEncoder;
use protocol::{ComponentHealth, HealthStatus, HealthView};
use runtime::Phase;
use supervision::{ActorState, SnapshotFilter};

use crate::answer::{Answer, ok};
use crate::correlation;
use crate::problem::Problem;
use crate::state::{Hive, Shared};

/// How long what was seen of all parts is good for.
const FRESH: Duration = Duration::from_secs(1);
/// How long what was seen of the database is: a hive with nothing to do asks it less than once a second.
const DATABASE_FRESH: Duration = Duration::from_secs(2);
/// How long the database may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Events that the projection may lag behind the log before that is worth a word.
const LAG_EVENTS: i64 = 10_000;
/// Actors that are looked at.
const ACTORS_MAX: usize = 10_000;

/// What was last seen of the database, and of all parts.
#[derive(Default)]
pub(crate) struct Probe {
    database: Mutex<Option<(Instant, Seen)>>,
    whole: Mutex<Option<(Instant, HealthView)>>,
}

/// How the database answered.
#[derive(Clone)]
struct Seen {
    problem: Option<String>,
    last_seq: i64,
    took: Duration,
}

impl Probe {
    async fn look(&self, hive: &Shared) -> Seen {
        let known = fresh(&self.database, DATABASE_FRESH);
        if let Some(seen) = known {
            return seen;
        }
        let began = Instant::now();
        let answer = tokio::time::timeout(PING_TIMEOUT, hive.readers.log_range()).await;
        let (problem, last_seq) = match answer {
            Ok(Ok((_, last_seq))) => (None, last_seq),
            Ok(Err(error)) => (Some(error.to_string()), 0),
            Err(_) => (Some(format!("no answer within {PING_TIMEOUT:?}")), 0),
        };
        let seen = Seen { problem, last_seq, took: began.elapsed() };
        *self.database.lock() = Some((Instant::now(), seen.clone()));
        seen
    }
}

/// Show how the parts are doing.
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, description = "How the parts are doing, also when they are not well", body = HealthView)))]
pub(crate) async fn show_health(hive: Hive) -> Answer {
    ok(&whole(&hive).await)
}

/// How the parts are doing, as of the last second; the database, of the last three.
pub(crate) async fn whole(hive: &Shared) -> HealthView {
    if let Some(view) = fresh(&hive.probe.whole, FRESH) {
        return view;
    }
    let seen = hive.probe.look(hive).await;
    let mut parts = BTreeMap::new();
    parts.insert("database".to_owned(), database(&seen));
    parts.insert("runtime".to_owned(), timed(|| runtime(hive.runtime.phase())));
    parts.insert("writer".to_owned(), timed(|| writer(hive)));
    parts.insert("actors".to_owned(), timed(|| actors(hive)));
    parts.insert("feed".to_owned(), timed(|| feed(hive.feed.seq(), &seen)));
    let view = HealthView::of(hive.facts.version, hive.clock.now(), parts);
    *hive.probe.whole.lock() = Some((Instant::now(), view.clone()));
    view
}

/// What was seen a moment ago.
fn fresh<T: Clone>(last: &Mutex<Option<(Instant, T)>>, within: Duration) -> Option<T> {
    last.lock().as_ref().filter(|(at, _)| at.elapsed() < within).map(|(_, seen)| seen.clone())
}

/// Show whether the process answers.
#[utoipa::path(get, path = "/health/live", tag = "health",
    responses((status = 200, description = "The process answers", body = serde_json::Value)))]
pub(crate) async fn show_live() -> Answer {
    ok(&serde_json::json!({"status": "live"}))
}

/// Show whether it takes requests.
#[utoipa::path(get, path = "/health/ready", tag = "health",
    responses((status = 200, description = "It takes requests", body = serde_json::Value),
              (status = 503, description = "It starts, drains or has no database", body = protocol::ProblemDetails,
               content_type = "application/problem+json")))]
pub(crate) async fn show_ready(hive: Hive, http: HttpRequest) -> Answer {
    let refused = match hive.runtime.phase() {
        Phase::Starting => Some(Problem::NotReady("starting")),
        Phase::Draining => Some(Problem::NotReady("draining")),
        Phase::Serving if !hive.runtime.may_write() => {
            Some(Problem::StoreUnavailable { cause: "the database is not open for writing".to_owned() })
        }
        Phase::Serving => {
            hive.probe.look(&hive).await.problem.map(|cause| Problem::StoreUnavailable { cause })
        }
    };
    match refused {
        Some(problem) => Ok(problem.respond(http.path(), &correlation::of(http.headers()))),
        None => ok(&serde_json::json!({"status": "ready"})),
    }
}

/// Show the metrics.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain")))]
pub(crate) async fn show_metrics(hive: Hive) -> Answer {
    hive.live.metrics.measure(&hive.live.book, hive.feed.log());
    let text = TextEncoder::new().encode_to_string(&hive.state.metrics.gather());
    let text = text.map_err(|error| Problem::Internal { cause: error.to_string() })?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

fn part(status: HealthStatus, details: impl Into<String>) -> ComponentHealth {
    ComponentHealth { status, details: details.into(), response_time_ms: 0.0 }
}

fn timed(look: impl FnOnce() -> ComponentHealth) -> ComponentHealth {
    let began = Instant::now();
    let part = look();
    ComponentHealth { response_time_ms: milliseconds(began.elapsed()), ..part }
}

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

/// What went wrong may name paths of the host; the log has it, strangers do not read it.
fn database(seen: &Seen) -> ComponentHealth {
    let part = match &seen.problem {
        None => part(HealthStatus::Healthy, "answers"),
        Some(why) => {
            tracing::warn!(error = %why, "the database does not answer");
            part(HealthStatus::Unhealthy, "does not answer")
        }
    };
    ComponentHealth { response_time_ms: milliseconds(seen.took), ..part }
}

fn runtime(phase: Phase) -> ComponentHealth {
    match phase {
        Phase::Starting => part(HealthStatus::Unhealthy, "starting"),
        Phase::Serving => part(HealthStatus::Healthy, "serving"),
        Phase::Draining => part(HealthStatus::Degraded, "draining"),
    }
}

fn writer(hive: &Shared) -> ComponentHealth {
    let found = hive.registry.snapshot(&SnapshotFilter { prefix: "hive/writer", kind: None, limit: 1 });
    match found.first().map(|actor| actor.state) {
        // The thread runs on while it tries to reach a server that is away.
        Some(ActorState::Running) if !hive.runtime.may_write() => {
            part(HealthStatus::Unhealthy, "cannot write to the database")
        }
        Some(ActorState::Running) => part(HealthStatus::Healthy, "running"),
        Some(ActorState::Starting | ActorState::Restarting) => {
            part(HealthStatus::Degraded, "is being opened")
        }
        Some(ActorState::Stalled) => part(HealthStatus::Degraded, "does not answer the watchdog"),
        Some(ActorState::Stopping | ActorState::Stopped | ActorState::Failed) | None => {
            part(HealthStatus::Unhealthy, "not running")
        }
    }
}

fn actors(hive: &Shared) -> ComponentHealth {
    let filter = SnapshotFilter { prefix: "", kind: None, limit: ACTORS_MAX };
    let found = hive.registry.snapshot(&filter);
    let is_ill = |state| matches!(state, ActorState::Restarting | ActorState::Failed | ActorState::Stalled);
    let ill = found.iter().filter(|actor| is_ill(actor.state)).count();
    let arbiters = hive.registry.arbiters().iter().filter(|arbiter| arbiter.is_stalled).count();
    let restarts = hive.registry.restarts_total();
    let details =
        format!("{} actors, {ill} not well, {arbiters} arbiters stalled, {restarts} restarts", found.len());
    let is_well = ill == 0 && arbiters == 0;
    part(if is_well { HealthStatus::Healthy } else { HealthStatus::Degraded }, details)
}

fn feed(folded: i64, seen: &Seen) -> ComponentHealth {
    let lag = seen.last_seq.saturating_sub(folded).max(0);
    let status = if lag > LAG_EVENTS { HealthStatus::Degraded } else { HealthStatus::Healthy };
    part(status, format!("{lag} events behind the log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hive_that_starts_is_not_healthy_and_one_that_drains_is_degraded() {
        assert_eq!(runtime(Phase::Starting).status, HealthStatus::Unhealthy);
        assert_eq!(runtime(Phase::Serving).status, HealthStatus::Healthy);
        assert_eq!(runtime(Phase::Draining).status, HealthStatus::Degraded);
    }

    #[test]
    fn strangers_do_not_read_why_the_database_is_down() {
        let seen =
            Seen { problem: Some("/secret/path".into()), last_seq: 0, took: Duration::from_micros(1_500) };
        let part = database(&seen);
        assert_eq!((part.status, part.details.as_str()), (HealthStatus::Unhealthy, "does not answer"));
        assert!((part.response_time_ms - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_feed_far_behind_is_degraded() {
        let seen = Seen { problem: None, last_seq: 20_000, took: Duration::ZERO };
        assert_eq!(feed(0, &seen).status, HealthStatus::Degraded);
        assert_eq!(feed(20_000, &seen).status, HealthStatus::Healthy);
        assert_eq!(feed(20_001, &seen).status, HealthStatus::Healthy, "newer than what was seen");
    }
}
