//! Unique keys and many tasks in one commit.

use domain::{NewTask, OnConflict, TaskId, TaskState, Unique, UniqueUntil};

use super::Rig;
use super::world::{ME, World, failure, success};
use crate::command::{Chore, IdempotencyKey, RedriveTask, SubmitMany, SubmitTask};
use crate::outcome::{Redriven, Submitted};

const DAY_MS: u64 = 86_400_000;

fn unique(key: &str, until: UniqueUntil) -> impl Fn(&mut NewTask) {
    let unique = Unique { key: key.to_owned(), until, on_conflict: OnConflict::ReturnExisting };
    move |task| task.unique = Some(unique.clone())
}

/// Submits a task with a key; the task that the answer names, and whether it is new.
fn submit<R: Rig>(world: &mut World<R>, key: &str, until: UniqueUntil) -> (TaskId, bool) {
    let command = world.submit_command("t", unique(key, until));
    match world.apply(command) {
        Submitted::Accepted { record, .. } => (record.id, true),
        Submitted::Existing(record) => (record.id, false),
        other => panic!("{other:?}"),
    }
}

/// Whether a submit that accepts no other task is accepted.
fn is_free<R: Rig>(world: &mut World<R>, key: &str) -> bool {
    let mut command = world.submit_command("t", unique(key, UniqueUntil::Terminal));
    let asked = command.task.asked.unique.as_mut().unwrap();
    asked.on_conflict = OnConflict::Reject;
    match world.apply(command) {
        Submitted::Accepted { .. } => true,
        Submitted::UniqueConflict(_) => false,
        other => panic!("{other:?}"),
    }
}

fn cancel<R: Rig>(world: &mut World<R>, task: TaskId) {
    world.apply(crate::command::CancelTask {
        tenant: ME,
        task,
        force: true,
        grace_ms: 0,
        correlation_id: "r".into(),
    });
}

fn redrive<R: Rig>(world: &mut World<R>, task: TaskId) -> Redriven {
    world.apply(RedriveTask { tenant: ME, task, correlation_id: "r".into() })
}

/// A dead letter that had a key until it failed.
fn dead_letter<R: Rig>(world: &mut World<R>, key: &str) -> TaskId {
    let claimed = world.working_with("ada", |task| {
        unique(key, UniqueUntil::Terminal)(task);
        task.attempts_max = 1;
    });
    world.finish(claimed.task, 1, failure());
    assert_eq!(world.state(claimed.task), TaskState::Failed);
    claimed.task
}

pub(super) fn one_task_at_a_time_has_a_key_and_the_next_gets_it_when_that_has_ended<R: Rig>() {
    let mut world = World::<R>::new();
    let (first, is_new) = submit(&mut world, "k", UniqueUntil::Terminal);
    assert!(is_new);
    let told = world.told(|world| {
        assert_eq!(submit(world, "k", UniqueUntil::Terminal), (first, false));
        assert!(!is_free(world, "k"));
    });
    assert_eq!(told, [], "nothing is written");
    assert!(submit(&mut world, "K", UniqueUntil::Terminal).1, "another key");
    world.rig.reopen();
    assert_eq!(submit(&mut world, "k", UniqueUntil::Terminal), (first, false));
    cancel(&mut world, first);
    let (second, is_new) = submit(&mut world, "k", UniqueUntil::Terminal);
    assert!(is_new && second != first);
    assert_eq!(submit(&mut world, "k", UniqueUntil::Terminal), (second, false));
}

pub(super) fn a_key_for_a_time_is_free_after_it_whatever_became_of_its_task<R: Rig>() {
    let mut world = World::<R>::new();
    let (first, _) = submit(&mut world, "k", UniqueUntil::For(1_000));
    cancel(&mut world, first);
    world.wait_ms(999);
    assert_eq!(
        submit(&mut world, "k", UniqueUntil::For(1_000)),
        (first, false),
        "as it stands, ended or not"
    );
    world.wait_ms(1);
    let (second, is_new) = submit(&mut world, "k", UniqueUntil::For(1_000));
    assert!(is_new);
    world.wait_ms(1_000);
    assert_eq!(world.state(second), TaskState::Queued);
    assert!(is_free(&mut world, "k"), "also of one that still waits");
}

pub(super) fn a_key_for_ever_outlives_its_task<R: Rig>() {
    let mut world = World::<R>::new();
    let (first, _) = submit(&mut world, "k", UniqueUntil::Forever);
    cancel(&mut world, first);
    world.wait_ms(8 * DAY_MS);
    assert_eq!(submit(&mut world, "k", UniqueUntil::Forever), (first, false));
    let swept = world.sweep(Chore::RetireTasks(world.now()));
    assert_eq!(swept.count, 1);
    assert!(world.sweep(Chore::RetireKeys).next_at.is_none(), "it is never due");
    let command = world.submit_command("t", unique("k", UniqueUntil::Forever));
    let Submitted::UniqueConflict(holder) = world.apply(command) else { panic!() };
    assert_eq!(holder, first, "it is named, though it cannot be shown any more");
}

