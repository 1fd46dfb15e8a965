//! The hive ends without an end, and what its processes worked on goes on.

use domain::task::CRASHES_MAX;
use domain::{AttemptError, EventKind, Outcome, TaskState};

use super::Rig;
use super::world::{ME, World, failure, process, success};
use crate::command::{AgentEdit, CancelTask, Chore, RedriveTask, Sweep};
use crate::outcome::{Finished, Redriven, Registered, Swept};

pub(super) fn what_a_process_worked_on_is_queued_again_uncharged<R: Rig>() {
    let mut world = World::<R>::new();
    let outside = world.working("worker");
    let agent = world.process("inside");
    let claimed = world.working_by(agent, "t", |task| task.timeouts.schedule_to_start_ms = Some(9_000));
    let waiting = world.submit("waiting").id;
    world.rig.reopen();
    world.wait_ms(1_000);
    assert_eq!(world.sweep(Chore::EndCrashed), Swept { count: 1, next_at: None });
    let event = world.events.last().unwrap();
    assert_eq!(event.kind, EventKind::TaskReleased);
    assert_eq!((event.agent, event.attempt, &*event.correlation_id), (Some(agent), Some(1), "req-1"));
    assert_eq!(
        &*event.data,
        r#"{"from":"working","to":"queued","outcome":"crashed","error_kind":"crashed"}"#
    );
    let record = world.task(claimed.task);
    assert_eq!((record.status.state, record.lease_expires_at), (TaskState::Queued, None));
    assert_eq!((record.status.attempt, record.status.failures, record.status.crashes), (1, 0, 1));
    let error = AttemptError { kind: "crashed".into(), message: "the hive that ran it ended".into() };
    assert_eq!(record.error, Some(error.clone()));
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
    assert_eq!((attempts[0].outcome, &attempts[0].error), (Some(Outcome::Crashed), &Some(error)));
    assert_eq!((attempts[0].agent, attempts[0].ended_at), (Some(agent), Some(world.now())));
    assert_eq!(world.state(outside.task), TaskState::Working, "a worker lives outside and goes on");
    assert_eq!(world.task(waiting).status.crashes, 0);
    assert_eq!(world.finish(claimed.task, 1, success()), Finished::Stale, "what is left of it is fenced");
    // Its wait for an agent begins anew.
    world.wait_ms(8_999);
    assert_eq!(world.sweep(Chore::ExpireWaiting).count, 0);
    let again = world.claim(record.lane, agent, 9);
    assert_eq!((again[0].task, again[0].attempt), (claimed.task, 2));
}

pub(super) fn the_third_crash_makes_a_dead_letter_and_a_redrive_counts_anew<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.process("inside");
    let claimed = world.working_by(agent, "t", |task| task.attempts_max = 2);
    let lane = world.task(claimed.task).lane;
    let crash = |world: &mut World<R>| {
        assert_eq!(world.sweep(Chore::EndCrashed).count, 1);
        world.task(claimed.task).status
    };
    for crashes in 1..CRASHES_MAX {
        let status = crash(&mut world);
        assert_eq!((status.state, status.crashes), (TaskState::Queued, crashes));
        assert_eq!(world.claim(lane, agent, 1).len(), 1);
    }
    let status = crash(&mut world);
    assert_eq!((status.state, status.crashes, status.failures), (TaskState::Failed, CRASHES_MAX, 0));
    let event = world.events.last().unwrap();
    assert_eq!(event.kind, EventKind::TaskFailed);
    assert!(event.data.contains(r#""outcome":"crashed""#));
    assert_eq!(world.task(claimed.task).finished_at, Some(world.now()));
    let redrive = RedriveTask { tenant: ME, task: claimed.task, correlation_id: "r".into() };
    let Redriven::Done(record) = world.apply(redrive) else { panic!() };
    assert_eq!((record.status.state, record.status.crashes), (TaskState::Queued, 0));
    world.claim(lane, agent, 1);
    let status = crash(&mut world);
    assert_eq!((status.state, status.crashes), (TaskState::Queued, 1), "and the count is stored");
    // Other ends leave the count alone.
    let again = world.claim(lane, agent, 1).remove(0);
    world.finish(claimed.task, again.attempt, failure());
    assert_eq!(world.task(claimed.task).status.crashes, 1);
}

pub(super) fn a_crash_after_a_cancel_is_a_cancel<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.process("inside");
    let task = world.working_by(agent, "t", |_| {}).task;
    let cancel = CancelTask { tenant: ME, task, force: false, grace_ms: 5_000, correlation_id: "r".into() };
    world.apply(cancel);
    assert_eq!(world.sweep(Chore::EndCrashed).count, 1);
    let record = world.task(task);
    assert_eq!((record.status.state, record.status.crashes), (TaskState::Canceled, 0));
    assert_eq!(world.events.last().unwrap().kind, EventKind::TaskCanceled);
    let attempts = world.ask(|readers| readers.attempts(ME, task, u32::MAX, 9)).unwrap();
    assert_eq!(attempts[0].outcome, Some(Outcome::Canceled));
}

pub(super) fn a_removed_process_is_still_known_as_one_as_long_as_it_works<R: Rig>() {
    let mut world = World::<R>::new();
    let Registered::Accepted(agent) = world.agent_with("inside", |agent| agent.link = process()) else {
        panic!()
    };
    let task = world.working_by(agent.id, "t", |_| {}).task;
    world.change_agent(agent.id, AgentEdit::Remove);
    world.wait_ms(10);
    let retire = Chore::RetireTasks(world.now());
    world.sweep(retire);
    let again =
        || crate::command::RegisterAgent { agent: *agent.clone(), key: None, correlation_id: "r".into() };
    assert!(matches!(world.apply(again()), Registered::Replayed(_)), "its row is still there");
    assert_eq!(world.sweep(Chore::EndCrashed).count, 1);
    assert_eq!(world.task(task).status.crashes, 1);
    world.sweep(retire);
    assert!(matches!(world.apply(again()), Registered::Accepted(_)), "and goes afterwards");
}

pub(super) fn crashes_are_ended_in_rounds_and_are_never_due<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.process("inside");
    for title in ["a", "b", "c"] {
        world.working_by(agent, title, |_| {});
    }
    let due = |world: &World<R>| world.ask(|readers| readers.next_due(Chore::EndCrashed));
    assert_eq!(due(&world), None);
    let round = Sweep { chore: Chore::EndCrashed, limit: 2, chance: 0.0 };
    assert_eq!(world.apply(round), Swept { count: 2, next_at: None });
    assert_eq!(world.apply(round), Swept { count: 1, next_at: None });
    let told = world.told(|world| assert_eq!(world.apply(round), Swept::default()));
    assert_eq!(told, []);
}
