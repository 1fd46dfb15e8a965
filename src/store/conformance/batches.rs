//! Batches: order, isolation, repetition, restart.

use std::sync::Arc;

use domain::{EventKind, TaskState};

use super::Rig;
use super::world::{LEASE_MS, ME, World, name, success};
use crate::command::{CancelTask, ClaimTasks, Command, FinishAttempt, PatchTask, RecordSystemEvent};
use crate::error::WriteError;
use crate::outcome::{Canceled, Finished, Outcome, Patched, Submitted};

pub(super) fn a_batch_is_applied_in_order_and_its_events_have_no_gap<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let lane = world.submit("0").lane;
    let commands: Vec<Command> = (1..=50)
        .map(|n| world.submit_command(&n.to_string(), |_| {}).into())
        .chain([ClaimTasks {
            lane,
            priority: 5,
            count: 60,
            agent,
            lease_ttl_ms: LEASE_MS,
            behind: Vec::new(),
        }
        .into()])
        .collect();
    let committed = world.batch(&commands);
    let Some(Ok(Outcome::Claimed(claimed))) = committed.outcomes.last() else { panic!() };
    let titles: Vec<_> = claimed.iter().map(|task| task.title.parse::<u32>().unwrap()).collect();
    assert_eq!(titles, (0..=50).collect::<Vec<_>>(), "the claim sees the submits before it");
    assert_eq!(committed.events.len(), 50 + 51);
    let stored = world.ask(|readers| readers.events_raw(0, 1_000));
    assert_eq!(stored, world.events, "what is told is what is stored");
}

pub(super) fn two_commands_for_one_task_in_one_batch_see_each_other<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let submit = world.submit_command("t", |_| {});
    let task = submit.task.id;
    let correlation_id: Arc<str> = "r".into();
    let finish = FinishAttempt {
        task,
        attempt: 1,
        report: success(),
        workspace: None,
        chance: 0.0,
        correlation_id: correlation_id.clone(),
        reporter: None,
    };
    let patch = PatchTask {
        tenant: ME,
        task,
        priority: Some(7),
        labels: None,
        correlation_id: correlation_id.clone(),
    };
    let cancel = CancelTask { tenant: ME, task, force: true, grace_ms: 0, correlation_id };
    let eager = crate::command::SubmitTask { eager: Some(agent), ..submit };
    let outcomes = world
        .batch(&[eager.into(), patch.into(), finish.clone().into(), finish.into(), cancel.into()])
        .outcomes;
    assert!(matches!(&outcomes[0], Ok(Outcome::Submitted(Submitted::Accepted { claimed: Some(_), .. }))));
    assert!(matches!(&outcomes[1], Ok(Outcome::Patched(Patched::Done(_)))));
    assert!(matches!(&outcomes[2], Ok(Outcome::Finished(Finished::Done { state: TaskState::Completed }))));
    assert!(matches!(
        &outcomes[3],
        Ok(Outcome::Finished(Finished::Repeated { state: TaskState::Completed }))
    ));
    assert!(matches!(&outcomes[4], Ok(Outcome::Canceled(Canceled::Conflict(TaskState::Completed)))));
}

pub(super) fn only_the_poison_command_is_refused<R: Rig>() {
    let mut world = World::<R>::new();
    world.rig.refuse_title("poison");
    let commands: Vec<Command> = ["a", "poison", "b", "poison", "c"]
        .iter()
        .map(|title| world.submit_command(title, |_| {}).into())
        .collect();
    let committed = world.batch(&commands);
    let refused: Vec<_> =
        committed.outcomes.iter().map(|outcome| matches!(outcome, Err(WriteError::Refused(_)))).collect();
    assert_eq!(refused, [false, true, false, true, false]);
    assert_eq!(committed.events.len(), 3, "a refused command tells of nothing");
    let page = world.ask(|readers| readers.tasks(ME, Default::default(), None, 10));
    let titles: Vec<_> = page.items.iter().map(|task| task.title.as_str()).collect();
    assert_eq!(titles, ["c", "b", "a"]);
    assert_eq!(world.ask(|readers| readers.events_raw(0, 100)), world.events);
    world.submit("afterwards");
}

