//! Agents take tasks.

use std::collections::{BTreeSet, HashSet};

use domain::{LaneId, NewTask, Start, TaskId, TaskState, Timeouts};

use super::Rig;
use super::world::{LEASE_MS, World, failure, handed_back, name, success};
use crate::command::{AgentEdit, Chore, ClaimTasks, FinishAttempt};
use crate::outcome::{ClaimedTask, Outcome};

fn priority(of: u8) -> impl FnOnce(&mut NewTask) {
    move |task| task.priority = of
}

pub(super) fn the_highest_priority_and_then_the_oldest_goes_first<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    for (title, of) in [("low", 1), ("first", 5), ("second", 5), ("top", 9), ("third", 5)] {
        world.submit_with(title, priority(of));
    }
    let lane = world.lanes[0].0;
    let order: Vec<_> = world.claim(lane, agent, 10).into_iter().map(|task| task.title).collect();
    assert_eq!(order, ["top", "first", "second", "third", "low"]);
}

pub(super) fn a_claim_takes_no_more_than_there_are<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let lane = world.submit("one").lane;
    world.submit("two");
    world.submit("three");
    assert_eq!(world.claim(lane, agent, 2).len(), 2);
    assert_eq!(world.claim(lane, agent, 2).len(), 1);
    assert_eq!(world.claim(lane, agent, 2).len(), 0);
}

pub(super) fn a_claim_hands_out_everything_the_agent_needs<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let record = world.submit_with("full", |task| {
        task.input = Some(r#"{"n": 1}"#.into());
        task.kind = Some(name("review"));
        task.labels = [(name("team"), "blue".into())].into();
        task.timeouts.start_to_close_ms = Some(90_000);
    });
    world.wait_ms(7);
    let claimed = world.claim(record.lane, agent, 1).remove(0);
    assert_eq!((claimed.task, claimed.attempt, claimed.agent), (record.id, 1, agent));
    assert_eq!((claimed.title.as_str(), &claimed.kind), ("full", &record.kind));
    assert_eq!((&claimed.queue, claimed.priority), (&record.queue, record.priority));
    assert_eq!(claimed.input.as_deref(), Some(r#"{"n": 1}"#));
    assert_eq!((&claimed.labels, claimed.timeouts), (&record.labels, record.timeouts));
    assert_eq!(claimed.started_at, world.now());
    assert_eq!(claimed.lease_ttl_ms, LEASE_MS);
    assert_eq!(claimed.correlation_id, record.correlation_id);
    let record = world.task(record.id);
    assert_eq!((record.status.state, record.agent), (TaskState::Working, Some(agent)));
    assert_eq!(record.started_at, Some(world.now()));
}

pub(super) fn nobody_claims_for_an_agent_that_is_gone_or_drains<R: Rig>() {
    let mut world = World::<R>::new();
    let (gone, drains) = (world.agent("gone"), world.agent("drains"));
    let lane = world.submit("t").lane;
    world.change_agent(gone, AgentEdit::Remove);
    world.change_agent(drains, AgentEdit::Drain(true));
    for agent in [gone, drains, domain::AgentId::from_raw(4_711)] {
        assert_eq!(world.claim(lane, agent, 1), []);
    }
    world.change_agent(drains, AgentEdit::Drain(false));
    assert_eq!(world.claim(lane, drains, 1).len(), 1);
}

pub(super) fn nobody_claims_what_the_agent_cannot_do<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let other = world.agent("bob");
    let lane = world.submit_with("t", |task| task.requires = BTreeSet::from([name("gpu")])).lane;
    assert_eq!(world.claim(lane, agent, 1), []);
    let patch = domain::AgentPatch {
        capabilities: Some(BTreeSet::from([name("gpu"), name("rust")])),
        ..Default::default()
    };
    world.change_agent(agent, AgentEdit::Patch { patch, seen: None });
    assert_eq!(world.claim(lane, agent, 1).len(), 1);
    let lane = world.submit_with("pinned", |task| task.agent_id = Some(agent)).lane;
    assert_eq!(world.claim(lane, other, 1), []);
    assert_eq!(world.claim(lane, agent, 1).len(), 1);
}

pub(super) fn two_claims_of_one_batch_never_share_a_task<R: Rig>() {
    let mut world = World::<R>::new();
    let (ada, bob) = (world.agent("ada"), world.agent("bob"));
    let lane = world.submit("1").lane;
    for title in ["2", "3"] {
        world.submit(title);
    }
    let claim = |agent| {
        ClaimTasks { lane, priority: 5, count: 2, agent, lease_ttl_ms: LEASE_MS, behind: Vec::new() }.into()
    };
    let committed = world.batch(&[claim(ada), claim(bob)]);
    let mut seen = HashSet::new();
    let mut counts = Vec::new();
    for outcome in committed.outcomes {
        let Ok(Outcome::Claimed(claimed)) = outcome else { panic!() };
        counts.push(claimed.len());
        assert!(claimed.iter().all(|task| seen.insert(task.task)));
    }
    assert_eq!(counts, [2, 1]);
}

pub(super) fn a_claim_behind_ends_takes_one_fewer_for_each_attempt_that_goes_on<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let held: Vec<_> = (0..3).map(|number| world.working_by(agent, &format!("{number}"), |_| {})).collect();
    let lane = world.submit("next").lane;
    for _ in 0..9 {
        world.submit("next");
    }
    let claim = |count, behind: &[&ClaimedTask]| ClaimTasks {
        lane,
        priority: 5,
        count,
        agent,
        lease_ttl_ms: LEASE_MS,
        behind: behind.iter().map(|one| (one.task, one.attempt)).collect(),
    };
    let finish = |one: &ClaimedTask, attempt| FinishAttempt {
        task: one.task,
        attempt,
        report: success(),
        workspace: None,
        chance: 0.5,
        correlation_id: "r".into(),
        reporter: None,
    };
    // In one batch: the first ends, the report of the second is of another attempt.
    let committed = world.batch(&[
        finish(&held[0], 1).into(),
        finish(&held[1], 2).into(),
        claim(2, &[&held[0], &held[1]]).into(),
    ]);
    let Ok(Outcome::Claimed(claimed)) = &committed.outcomes[2] else { panic!("{:?}", committed.outcomes) };
    assert_eq!(claimed.len(), 1);
    // In a later batch, also where no more go on than are claimed.
    assert_eq!(world.apply(claim(1, &[&held[0]])).len(), 1);
    assert_eq!(world.apply(claim(1, &[&held[1], &held[2]])), []);
    assert_eq!(world.apply(claim(3, &[&held[1], &held[2]])).len(), 1);
    // An earlier attempt of a task that works again is over, and a task that is gone holds nothing.
    world.finish(held[2].task, 1, handed_back());
    let again = world.claim(lane, agent, 10);
    assert!(again.iter().any(|one| one.task == held[2].task && one.attempt == 2), "{again:?}");
    for _ in 0..2 {
        world.submit("more");
    }
    let gone = (TaskId::from_raw(4_711), 1);
    assert_eq!(world.apply(ClaimTasks { behind: vec![gone, (held[2].task, 1)], ..claim(2, &[]) }).len(), 2);
}

