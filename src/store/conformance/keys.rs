//! Idempotency keys.

use domain::{NewTask, OnConflict, TaskState, Unique, UniqueUntil};

use super::Rig;
use super::world::{World, success};
use crate::command::{Chore, IdempotencyKey, RegisterAgent, SubmitTask};
use crate::outcome::{Outcome, Registered, Submitted};

const HOUR_MS: u64 = 3_600_000;

fn key(hash: u8, fingerprint: u8) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { hash: [hash; 32], fingerprint: [fingerprint; 32], ttl_ms: HOUR_MS })
}

fn keyed<R: Rig>(world: &mut World<R>, key: Option<IdempotencyKey>) -> SubmitTask {
    SubmitTask { key, ..world.submit_command("keyed", |_| {}) }
}

pub(super) fn the_same_request_gets_the_same_task<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let first = keyed(&mut world, key(1, 1));
    let Submitted::Accepted { record, .. } = world.apply(first) else { panic!() };
    world.claim(record.lane, agent, 1);
    let second = keyed(&mut world, key(1, 1));
    let told = world.told(|world| {
        let Submitted::Replayed(replayed) = world.apply(second) else { panic!() };
        assert_eq!((replayed.id, replayed.status.state), (record.id, TaskState::Working), "as it stands now");
    });
    assert_eq!(told, []);
    let other = keyed(&mut world, key(2, 1));
    assert!(matches!(world.apply(other), Submitted::Accepted { .. }), "another key is another request");
}

pub(super) fn without_room_only_what_came_before_is_answered<R: Rig>() {
    let mut world = World::<R>::new();
    let unique = |task: &mut NewTask| {
        let (key, until) = ("u".into(), UniqueUntil::Terminal);
        task.unique = Some(Unique { key, until, on_conflict: OnConflict::ReturnExisting });
    };
    let first = SubmitTask { key: key(1, 1), ..world.submit_command("t", unique) };
    let Submitted::Accepted { record, .. } = world.apply(first) else { panic!() };
    let full = |submit: SubmitTask| SubmitTask { has_room: false, ..submit };
    let told = world.told(|world| {
        let again = full(keyed(world, key(1, 1)));
        assert!(matches!(world.apply(again), Submitted::Replayed(there) if there.id == record.id));
        let same = full(world.submit_command("t", unique));
        assert!(matches!(world.apply(same), Submitted::Existing(there) if there.id == record.id));
        let other_body = full(keyed(world, key(1, 2)));
        assert!(matches!(world.apply(other_body), Submitted::KeyMismatch));
        let new = full(keyed(world, key(2, 2)));
        assert!(matches!(world.apply(new), Submitted::QueueFull));
    });
    assert_eq!(told, [], "nothing was stored");
    let new = keyed(&mut world, key(2, 3));
    assert!(matches!(world.apply(new), Submitted::Accepted { .. }), "the key of a refused one is free");
}

pub(super) fn another_body_under_the_same_key_is_a_mismatch<R: Rig>() {
    let mut world = World::<R>::new();
    let (first, second) = (keyed(&mut world, key(1, 1)), keyed(&mut world, key(1, 2)));
    world.apply(first);
    assert!(matches!(world.apply(second), Submitted::KeyMismatch));
}

pub(super) fn keys_of_one_batch_see_each_other<R: Rig>() {
    let mut world = World::<R>::new();
    let commands = [keyed(&mut world, key(1, 1)), keyed(&mut world, key(1, 1)), keyed(&mut world, key(1, 3))];
    let id = commands[0].task.id;
    let outcomes = world.batch(&commands.map(Into::into)).outcomes;
    assert!(matches!(&outcomes[0], Ok(Outcome::Submitted(Submitted::Accepted { .. }))));
    let Ok(Outcome::Submitted(Submitted::Replayed(replayed))) = &outcomes[1] else { panic!() };
    assert_eq!(replayed.id, id);
    assert!(matches!(&outcomes[2], Ok(Outcome::Submitted(Submitted::KeyMismatch))));
}

pub(super) fn a_key_whose_time_is_over_is_new<R: Rig>() {
    let mut world = World::<R>::new();
    let first = keyed(&mut world, key(1, 1));
    world.apply(first);
    world.wait_ms(HOUR_MS - 1);
    let second = keyed(&mut world, key(1, 1));
    assert!(matches!(world.apply(second), Submitted::Replayed(_)));
    world.wait_ms(1);
    let third = keyed(&mut world, key(1, 9));
    let id = third.task.id;
    assert!(matches!(world.apply(third), Submitted::Accepted { .. }));
    let fourth = keyed(&mut world, key(1, 9));
    let Submitted::Replayed(replayed) = world.apply(fourth) else { panic!() };
    assert_eq!(replayed.id, id, "the key names the new task now");
}

pub(super) fn a_key_whose_task_is_gone_is_new<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let first = SubmitTask { eager: Some(agent), ..keyed(&mut world, key(1, 1)) };
    let id = first.task.id;
    world.apply(first);
    world.finish(id, 1, success());
    world.wait_ms(1_000);
    let before = world.now();
    assert_eq!(world.sweep(Chore::RetireTasks(before)).count, 1);
    let second = keyed(&mut world, key(1, 1));
    assert!(matches!(world.apply(second), Submitted::Accepted { .. }));
}

pub(super) fn a_registration_is_guarded_too<R: Rig>() {
    let mut world = World::<R>::new();
    let Registered::Accepted(agent) = world.agent_with("ada", |_| {}) else { panic!() };
    let register = |id, called: &str, key| {
        let mut agent = domain::Agent { id, ..*agent.clone() };
        agent.asked.name = called.parse().unwrap();
        RegisterAgent { agent, key, correlation_id: "r".into() }
    };
    let (one, two) = (domain::AgentId::from_raw(world.next_id()), domain::AgentId::from_raw(world.next_id()));
    assert!(matches!(world.apply(register(one, "bob", key(1, 1))), Registered::Accepted(_)));
    let Registered::Replayed(replayed) = world.apply(register(two, "bob", key(1, 1))) else { panic!() };
    assert_eq!(replayed.id, one);
    assert!(matches!(world.apply(register(two, "bob", key(1, 2))), Registered::KeyMismatch));
    assert!(matches!(world.apply(register(two, "bob", None)), Registered::NameTaken));
    let Registered::Replayed(replayed) = world.apply(register(one, "bob", None)) else { panic!() };
    assert_eq!(replayed.id, one, "the same command again");
    let submit = keyed(&mut world, key(1, 1));
    assert!(
        matches!(world.apply(submit), Submitted::Accepted { .. }),
        "tasks and agents have keys of their own"
    );
}

pub(super) fn keys_are_swept_when_their_time_is_over<R: Rig>() {
    let mut world = World::<R>::new();
    let first = keyed(&mut world, key(1, 1));
    world.apply(first);
    world.wait_ms(1_000);
    let second = keyed(&mut world, key(2, 1));
    world.apply(second);
    assert_eq!(world.sweep(Chore::RetireKeys).count, 0);
    world.wait_ms(HOUR_MS - 1_000);
    let swept = world.sweep(Chore::RetireKeys);
    assert_eq!((swept.count, swept.next_at), (1, Some(world.now().plus_ms(1_000))));
    let again = keyed(&mut world, key(2, 1));
    assert!(matches!(world.apply(again), Submitted::Replayed(_)));
}
