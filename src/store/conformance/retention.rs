//! What has ended leaves.

use std::sync::Arc;

use domain::{EventKind, TaskState};

use super::Rig;
use super::world::{ME, World, success};
use crate::command::{AgentEdit, AppendOutput, CancelTask, Chore, SaveCheckpoint, Sweep};
use crate::outcome::{ClaimedTask, Registered, Swept};

fn retire<R: Rig>(world: &World<R>, limit: u32) -> Sweep {
    Sweep { chore: Chore::RetireTasks(world.now()), limit, chance: 0.0 }
}

fn output(claimed: &ClaimedTask, text: &str) -> AppendOutput {
    let (task, attempt, text) = (claimed.task, claimed.attempt, text.into());
    AppendOutput {
        task,
        attempt,
        text,
        bytes_max: 1_000,
        follows_cut: false,
        after_bytes: None,
        reporter: None,
    }
}

fn checkpoint(seq: i64) -> SaveCheckpoint {
    SaveCheckpoint { seq, projection: Arc::from(seq.to_string().into_bytes()) }
}

pub(super) fn a_round_stops_early_when_tasks_leave_with_much_output<R: Rig>() {
    let mut world = World::<R>::new();
    for called in ["long", "short"] {
        let claimed = world.working(called);
        for _ in 0..if called == "long" { 512 } else { 1 } {
            world.apply(output(&claimed, "x"));
        }
        world.finish(claimed.task, 1, success());
        world.wait_ms(10);
    }
    let round = retire(&world, 9);
    assert_eq!(world.apply(round).count, 1, "512 chunks are enough for one round");
    assert_eq!(world.apply(round).count, 1);
    assert_eq!(world.rig.orphan_count(), 0);
}

pub(super) fn ended_tasks_leave_in_chunks_with_all_that_belongs_to_them<R: Rig>() {
    let mut world = World::<R>::new();
    let mut ids = Vec::new();
    for called in ["a", "b", "c"] {
        let claimed = world.working(called);
        world.apply(output(&claimed, "output"));
        world.finish(claimed.task, 1, success());
        ids.push(claimed.task);
        world.wait_ms(10);
    }
    let canceled = world.submit("d").id;
    world.apply(CancelTask {
        tenant: ME,
        task: canceled,
        force: false,
        grace_ms: 0,
        correlation_id: "r".into(),
    });
    world.wait_ms(10);
    let chunk = retire(&world, 2);
    let swept = world.apply(chunk);
    assert_eq!(swept.count, 2);
    assert!(swept.next_at.unwrap() <= world.now(), "there is more to do");
    let event = world.events.last().unwrap();
    assert_eq!(
        (event.kind, &*event.data),
        (EventKind::SystemTasksRetired, r#"{"completed":2,"failed":0,"canceled":0}"#)
    );
    assert_eq!(world.ask(|readers| readers.task(ME, ids[0])), None);
    assert_eq!(world.ask(|readers| readers.attempts(ME, ids[0], u32::MAX, 9)), None);
    assert_eq!(world.ask(|readers| readers.output(ME, ids[0], (0, 0), 9)), None);
    assert_eq!(world.rig.orphan_count(), 0, "nothing of theirs is left behind");
    assert_eq!(world.state(ids[2]), TaskState::Completed);
    assert_eq!(world.apply(chunk).count, 2);
    assert_eq!(&*world.events.last().unwrap().data, r#"{"completed":1,"failed":0,"canceled":1}"#);
    let told = world.told(|world| assert_eq!(world.apply(chunk), Swept { count: 0, next_at: None }));
    assert_eq!(told, []);
    let census = world.ask(|readers| readers.census());
    assert!(census.tasks.is_empty());
}

pub(super) fn what_still_lives_stays<R: Rig>() {
    let mut world = World::<R>::new();
    let (queued, working) = (world.submit("t").id, world.working("ada").task);
    world.wait_ms(86_400_000);
    let all = retire(&world, 100);
    assert_eq!(world.apply(all).count, 0);
    assert_eq!((world.state(queued), world.state(working)), (TaskState::Queued, TaskState::Working));
    world.finish(working, 1, success());
    let just_now = retire(&world, 100);
    assert_eq!(world.apply(just_now).count, 0, "it ended at, not before, that moment");
}

pub(super) fn events_leave_only_as_far_as_a_checkpoint_covers_them<R: Rig>() {
    let mut world = World::<R>::new();
    for title in ["a", "b", "c", "d"] {
        world.submit(title);
        world.wait_ms(10);
    }
    let old = world.events[2].at;
    let sweep = |limit| Sweep { chore: Chore::RetireEvents(old), limit, chance: 0.0 };
    assert_eq!(world.apply(sweep(9)), Swept { count: 0, next_at: None }, "nothing is covered yet");
    world.apply(checkpoint(1));
    assert_eq!(world.apply(sweep(9)).count, 1);
    assert_eq!(world.ask(|readers| readers.log_range()), (2, 4));
    world.apply(checkpoint(4));
    assert_eq!(world.apply(sweep(9)).count, 1, "the third is not old enough");
    assert_eq!(world.ask(|readers| readers.log_range()), (3, 4));
    let seqs: Vec<_> = world.ask(|readers| readers.events_raw(0, 9)).iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [3, 4]);
}

pub(super) fn an_emptied_log_goes_on_where_it_was<R: Rig>() {
    let mut world = World::<R>::new();
    world.submit("a");
    world.submit("b");
    world.apply(checkpoint(2));
    world.wait_ms(10);
    let all = Chore::RetireEvents(world.now());
    let one = Sweep { chore: all, limit: 1, chance: 0.0 };
    assert_eq!(world.apply(one).count, 1, "in chunks");
    assert_eq!(world.apply(one).count, 1);
    assert_eq!(world.ask(|readers| readers.log_range()), (3, 2));
    world.rig.reopen();
    world.submit("c");
    assert_eq!(world.events.last().unwrap().seq, 3);
    assert_eq!(world.ask(|readers| readers.log_range()), (3, 3));
}

pub(super) fn a_removed_agents_row_leaves_later<R: Rig>() {
    let mut world = World::<R>::new();
    let Registered::Accepted(agent) = world.agent_with("ada", |_| {}) else { panic!() };
    world.change_agent(agent.id, AgentEdit::Remove);
    let command =
        || crate::command::RegisterAgent { agent: *agent.clone(), key: None, correlation_id: "r".into() };
    assert!(matches!(world.apply(command()), Registered::Replayed(_)), "the row is still there");
    world.wait_ms(10);
    let all = retire(&world, 100);
    world.apply(all);
    assert!(matches!(world.apply(command()), Registered::Accepted(_)));
}

pub(super) fn the_highest_id_outlives_its_task<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.finish(claimed.task, 1, success());
    world.wait_ms(10);
    world.rig.reopen();
    let highest = world.rig.highest_id();
    assert_eq!(highest, claimed.task.raw());
    let all = retire(&world, 100);
    world.apply(all);
    world.rig.reopen();
    assert_eq!(world.rig.highest_id(), highest);
}

pub(super) fn a_newer_checkpoint_replaces_the_older_only<R: Rig>() {
    let mut world = World::<R>::new();
    assert_eq!(world.ask(|readers| readers.checkpoint()), None);
    world.apply(checkpoint(5));
    world.apply(checkpoint(7));
    world.apply(checkpoint(6));
    let stored = world.ask(|readers| readers.checkpoint()).unwrap();
    assert_eq!((stored.seq, &*stored.projection), (7, &b"7"[..]));
}
