//! Readers.

use std::collections::BTreeSet;

use domain::{NewTask, Start, TaskId, TaskState, TenantId};

use super::Rig;
use super::world::{LEASE_MS, ME, World, failure, name, success};
use crate::record::{TaskFilter, TaskPage};

/// All pages of a list, `limit` tasks each.
fn listed<R: Rig>(world: &World<R>, filter: &TaskFilter, limit: u32) -> Vec<TaskId> {
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let page = world.ask(|readers| readers.tasks(ME, filter.clone(), before, limit));
        assert!(page.items.len() <= usize::try_from(limit).unwrap());
        ids.extend(page.items.iter().map(|task| task.id));
        before = page.next_before;
        if before.is_none() {
            return ids;
        }
    }
}

fn queue(word: &str) -> impl FnOnce(&mut NewTask) {
    let queue = name(word);
    move |task| task.queue = queue
}

pub(super) fn a_list_is_newest_first_and_pages_without_gap_or_repeat<R: Rig>() {
    let mut world = World::<R>::new();
    let mut ids: Vec<_> = (0..45).map(|n| world.submit_with("t", |task| task.priority = n % 10).id).collect();
    ids.reverse();
    for limit in [1, 7, 45, 100] {
        assert_eq!(listed(&world, &TaskFilter::default(), limit), ids);
        let queued = TaskFilter { state: Some(TaskState::Queued), ..TaskFilter::default() };
        assert_eq!(listed(&world, &queued, limit), ids, "merged over priorities");
    }
    let page = world.ask(|readers| readers.tasks(ME, TaskFilter::default(), None, 45));
    assert_eq!(page.next_before, None, "a last page that is full has no next one");
    assert_eq!(
        world.ask(|readers| readers.tasks(ME, TaskFilter::default(), None, 44)).next_before,
        Some(ids[43])
    );
}

pub(super) fn a_list_by_state_and_queue_shows_just_those<R: Rig>() {
    let mut world = World::<R>::new();
    let mut expected = Vec::new();
    for round in 0..4 {
        for word in ["a", "b"] {
            let queued = world.submit_with("queued", queue(word));
            let requires = BTreeSet::from([name("gpu")]);
            let other_lane = world.submit_with("queued too", |task| {
                task.queue = name(word);
                task.requires = requires;
            });
            let delayed = world.submit_with("delayed", |task| {
                task.queue = name(word);
                task.start = Start::After(1_000);
            });
            let claimed = world.working_with(&format!("agent-{word}-{round}"), queue(word));
            let done = world.working_with(&format!("done-{word}-{round}"), queue(word));
            world.finish(done.task, 1, success());
            expected.extend([
                (word, TaskState::Queued, queued.id),
                (word, TaskState::Queued, other_lane.id),
                (word, TaskState::Scheduled, delayed.id),
                (word, TaskState::Working, claimed.task),
                (word, TaskState::Completed, done.task),
            ]);
        }
    }
    expected.reverse();
    let all = |state: Option<TaskState>, word: Option<&str>| -> Vec<TaskId> {
        let fits = |row: &&(&str, TaskState, TaskId)| {
            state.is_none_or(|state| row.1 == state) && word.is_none_or(|word| row.0 == word)
        };
        expected.iter().filter(fits).map(|row| row.2).collect()
    };
    for state in TaskState::ALL.map(Some).into_iter().chain([None]) {
        for word in [Some("a"), Some("b"), Some("nowhere"), None] {
            let filter = TaskFilter { state, queue: word.map(name), ..TaskFilter::default() };
            assert_eq!(listed(&world, &filter, 3), all(state, word), "{state:?} {word:?}");
        }
    }
}

pub(super) fn other_filters_narrow_a_list<R: Rig>() {
    let mut world = World::<R>::new();
    let plain = world.submit("plain");
    world.wait_ms(1_000);
    let marked = world.submit_with("marked", |task| {
        task.kind = Some(name("review"));
        task.labels = [(name("team"), "blue".into()), (name("x"), "1".into())].into();
    });
    let held = world.working("ada");
    let any = TaskFilter::default;
    let label = |key: &str, value: &str| (name(key), value.to_owned());
    for (filter, expected) in [
        (TaskFilter { kind: Some(name("review")), ..any() }, vec![marked.id]),
        (TaskFilter { labels: vec![label("team", "blue")], ..any() }, vec![marked.id]),
        (TaskFilter { labels: vec![label("team", "blue"), label("x", "2")], ..any() }, vec![]),
        (TaskFilter { agent: Some(held.agent), ..any() }, vec![held.task]),
        (TaskFilter { created_after: Some(plain.created_at), ..any() }, vec![held.task, marked.id]),
        (TaskFilter { created_before: Some(marked.created_at), ..any() }, vec![plain.id]),
        (TaskFilter { state: Some(TaskState::Queued), kind: Some(name("review")), ..any() }, vec![marked.id]),
    ] {
        assert_eq!(listed(&world, &filter, 10), expected, "{filter:?}");
    }
}

pub(super) fn a_long_list_with_a_rare_filter_goes_on_by_its_cursor<R: Rig>() {
    let mut world = World::<R>::new();
    let rare = world.submit_with("rare", |task| task.kind = Some(name("rare"))).id;
    let commands: Vec<_> = (0..10_050).map(|_| world.submit_command("t", |_| {}).into()).collect();
    for chunk in commands.chunks(2_000) {
        world.batch(chunk);
    }
    let filter = TaskFilter { kind: Some(name("rare")), ..TaskFilter::default() };
    let first = world.ask(|readers| readers.tasks(ME, filter.clone(), None, 10));
    assert!(first.items.is_empty() && first.next_before.is_some(), "it stops looking after 10,000");
    let second = world.ask(|readers| readers.tasks(ME, filter, first.next_before, 10));
    assert_eq!((second.items.len(), second.items[0].id, second.next_before), (1, rare, None));
}