pub(super) fn an_unknown_lane_has_nothing<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    assert_eq!(world.claim(LaneId(4_711), agent, 1), []);
}

pub(super) fn what_has_waited_too_long_is_not_handed_out<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let lane = world.submit_with("old", |task| task.timeouts.schedule_to_start_ms = Some(100)).lane;
    world.wait_ms(100);
    world.submit("fresh");
    let claimed = world.claim(lane, agent, 10);
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].title, "fresh");
}

pub(super) fn a_claim_says_since_when_the_task_was_ready<R: Rig>() {
    let mut world = World::<R>::new();
    let agent = world.agent("ada");
    let begun = world.now();
    let lane = world.submit_with("now", |_| {}).lane;
    world.submit_with("later", |task| task.start = Start::After(50));
    world.wait_ms(70);
    world.sweep(Chore::StageDue);
    let ready =
        |claimed: &[ClaimedTask]| claimed.iter().map(|one| one.ready_at.ms_since(begun)).collect::<Vec<_>>();
    let claimed = world.claim(lane, agent, 2);
    assert_eq!(ready(&claimed), [0, 50], "from the submit, or from when its delay was over");
    world.wait_ms(30);
    world.finish(claimed[0].task, 1, handed_back());
    world.finish(claimed[1].task, 1, failure());
    let eligible_at = world.task(claimed[1].task).eligible_at.unwrap();
    world.wait_ms(eligible_at.ms_since(world.now()) + 5);
    world.sweep(Chore::StageDue);
    assert_eq!(world.task(claimed[1].task).eligible_at, None, "people are shown when it will be ready");
    let again = ready(&world.claim(lane, agent, 2));
    assert_eq!(
        again,
        [100, eligible_at.ms_since(begun)],
        "from the hand-back, or from the end of its backoff"
    );
}

pub(super) fn a_lease_is_the_shortest_of_what_bounds_it<R: Rig>() {
    let mut world = World::<R>::new();
    let lease = |world: &mut World<R>, called: &str, timeouts: Timeouts| {
        let claimed = world.working_with(called, |task| task.timeouts = timeouts);
        (claimed.lease_ttl_ms, claimed.lease_expires_at.ms_since(world.now()))
    };
    let none = Timeouts::default();
    assert_eq!(lease(&mut world, "a", none), (LEASE_MS, LEASE_MS));
    assert_eq!(lease(&mut world, "b", Timeouts { heartbeat_ms: Some(2_000), ..none }), (2_000, 2_000));
    assert_eq!(lease(&mut world, "c", Timeouts { start_to_close_ms: Some(500), ..none }), (LEASE_MS, 500));
    assert_eq!(lease(&mut world, "d", Timeouts { schedule_to_close_ms: Some(400), ..none }), (LEASE_MS, 400));
}
