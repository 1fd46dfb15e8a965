//! API keys.

use domain::limits::API_KEYS_MAX;
use domain::{ApiKey, ApiKeyId, EventKind, Role, TenantId, Timestamp};

use super::Rig;
use super::world::{ME, World, name};
use crate::command::{AgentEdit, CreateApiKey, IdempotencyKey, RemoveApiKey};
use crate::outcome::{ApiKeyCreated, ApiKeyRemoved, Outcome};

const HOUR_MS: u64 = 3_600_000;

fn create<R: Rig>(world: &mut World<R>, called: &str, ask: impl FnOnce(&mut ApiKey)) -> CreateApiKey {
    let id = world.next_id();
    let mut sha256 = [7; 32];
    sha256[..8].copy_from_slice(&id.to_be_bytes());
    let mut key = ApiKey {
        id: ApiKeyId::from_raw(id),
        tenant: ME,
        name: name(called),
        role: Role::Developer,
        agent: None,
        sha256,
        prefix: "hive_abcdef".into(),
        created_at: Timestamp::ZERO,
        created_by: "tester".into(),
        expires_at: None,
    };
    ask(&mut key);
    CreateApiKey { key, guard: None, correlation_id: "req-5".into() }
}

fn made<R: Rig>(world: &mut World<R>, called: &str) -> ApiKey {
    let command = create(world, called, |_| {});
    let ApiKeyCreated::Accepted(key) = world.apply(command) else { panic!() };
    *key
}

fn remove<R: Rig>(world: &mut World<R>, tenant: TenantId, id: ApiKeyId) -> ApiKeyRemoved {
    world.apply(RemoveApiKey { tenant, id, correlation_id: "req-6".into() })
}

pub(super) fn a_key_is_kept_as_it_was_made_and_told_of_without_its_hash<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let command = create(&mut world, "worker", |key| {
        key.role = Role::Agent;
        key.agent = Some(agent);
        key.expires_at = Some(Timestamp::from_micros(9));
    });
    let expected = ApiKey { created_at: world.now(), ..command.key.clone() };
    assert_eq!(world.apply(command), ApiKeyCreated::Accepted(Box::new(expected.clone())));
    let other = made(&mut world, "ci");
    world.rig.reopen();
    assert_eq!(world.ask(|readers| readers.api_keys(ME)), [expected.clone(), other.clone()]);
    assert_eq!(world.ask(|readers| readers.all_api_keys()), [expected.clone(), other]);
    let event = &world.events[1];
    assert_eq!((event.kind, event.agent), (EventKind::AuthKeyCreated, None));
    assert_eq!(&*event.data, format!(r#"{{"id":"{}","name":"worker","role":"agent"}}"#, expected.id));
    assert_eq!(&*event.correlation_id, "req-5");
}

pub(super) fn one_key_a_name<R: Rig>() {
    let mut world = World::<R>::new();
    made(&mut world, "ci");
    let second = create(&mut world, "ci", |_| {});
    let told = world.told(|world| assert_eq!(world.apply(second), ApiKeyCreated::NameTaken));
    assert_eq!(told, []);
    let elsewhere = create(&mut world, "ci", |key| key.tenant = TenantId(2));
    assert!(
        matches!(world.apply(elsewhere), ApiKeyCreated::Accepted(_)),
        "another tenant's names are its own"
    );
}

pub(super) fn a_key_for_an_agent_needs_that_agent<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    world.change_agent(agent, AgentEdit::Remove);
    let command = create(&mut world, "worker", |key| {
        key.role = Role::Agent;
        key.agent = Some(agent);
    });
    assert_eq!(world.apply(command), ApiKeyCreated::UnknownAgent);
}