pub(super) fn keys_leave_with_their_tasks_or_after_their_time<R: Rig>() {
    let mut world = World::<R>::new();
    let (first, _) = submit(&mut world, "a", UniqueUntil::Terminal);
    submit(&mut world, "b", UniqueUntil::For(5_000));
    assert_eq!(world.sweep(Chore::RetireKeys).next_at, Some(world.now().plus_ms(5_000)));
    cancel(&mut world, first);
    world.wait_ms(6_000);
    assert_eq!(world.sweep(Chore::RetireTasks(world.now())).count, 1);
    assert_eq!(world.rig.orphan_count(), 0);
    assert_eq!(world.sweep(Chore::RetireKeys).count, 1);
    assert_eq!(world.sweep(Chore::RetireKeys).count, 0);
    assert!(is_free(&mut world, "a") && is_free(&mut world, "b"));
}

pub(super) fn a_dead_letter_takes_its_key_again_unless_another_task_has_it<R: Rig>() {
    let mut world = World::<R>::new();
    let first = dead_letter(&mut world, "k");
    let (second, is_new) = submit(&mut world, "k", UniqueUntil::Terminal);
    assert!(is_new, "a dead letter is terminal");
    let told = world.told(|world| {
        let Redriven::UniqueConflict(holder) = redrive(world, first) else { panic!() };
        assert_eq!(holder, second);
    });
    assert_eq!((told, world.state(first)), (vec![], TaskState::Failed));
    cancel(&mut world, second);
    assert!(matches!(redrive(&mut world, first), Redriven::Done(_)));
    assert_eq!(submit(&mut world, "k", UniqueUntil::Terminal), (first, false));
    cancel(&mut world, first);
    assert!(is_free(&mut world, "k"));
}

pub(super) fn a_submit_that_is_sent_again_finds_the_task_that_it_made<R: Rig>() {
    let mut world = World::<R>::new();
    let command = world.submit_command("t", unique("k", UniqueUntil::Terminal));
    assert!(matches!(world.apply(command.clone()), Submitted::Accepted { .. }));
    let Submitted::Replayed(record) = world.apply(command.clone()) else { panic!() };
    assert_eq!(record.id, command.task.id);
}

pub(super) fn an_idempotency_key_names_the_task_that_was_found_by_its_unique_key<R: Rig>() {
    let mut world = World::<R>::new();
    let (first, _) = submit(&mut world, "k", UniqueUntil::Terminal);
    let key = Some(IdempotencyKey { hash: [1; 32], fingerprint: [1; 32], ttl_ms: DAY_MS });
    let keyed = |world: &mut World<R>| SubmitTask {
        key,
        ..world.submit_command("t", unique("k", UniqueUntil::Terminal))
    };
    let command = keyed(&mut world);
    assert!(matches!(world.apply(command), Submitted::Existing(record) if record.id == first));
    cancel(&mut world, first);
    let command = keyed(&mut world);
    assert!(matches!(world.apply(command), Submitted::Replayed(record) if record.id == first));
}

pub(super) fn many_tasks_share_a_commit_and_each_has_its_answer<R: Rig>() {
    let mut world = World::<R>::new();
    let twice = unique("k", UniqueUntil::Terminal);
    let tasks = vec![
        world.submit_command("one", |_| {}),
        world.submit_command("two", &twice),
        world.submit_command("three", |task| task.agent_id = Some(domain::AgentId::from_raw(4_711))),
        world.submit_command("four", &twice),
        world.submit_command("five", |_| {}),
    ];
    let ids: Vec<_> = tasks.iter().map(|command| command.task.id).collect();
    let answers = world.apply(SubmitMany { tasks });
    let [one, two, three, four, five] = &answers[..] else { panic!("{answers:?}") };
    for (answer, id) in [(one, ids[0]), (two, ids[1]), (five, ids[4])] {
        assert!(matches!(answer, Submitted::Accepted { record, .. } if record.id == id));
    }
    assert!(matches!(three, Submitted::UnknownAgent));
    assert!(matches!(four, Submitted::Existing(record) if record.id == ids[1]), "the bulk sees itself");
    let agent = world.agent("ada");
    let claimed = world.claim(world.task(ids[0]).lane, agent, 9);
    assert_eq!(claimed.iter().map(|claimed| claimed.task).collect::<Vec<_>>(), [ids[0], ids[1], ids[4]]);
    world.finish(ids[0], 1, success());
}