pub(super) fn more_urgent_and_older_tasks_of_a_lane_are_ahead_counted_up_to_a_limit<R: Rig>() {
    let mut world = World::<R>::new();
    let mut submit = |priority, word: &str| {
        world.submit_with("t", |task| {
            task.priority = priority;
            task.queue = name(word);
        })
    };
    submit(5, "q");
    submit(9, "q");
    submit(9, "other");
    let asked = submit(5, "q");
    submit(5, "q");
    submit(4, "q");
    let lane = world.ask(|readers| readers.task(ME, asked.id)).unwrap().record.lane;
    let ahead = |max| world.ask(|readers| readers.ahead(lane, 5, asked.id, max));
    assert_eq!((ahead(10), ahead(2), ahead(1)), (2, 2, 1));
}

pub(super) fn another_tenant_sees_nothing<R: Rig>() {
    let mut world = World::<R>::new();
    let id = world.submit("mine").id;
    let other = TenantId(2);
    assert_eq!(world.ask(|readers| readers.task(other, id)), None);
    assert_eq!(world.ask(|readers| readers.attempts(other, id, u32::MAX, 9)), None);
    let nothing = TaskPage { items: vec![], next_before: None };
    for state in [None, Some(TaskState::Queued)] {
        let filter = TaskFilter { state, ..TaskFilter::default() };
        assert_eq!(world.ask(|readers| readers.tasks(other, filter, None, 9)), nothing);
    }
}

pub(super) fn readers_see_what_is_committed_from_two_connections_at_once<R: Rig>() {
    let mut world = World::<R>::new();
    let ids: Vec<_> = (0..20).map(|_| world.submit("t").id).collect();
    let found = world.runtime().block_on(async {
        let ask = |id| world.rig.readers().task(ME, id);
        futures_join(ids.iter().map(|id| ask(*id))).await
    });
    let found: Vec<_> = found.into_iter().map(|answer| answer.unwrap().unwrap().record.id).collect();
    assert_eq!(found, ids);
    let connections = &world.rig.metrics().reader_connections;
    let count = |state| connections.with_label_values(&[state]).get();
    assert_eq!(count("busy"), 0);
    assert!(
        (1..=4).contains(&count("idle")),
        "as many as were needed at a time, and no more than there may be"
    );
    let id = world.submit("later").id;
    assert_eq!(world.state(id), TaskState::Queued, "and what is committed next, too");
    assert!(world.ask(|readers| readers.ping()).as_secs() < 5);
}

/// Polls all until each is done; several are under way at a time.
async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, answer) in &mut pinned {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *answer = Some(value),
                    std::task::Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pinned.into_iter().filter_map(|(_, answer)| answer).collect()
}

pub(super) fn attempts_show_the_past_and_the_present_one<R: Rig>() {
    let mut world = World::<R>::new();
    let claimed = world.working("ada");
    world.wait_ms(10);
    world.finish(claimed.task, 1, failure());
    world.wait_ms(60_000);
    world.sweep(crate::command::Chore::StageDue);
    let lane = world.task(claimed.task).lane;
    world.claim(lane, claimed.agent, 1);
    let attempts = world.ask(|readers| readers.attempts(ME, claimed.task, u32::MAX, 9)).unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [2, 1]);
    let part = |before, limit| {
        let part = world.ask(|readers| readers.attempts(ME, claimed.task, before, limit)).unwrap();
        part.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>()
    };
    assert_eq!((part(3, 1), part(2, 9), part(1, 9), part(3, 0)), (vec![2], vec![1], vec![], vec![]));
    assert_eq!(world.ask(|readers| readers.state(ME, claimed.task)), Some(TaskState::Working));
    assert_eq!(world.ask(|readers| readers.state(TenantId(2), claimed.task)), None);
    let [present, past] = &attempts[..] else { panic!() };
    assert_eq!(past.outcome, Some(domain::Outcome::Failed));
    assert_eq!(past.ended_at, Some(claimed.started_at.plus_ms(10)));
    assert_eq!(past.started_at, claimed.started_at);
    assert_eq!((present.ended_at, present.outcome), (None, None));
    assert_eq!((present.started_at, present.agent), (world.now(), Some(claimed.agent)));
    let fresh = world.submit("fresh").id;
    assert_eq!(world.ask(|readers| readers.attempts(ME, fresh, u32::MAX, 9)), Some(vec![]));
}

pub(super) fn working_leases_are_listed_for_a_start<R: Rig>() {
    let mut world = World::<R>::new();
    let one = world.working("ada");
    world.wait_ms(5);
    let two = world.working("bob");
    world.submit("waits");
    world.rig.reopen();
    let leases = world.ask(|readers| readers.leases());
    assert_eq!(leases.iter().map(|lease| lease.task).collect::<Vec<_>>(), [one.task, two.task]);
    assert_eq!((leases[1].agent, leases[1].attempt), (two.agent, 1));
    assert_eq!((leases[1].lease_expires_at, leases[1].lease_ttl_ms), (two.lease_expires_at, LEASE_MS));
    assert_eq!((leases[1].started_at, leases[1].is_cancel_requested), (two.started_at, false));
}

pub(super) fn a_reader_cannot_write<R: Rig>() {
    let mut world = World::<R>::new();
    world.submit("t");
    world.ask(|readers| readers.ping());
    assert!(!world.rig.may_reader_write());
}
