//! Reads what a batch will ask for into the unit of work, all in one round trip.

use diesel::OptionalExtension;
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::TenantId;
use futures_util::future::LocalBoxFuture;

use super::loads::{LoadKeys, LoadSpecs, LoadStandings, LoadUniques, LockHeads, LockTasks};
use super::turn::{HoldTurn, Standing, TakeTurn, Turn};
use super::unit::{KeyRow, SpecSlot, Unit};
use super::wanted::Wanted;
use crate::sql::agent_row;
use crate::sql::commands::claim_tasks::understood;
use crate::sql::spec_row::{RawSpec, Spec};
use crate::sql::task_row::{RawTask, TaskRow};

/// A head of a run: which run by its place, the task, what it asks for, and its input.
pub(super) type RawHead = (i32, RawTask, RawSpec, Option<String>);

/// An idempotency key: tenant, hash and kind; what it names, the fingerprint of its request, and until when.
pub(super) type RawKey = (i64, Vec<u8>, i16, i64, Vec<u8>, i64);

/// What one statement answered.
pub(super) enum Fetched {
    /// The transaction has begun.
    Begun,
    /// What time it is and where the log stands.
    Standing(Option<Standing>),
    /// Tasks.
    Tasks(Vec<RawTask>),
    /// What they ask for.
    Specs(Vec<(i64, RawSpec)>),
    /// Agents.
    Standings(Vec<(i64, i64, String, bool)>),
    /// Idempotency keys.
    Keys(Vec<RawKey>),
    /// Unique keys.
    Uniques(Vec<(i64, String, i64, Option<i64>)>),
    /// Heads of runs, and how many were asked for of each.
    Heads(Vec<RawHead>, Vec<(super::unit::Run, i64)>),
}

type Load<'c> = LocalBoxFuture<'c, QueryResult<Fetched>>;

/// The statements that begin a transaction; those without rows only where they are to be prepared.
pub(super) fn loads<'c>(
    conn: &'c AsyncPgConnection,
    turn: Turn,
    (number, incarnation): (i16, i64),
    wanted: &'c Wanted,
    is_for_warmth: bool,
) -> Vec<Load<'c>> {
    let mut loads: Vec<Load<'c>> = Vec::with_capacity(8);
    if !is_for_warmth {
        loads.push(Box::pin(async move { (&*conn).batch_execute("BEGIN").await.map(|()| Fetched::Begun) }));
    }
    loads.push(match turn {
        Turn::Hoped => Box::pin(async move {
            let standing = TakeTurn { number, incarnation }.get_result(&mut &*conn).await;
            standing.optional().map(Fetched::Standing)
        }),
        Turn::Held => Box::pin(async move {
            let standing = HoldTurn { number, incarnation }.get_result(&mut &*conn).await;
            standing.optional().map(Fetched::Standing)
        }),
    });
    if is_for_warmth || !wanted.tasks.is_empty() {
        let rows = LockTasks { id: wanted.tasks.iter().copied().collect() };
        loads.push(Box::pin(async move { rows.load(&mut &*conn).await.map(Fetched::Tasks) }));
    }
    if is_for_warmth || !wanted.specs.is_empty() {
        let rows = LoadSpecs { task: wanted.specs.iter().copied().collect() };
        loads.push(Box::pin(async move { rows.load(&mut &*conn).await.map(Fetched::Specs) }));
    }
    if is_for_warmth || !wanted.agents.is_empty() {
        let rows = LoadStandings { id: wanted.agents.iter().copied().collect() };
        loads.push(Box::pin(async move { rows.load(&mut &*conn).await.map(Fetched::Standings) }));
    }
    if is_for_warmth || !wanted.keys.is_empty() {
        let mut rows = LoadKeys::default();
        for (tenant, hash, kind) in &wanted.keys {
            rows.tenant.push(*tenant);
            rows.hash.push(hash);
            rows.kind.push(*kind);
        }
        loads.push(Box::pin(async move { rows.load(&mut &*conn).await.map(Fetched::Keys) }));
    }
    if is_for_warmth || !wanted.uniques.is_empty() {
        let mut rows = LoadUniques::default();
        for (tenant, key) in &wanted.uniques {
            rows.tenant.push(*tenant);
            rows.key.push(key);
        }
        loads.push(Box::pin(async move { rows.load(&mut &*conn).await.map(Fetched::Uniques) }));
    }
    if is_for_warmth || !wanted.heads.is_empty() {
        let runs: Vec<_> = wanted.heads.iter().map(|(run, count)| (*run, *count)).collect();
        let rows =
            LockHeads::of(runs.iter().map(|((lane, priority), count)| (*lane, *priority, i64::MIN, *count)));
        loads.push(Box::pin(
            async move { rows.load(&mut &*conn).await.map(|heads| Fetched::Heads(heads, runs)) },
        ));
    }
    loads
}

