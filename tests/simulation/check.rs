//! What must be true once everything has come to its end: the store, the log, the projection and what people were told
//! say the same.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use domain::{Outcome, TaskId, TaskState, TenantId};
use feed::{FeedHandle, StateCounts};

use crate::hive::{Hive, empty_feed};
use crate::witness::Seen;
use crate::world::World;

/// Most attempts of one task that are looked at; operators put tasks back.
const ATTEMPTS: u32 = 1_000;
/// Events that are read at a time.
const EVENTS: u32 = 10_000;

/// Checks everything; what is broken is a breach.
pub async fn all(world: &World) {
    let Some(hive) = world.hive() else { return world.breach("the hive is not up in the end") };
    if let Err(broken) = whole(world, &hive).await {
        world.breach(format_args!("in the end {broken:#}"));
    }
}

/// Tasks that are not at their end, and why that might be.
pub fn what_is_open(world: &World) -> String {
    let witness = world.witness.borrow();
    let open: Vec<String> = witness
        .tasks
        .iter()
        .filter(|(_, task)| !task.state.is_terminal())
        .map(|(id, task)| {
            format!("{id} {:?}:{} of {:?} in {}", task.state, task.attempt, task.agent, task.queue)
        })
        .collect();
    format!("{} clients want something, and open are: {}", world.clients_left.get(), open.join("; "))
}

async fn whole(world: &World, hive: &Hive) -> Result<()> {
    ensure!(hive.running() == 0, "{} attempts have an actor", hive.running());
    let leases = hive.readers.leases().await?;
    ensure!(leases.is_empty(), "there are leases: {leases:?}");
    the_log(world, hive).await?;
    let tasks: Vec<(TaskId, Seen)> =
        world.witness.borrow().tasks.iter().map(|(id, task)| (*id, task.clone())).collect();
    for (id, seen) in &tasks {
        the_task(world, hive, *id, seen).await.with_context(|| format!("of {id}"))?;
    }
    let promises = world.promises.borrow();
    let missing: Vec<_> = promises
        .accepted
        .iter()
        .filter(|id| tasks.binary_search_by_key(*id, |(id, _)| *id).is_err())
        .collect();
    ensure!(missing.is_empty(), "acknowledged and missing: {missing:?}");
    Ok(())
}

/// The log is whole, and its fold is the projection and the store.
async fn the_log(world: &World, hive: &Hive) -> Result<()> {
    let fresh = empty_feed();
    let lanes: Vec<_> = hive.readers.lanes().await?;
    let lanes: Vec<_> = lanes.into_iter().map(|(id, spec)| (id, std::sync::Arc::new(spec))).collect();
    fresh.fold(&lanes, &[])?;
    loop {
        let events = hive.readers.events_raw(fresh.seq(), EVENTS).await?;
        if events.is_empty() {
            break;
        }
        fresh.fold(&[], &events)?;
    }
    let seen_seq = world.witness.borrow().seq;
    ensure!(fresh.seq() == seen_seq, "the log ends with {} and {seen_seq} was committed", fresh.seq());
    ensure!(figures(&fresh) == figures(&hive.feed), "the projection is not the fold of the log");
    let census = hive.readers.census().await?;
    ensure!(census.working.is_empty(), "agents work: {:?}", census.working);
    let mut counted: BTreeMap<TaskState, u64> = BTreeMap::new();
    for ((_, state, _), count) in census.tasks {
        *counted.entry(state).or_default() += count;
    }
    let totals = fresh.read(|projection| projection.totals());
    for state in TaskState::ALL {
        let seen = u64::try_from(world.witness.borrow().in_state(state).len())?;
        let stored = counted.get(&state).copied().unwrap_or(0);
        ensure!(seen == stored, "{stored} tasks are {state:?} and {seen} were seen so");
        ensure!(seen == totals.of(state), "the projection has {} {state:?} and {seen} are", totals.of(state));
    }
    Ok(())
}

/// What two projections must agree on.
fn figures(feed: &FeedHandle) -> impl PartialEq {
    feed.read(|projection| {
        let mut lanes: Vec<_> =
            projection.lanes().map(|(id, spec, figures)| (id, spec.queue.clone(), *figures)).collect();
        lanes.sort_by_key(|(id, ..)| *id);
        let totals: StateCounts = projection.totals();
        (projection.seq(), totals, lanes)
    })
}

/// A task is stored as it was seen, and as people were told.
async fn the_task(world: &World, hive: &Hive, id: TaskId, seen: &Seen) -> Result<()> {
    let stored = hive.readers.task(TenantId::DEFAULT, id).await?.context("it is missing")?;
    let status = stored.record.status;
    ensure!(
        (status.state, status.attempt, status.failures) == (seen.state, seen.attempt, seen.failures),
        "it is stored as {status:?} and was seen as {seen:?}"
    );
    let attempts = hive.readers.attempts(TenantId::DEFAULT, id, u32::MAX, ATTEMPTS).await?;
    let attempts = attempts.context("it has no attempts")?;
    ensure!(
        u32::try_from(attempts.len())? == seen.attempt,
        "{} attempts are stored: {seen:?}",
        attempts.len()
    );
    let successes: Vec<u32> = attempts
        .iter()
        .filter(|attempt| attempt.outcome == Some(Outcome::Succeeded))
        .map(|attempt| attempt.attempt)
        .collect();
    ensure!(successes.len() <= 1, "it succeeded in attempts {successes:?}");
    ensure!(successes.first().copied() == seen.completed_by, "it succeeded in {successes:?}: {seen:?}");
    let promises = world.promises.borrow();
    if let Some((attempt, result)) = promises.completed.get(&id) {
        ensure!(
            seen.completed_by == Some(*attempt),
            "attempt {attempt} was told that it completed it: {seen:?}"
        );
        ensure!(stored.result.as_deref() == Some(result), "its result is {:?}, not {result}", stored.result);
    }
    for ((_, attempt), _) in promises.ended.range((id, 0)..=(id, u32::MAX)) {
        let is_stored = attempts.iter().any(|one| one.attempt == *attempt && one.outcome.is_some());
        ensure!(is_stored, "the end of attempt {attempt} was acknowledged and is missing");
    }
    Ok(())
}