pub(super) fn a_tenant_has_no_more_keys_than_it_may<R: Rig>() {
    let mut world = World::<R>::new();
    let commands: Vec<_> =
        (0..=API_KEYS_MAX).map(|n| create(&mut world, &format!("k{n}"), |_| {}).into()).collect();
    let mut outcomes = world.batch(&commands).outcomes;
    assert!(matches!(outcomes.pop(), Some(Ok(Outcome::ApiKeyCreated(ApiKeyCreated::TooMany)))));
    let is_accepted = |outcome: &_| matches!(outcome, Ok(Outcome::ApiKeyCreated(ApiKeyCreated::Accepted(_))));
    assert!(outcomes.iter().all(is_accepted));
    let keys = world.ask(|readers| readers.api_keys(ME));
    assert_eq!(keys.len(), 1_000);
    let elsewhere = create(&mut world, "one", |key| key.tenant = TenantId(2));
    assert!(matches!(world.apply(elsewhere), ApiKeyCreated::Accepted(_)), "it is a limit of each tenant");
    remove(&mut world, ME, keys[0].id);
    made(&mut world, "again");
}

pub(super) fn a_removed_key_is_gone_and_its_name_is_free<R: Rig>() {
    let mut world = World::<R>::new();
    let key = made(&mut world, "ci");
    assert_eq!(remove(&mut world, ME, key.id), ApiKeyRemoved::Done(Box::new(key.clone())));
    let event = world.events.last().unwrap();
    assert_eq!((event.kind, &*event.correlation_id), (EventKind::AuthKeyRemoved, "req-6"));
    assert_eq!(world.ask(|readers| readers.api_keys(ME)), []);
    let told = world.told(|world| assert_eq!(remove(world, ME, key.id), ApiKeyRemoved::NotFound));
    assert_eq!(told, []);
    made(&mut world, "ci");
}

pub(super) fn another_tenants_key_is_not_found<R: Rig>() {
    let mut world = World::<R>::new();
    let key = made(&mut world, "ci");
    assert_eq!(remove(&mut world, TenantId(2), key.id), ApiKeyRemoved::NotFound);
    assert_eq!(world.ask(|readers| readers.api_keys(TenantId(2))), []);
    assert_eq!(world.ask(|readers| readers.api_keys(ME)), [key]);
}

pub(super) fn the_same_request_makes_one_key<R: Rig>() {
    let mut world = World::<R>::new();
    let guard =
        |fingerprint| Some(IdempotencyKey { hash: [1; 32], fingerprint: [fingerprint; 32], ttl_ms: HOUR_MS });
    let first = CreateApiKey { guard: guard(1), ..create(&mut world, "ci", |_| {}) };
    let again = CreateApiKey { guard: guard(1), ..create(&mut world, "ci", |_| {}) };
    let other = CreateApiKey { guard: guard(2), ..create(&mut world, "other", |_| {}) };
    let ApiKeyCreated::Accepted(key) = world.apply(first) else { panic!() };
    let told = world.told(|world| {
        assert_eq!(world.apply(again), ApiKeyCreated::Replayed(key.clone()), "with the hash of the first");
        assert_eq!(world.apply(other), ApiKeyCreated::KeyMismatch);
    });
    assert_eq!(told, []);
    let task = world.submit_command("t", |_| {});
    let task = crate::command::SubmitTask { key: guard(1), ..task };
    assert!(
        matches!(world.apply(task), crate::outcome::Submitted::Accepted { .. }),
        "what guards a task guards no key"
    );
}

pub(super) fn a_command_that_comes_again_is_answered_as_the_first_time<R: Rig>() {
    let mut world = World::<R>::new();
    let command = create(&mut world, "ci", |_| {});
    let first = world.apply(command.clone());
    world.wait_ms(1);
    let told = world.told(|world| assert_eq!(world.apply(command), first));
    assert_eq!(told, []);
}

pub(super) fn the_id_of_a_removed_key_does_not_come_again<R: Rig>() {
    let mut world = World::<R>::new();
    let key = made(&mut world, "ci");
    world.rig.reopen();
    assert_eq!(world.rig.highest_id(), key.id.raw());
    remove(&mut world, ME, key.id);
    world.rig.reopen();
    assert_eq!(world.rig.highest_id(), key.id.raw());
}