impl LockHeads {
    /// Heads of these runs: lane, priority, above which id, how many.
    pub(super) fn of(runs: impl Iterator<Item = (i64, u8, i64, i64)>) -> Self {
        let mut rows = Self::default();
        for (lane, priority, after, count) in runs {
            rows.lane.push(lane);
            rows.priority.push(i16::from(priority));
            rows.after.push(after);
            rows.count.push(count);
        }
        rows
    }
}

/// Notes what was read. What cannot be understood is left out: the command that asks for it reads it again, and is told.
pub(super) fn learn(unit: &mut Unit, fetched: Fetched) {
    match fetched {
        Fetched::Begun | Fetched::Standing(_) => {}
        Fetched::Tasks(rows) => {
            for raw in rows {
                let id = raw.id();
                match TaskRow::try_from(raw) {
                    Ok(row) => unit.learn_task(id, Some(row)),
                    Err(_) => unit.doubt_task(id),
                }
            }
        }
        Fetched::Specs(rows) => {
            for (task, raw) in rows {
                if let Ok(spec) = Spec::try_from(raw) {
                    unit.specs.entry(task).or_insert(SpecSlot { spec, input: None });
                }
            }
        }
        Fetched::Standings(rows) => {
            for (id, tenant, capabilities, is_draining) in rows {
                let standing = agent_row::Standing { tenant: TenantId(tenant), capabilities, is_draining };
                unit.standings.insert(id, Some(standing));
            }
        }
        Fetched::Keys(rows) => {
            for (tenant, hash, kind, subject, fingerprint, expires_at) in rows {
                let Ok(hash) = hash.try_into() else { continue };
                unit.learn_key((tenant, hash, kind), Some(KeyRow { subject, fingerprint, expires_at }));
            }
        }
        Fetched::Uniques(rows) => {
            for (tenant, key, task, expires_at) in rows {
                unit.uniques.insert((tenant, key), Some((task, expires_at)));
            }
        }
        Fetched::Heads(heads, runs) => learn_heads(unit, heads, &runs),
    }
}

/// Notes heads of runs, and how far each run is known by them.
pub(super) fn learn_heads(unit: &mut Unit, heads: Vec<RawHead>, runs: &[(super::unit::Run, i64)]) {
    let mut found: Vec<(i64, i64)> = vec![(0, i64::MIN); runs.len()];
    for (place, task, spec, input) in heads {
        let id = task.id();
        let place = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        if let Some((count, last)) = place.and_then(|place| found.get_mut(place)) {
            *count = count.saturating_add(1);
            *last = (*last).max(id);
        }
        let Ok(row) = TaskRow::try_from(task) else { continue };
        unit.learn_task(id, Some(row));
        // What is left out here is read again by the claim that takes it, which is told why it cannot be understood.
        if let (Ok(spec), Ok(input)) = (Spec::try_from(spec), understood(input)) {
            unit.specs.entry(id).or_insert(SpecSlot { spec, input: None }).input = Some(input);
        }
    }
    for ((run, asked), (count, last)) in runs.iter().zip(found) {
        unit.knows_to(*run, if count < *asked { i64::MAX } else { last });
    }
}

/// What was asked for and not found is not there.
pub(super) fn learn_absences(unit: &mut Unit, wanted: &Wanted) {
    for id in &wanted.tasks {
        if !unit.is_in_doubt(*id) {
            unit.learn_task(*id, None);
        }
    }
    for id in &wanted.agents {
        unit.standings.entry(*id).or_insert(None);
    }
    for id in &wanted.keys {
        unit.learn_key(*id, None);
    }
    for id in &wanted.uniques {
        unit.uniques.entry(id.clone()).or_insert(None);
    }
}