pub(super) fn an_event_that_cannot_be_stored_is_its_commands_fault<R: Rig>() {
    let mut world = World::<R>::new();
    world.rig.refuse_event("cursed");
    let cursed = world.submit_command("t", |task| task.queue = name("cursed")).into();
    let fine = world.submit_command("t", |_| {}).into();
    let committed = world.batch(&[cursed, fine]);
    assert!(matches!(&committed.outcomes[0], Err(WriteError::Refused(_))));
    assert!(matches!(&committed.outcomes[1], Ok(Outcome::Submitted(Submitted::Accepted { .. }))));
    assert_eq!(world.ask(|readers| readers.events_raw(0, 100)), world.events);
}

pub(super) fn a_lane_of_a_refused_command_can_be_interned_again<R: Rig>() {
    let mut world = World::<R>::new();
    world.rig.refuse_title("poison");
    let lonely =
        |world: &mut World<R>, title: &str| world.submit_command(title, |task| task.queue = name("lonely"));
    let poison = lonely(&mut world, "poison");
    assert!(matches!(world.try_apply(poison), Err(WriteError::Refused(_))));
    assert!(world.lanes.is_empty());
    assert!(world.ask(|readers| readers.lanes()).is_empty());
    let fine = lonely(&mut world, "fine");
    let Submitted::Accepted { record, .. } = world.apply(fine) else { panic!() };
    assert_eq!(world.lanes[0].0, record.lane);
    assert_eq!(world.ask(|readers| readers.lanes())[0].0, record.lane);
}

pub(super) fn a_batch_that_comes_again_changes_nothing<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let finish = FinishAttempt {
        task: claimed.task,
        attempt: 1,
        report: success(),
        workspace: None,
        chance: 0.0,
        correlation_id: "r".into(),
        reporter: None,
    };
    let batch: Vec<Command> = vec![
        world.submit_command("t", |_| {}).into(),
        finish.into(),
        CancelTask { tenant: ME, task: claimed.task, force: false, grace_ms: 0, correlation_id: "r".into() }
            .into(),
    ];
    world.batch(&batch);
    let (census, last) = (world.ask(|readers| readers.census()), world.events.len());
    world.batch(&batch);
    assert_eq!(world.events.len(), last);
    assert_eq!(world.ask(|readers| readers.census()), census);
}

pub(super) fn a_restart_keeps_everything<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    let queued = world.submit("t");
    let before = (world.task(claimed.task), world.task(queued.id), world.ask(|readers| readers.census()));
    let lanes = world.ask(|readers| readers.lanes());
    world.rig.reopen();
    let after = (world.task(claimed.task), world.task(queued.id), world.ask(|readers| readers.census()));
    assert_eq!(after, before);
    assert_eq!(world.ask(|readers| readers.lanes()), lanes);
    assert_eq!(world.ask(|readers| readers.events_raw(0, 100)), world.events);
    let again = world.submit("u");
    assert_eq!(again.lane, queued.lane, "known lanes are known again");
    assert_eq!(world.lanes.len(), 1);
    assert_eq!(world.finish(claimed.task, 1, success()), Finished::Done { state: TaskState::Completed });
}

pub(super) fn a_system_event_must_be_a_small_object<R: Rig>() {
    let mut world = World::<R>::new();
    let event = |data: &str| RecordSystemEvent { kind: EventKind::SystemStarted, data: data.into() };
    world.apply(event(r#"{"version":"1"}"#));
    assert_eq!(&*world.events.last().unwrap().data, r#"{"version":"1"}"#);
    for bad in ["", "[]", "{", &format!(r#"{{"x":"{}"}}"#, "y".repeat(512))] {
        assert!(matches!(world.try_apply(event(bad)), Err(WriteError::Refused(_))), "{bad}");
    }
    assert_eq!(world.ask(|readers| readers.events_raw(0, 9)), world.events);
}
