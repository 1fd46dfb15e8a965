//! Rows that cannot be understood are passed by, and nothing else is.

use domain::{TaskId, TaskState, TenantId};

use super::Rig;
use super::world::World;
use crate::command::{Chore, Sweep};
use crate::error::ReadError;
use crate::record::TaskFilter;

const ME: TenantId = TenantId::DEFAULT;

/// Writes past the store what cannot be; `sql` follows `UPDATE … SET`.
fn spoil<R: Rig>(world: &mut World<R>, task: TaskId, table: &str, sql: &str) {
    let key = if table == "tasks" { "id" } else { "task_id" };
    world.rig.spoil(&format!("UPDATE {table} SET {sql} WHERE {key} = {}", task.raw()));
}

fn count<R: Rig>(world: &World<R>) -> i64 {
    world.rig.metrics().quarantine.count().get()
}

pub(super) fn a_head_that_cannot_be_understood_is_passed_over_until_it_can<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let [labels, negative, input] = ["labels", "negative", "input"].map(|title| world.submit(title).id);
    let fine = world.submit("fine");
    spoil(&mut world, labels, "task_specs", "labels = 'no JSON'");
    spoil(&mut world, negative, "tasks", "failures = -1");
    spoil(&mut world, input, "task_specs", "input = '[1, 2'");
    let claimed = world.claim(fine.lane, agent, 4);
    assert_eq!(claimed.iter().map(|task| task.task).collect::<Vec<_>>(), [fine.id]);
    assert!(count(&world) >= 2, "{}", count(&world));
    assert_eq!(world.claim(fine.lane, agent, 4).len(), 0);
    spoil(&mut world, labels, "task_specs", "labels = NULL");
    spoil(&mut world, negative, "tasks", "failures = 0");
    let claimed = world.claim(fine.lane, agent, 4);
    assert_eq!(claimed.iter().map(|task| task.task).collect::<Vec<_>>(), [labels, negative]);
}

pub(super) fn many_that_cannot_be_understood_do_not_keep_a_claim_from_what_is_behind_them<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    for n in 0..600 {
        world.submit(&format!("spoiled {n}"));
    }
    world.rig.spoil("UPDATE tasks SET failures = -1 WHERE state = 1");
    let fine = world.submit("fine");
    // Each look knows more of them than the one before.
    let claimed = (0..4).find_map(|_| world.claim(fine.lane, agent, 1).pop());
    assert_eq!(claimed.map(|claimed| claimed.task), Some(fine.id));
}

pub(super) fn many_that_cannot_be_understood_do_not_keep_a_janitor_from_what_is_behind_them<R: Rig>() {
    let mut world = World::<R>::new();
    for n in 0..20 {
        world.working(&format!("lost-{n}"));
    }
    world.rig.spoil("UPDATE tasks SET crashes = -1, lease_expires_at = 1 WHERE state = 2");
    let held = world.working("held");
    world.wait_ms(600_000);
    let round = Sweep { chore: Chore::ReapLeases, limit: 10, chance: 0.5 };
    let swept = (0..4).map(|_| world.apply(round).count).find(|count| *count > 0);
    assert_eq!(swept, Some(1));
    assert_eq!(world.state(held.task), TaskState::Scheduled);
}

pub(super) fn a_list_leaves_out_what_cannot_be_understood_and_its_own_reads_say_so<R: Rig>() {
    let mut world = World::<R>::new();
    let [labels, negative, fine] = ["labels", "negative", "fine"].map(|title| world.submit(title).id);
    spoil(&mut world, labels, "task_specs", "labels = 'no JSON'");
    spoil(&mut world, negative, "tasks", "attempt = -1");
    let page = world.ask(|readers| readers.tasks(ME, TaskFilter::default(), None, 10));
    assert_eq!(page.items.iter().map(|task| task.id).collect::<Vec<_>>(), [fine]);
    assert_eq!(count(&world), 2);
    for (task, words) in [(labels, "labels: expected"), (negative, "a negative count")] {
        let read = world.runtime().block_on(world.rig.readers().task(ME, task));
        let Err(ReadError::Corrupt { what, why }) = read else { panic!("{read:?}") };
        assert!(what == task.to_string() && why.contains(words), "{what}: {why}");
    }
}

pub(super) fn janitors_go_on_past_what_cannot_be_understood<R: Rig>() {
    let mut world = World::<R>::new();
    let later = |task: &mut domain::NewTask| task.start = domain::Start::After(100);
    let [spoiled, fine] = ["spoiled", "fine"].map(|title| world.submit_with(title, later).id);
    let timeless = world.submit_with("timeless", later).id;
    spoil(&mut world, spoiled, "tasks", "crashes = -1");
    spoil(&mut world, timeless, "tasks", "eligible_at = NULL");
    world.wait_ms(100);
    assert_eq!(world.sweep(Chore::StageDue).count, 1);
    assert_eq!(world.state(fine), TaskState::Queued);

    let [lost, bare, held] = ["lost", "bare", "held"].map(|called| world.working(called));
    spoil(&mut world, lost.task, "tasks", "failures = -1");
    spoil(&mut world, bare.task, "tasks", "lease_expires_at = NULL");
    let leases = world.ask(|readers| readers.leases());
    assert_eq!(leases.iter().filter(|lease| lease.task == bare.task).count(), 0, "nobody holds it");
    assert!(leases.iter().any(|lease| lease.task == held.task));
    world.wait_ms(600_000);
    assert_eq!(world.sweep(Chore::ReapLeases).count, 1);
    assert_eq!(world.state(held.task), TaskState::Scheduled);
    world.ask(|readers| readers.next_due(Chore::ReapLeases));
    world.ask(|readers| readers.census());
}
