//! `GET /system/actors`: the live tree of supervised actors.

use domain::Timestamp;
use protocol::query::ActorQuery;
use protocol::{ActorErrorView, ActorView, ActorsView, ArbiterView, FailureView};
use supervision::{ActorSnapshot, ActorState, Consequence, Failure, SnapshotFilter};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::query::Given;
use crate::state::Hive;

const LIMIT_DEFAULT: u32 = 1_000;

/// Show the supervision tree.
#[utoipa::path(get, path = "/api/v2/system/actors", tag = "system", params(ActorQuery),
    responses((status = 200, description = "Who lives, how it fares, what failed lately", body = ActorsView)))]
pub(crate) async fn list_actors(hive: Hive, _: Allowed<ReadHive>, given: Given) -> Answer {
    ok(&tree(&hive, &ActorQuery::read(given.0)?))
}

/// The tree as it is now.
pub(crate) fn tree(hive: &Hive, asked: &ActorQuery) -> ActorsView {
    let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
    let found = hive.registry.snapshot(&SnapshotFilter {
        prefix: asked.prefix.as_deref().unwrap_or_default(),
        kind: asked.kind.as_deref(),
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    });
    let arbiters = hive.registry.arbiters().into_iter();
    ActorsView {
        items: found.into_iter().map(actor).collect(),
        total: wide(hive.registry.actor_count()),
        restarts_total: hive.registry.restarts_total(),
        arbiters: arbiters
            .map(|arbiter| ArbiterView {
                name: arbiter.name,
                stalled: arbiter.is_stalled,
                stalls: arbiter.stall_count,
            })
            .collect(),
        recent_failures: hive.registry.recent_failures().into_iter().map(failure).collect(),
    }
}

fn actor(seen: ActorSnapshot) -> ActorView {
    ActorView {
        path: seen.path.to_string(),
        kind: seen.kind.to_owned(),
        state: state(seen.state).to_owned(),
        arbiter: seen.arbiter,
        incarnation: seen.incarnation,
        restarts: seen.restarts,
        mailbox_depth: wide(seen.mailbox_depth),
        mailbox_capacity: wide(seen.mailbox_capacity),
        last_error: seen
            .last_error
            .map(|error| ActorErrorView { text: error.text.to_string(), at: moment(error.at_ms) }),
    }
}

fn failure(failure: Failure) -> FailureView {
    FailureView {
        path: failure.path.to_string(),
        kind: failure.kind.to_owned(),
        incarnation: failure.incarnation,
        text: failure.text.to_string(),
        at: moment(failure.at_ms),
        consequence: consequence(failure.consequence).to_owned(),
    }
}

const fn state(state: ActorState) -> &'static str {
    match state {
        ActorState::Starting => "starting",
        ActorState::Running => "running",
        ActorState::Restarting => "restarting",
        ActorState::Stopping => "stopping",
        ActorState::Stopped => "stopped",
        ActorState::Failed => "failed",
        ActorState::Stalled => "stalled",
    }
}

const fn consequence(consequence: Consequence) -> &'static str {
    match consequence {
        Consequence::Restarted => "restarted",
        Consequence::Ended => "ended",
        Consequence::GivenUp => "given_up",
        Consequence::Escalated => "escalated",
    }
}

fn moment(unix_ms: u64) -> Timestamp {
    Timestamp::ZERO.plus_ms(unix_ms)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
