//! The coordinator's counts, step by step.

use domain::{Health, Link, Move, NewAgent, Timestamp};

use super::*;

const LANE: LaneId = LaneId(1);
const BACKLOG: Origin = Origin { lane: LANE, head: Some(5) };
const EAGER: Origin = Origin { lane: LANE, head: None };

fn agent(id: i64, capacity: u32) -> Arc<Agent> {
    Arc::new(Agent {
        id: AgentId::from_raw(id),
        tenant: TenantId::DEFAULT,
        asked: NewAgent {
            name: format!("agent-{id}").parse().unwrap(),
            role: "worker".parse().unwrap(),
            capabilities: Default::default(),
            capacity,
            labels: Default::default(),
            link: Link::Worker,
        },
        is_draining: false,
        health: Health::Active,
        created_at: Timestamp::ZERO,
    })
}

fn spec() -> Arc<LaneSpec> {
    let queue = "default".parse().unwrap();
    Arc::new(LaneSpec { tenant: TenantId::DEFAULT, queue, requires: Default::default(), pinned: None })
}

fn event(task: i64, attempt: u32, from: Option<TaskState>, to: TaskState) -> Event {
    Event {
        seq: 1,
        at: Timestamp::ZERO,
        tenant: TenantId::DEFAULT,
        kind: EventKind::TaskSubmitted,
        task: Some(TaskId::from_raw(task)),
        agent: (attempt > 0).then_some(AgentId::from_raw(1)),
        attempt: (attempt > 0).then_some(attempt),
        lane: Some(LANE),
        priority: Some(5),
        correlation_id: "c".into(),
        moved: Some(Move { from, to, priority_from: None }),
        data: "{}".into(),
    }
}

fn submitted(task: i64) -> Event {
    event(task, 0, None, TaskState::Queued)
}

fn started(task: i64, attempt: u32) -> Event {
    event(task, attempt, Some(TaskState::Queued), TaskState::Working)
}

fn ended(task: i64, attempt: u32) -> Event {
    event(task, attempt, Some(TaskState::Working), TaskState::Completed)
}

/// One lane, one agent with room for two.
fn books() -> Books {
    let mut books = Books::default();
    books.learn_lane(LANE, &spec(), &QueueFigures::default());
    books.put_agent(&agent(1, 2));
    books
}

fn stored(is_paused: bool, concurrency_limit: Option<u32>) -> QueueRecord {
    QueueRecord { tenant: TenantId::DEFAULT, name: spec().queue.clone(), is_paused, concurrency_limit }
}

/// A plan, and what of it is behind which ends.
type Planned = (Claim, Vec<(TaskId, u32)>);

fn claimed(claims: &[Planned]) -> u32 {
    claims.iter().map(|(claim, _)| claim.count).sum()
}

#[test]
fn a_planned_slot_is_not_planned_again_before_its_claim_is_back() {
    let mut books = books();
    for task in 1..=5 {
        books.fold(&submitted(task));
    }
    let me = AgentId::from_raw(1);
    books.offer(me, 9, 0);
    let claims = books.plan(0, 100);
    assert_eq!(claimed(&claims), 2, "no more than its capacity");
    assert_eq!(claimed(&books.plan(1, 100)), 0, "while they are on their way");

    books.settle(
        me,
        BACKLOG,
        2,
        [(TaskId::from_raw(1), 1, Timestamp::ZERO), (TaskId::from_raw(2), 1, Timestamp::ZERO)].into_iter(),
    );
    books.fold(&started(1, 1));
    books.fold(&started(2, 1));
    books.offer(me, 7, 1);
    assert_eq!(claimed(&books.plan(2, 100)), 0, "it holds as much as it may");
    assert_eq!(books.fold(&ended(1, 1)), Effect::Ended(TaskId::from_raw(1), 1));
    assert_eq!(claimed(&books.plan(3, 100)), 1);
}

#[test]
fn a_plan_looks_at_those_who_can_take_something_and_at_nobody_who_waits_for_other_work() {
    let mut books = Books::default();
    let me = AgentId::from_raw(1);
    let mine = Arc::new(LaneSpec { pinned: Some(me), ..LaneSpec::clone(&spec()) });
    books.learn_lane(LANE, &mine, &QueueFigures::default());
    for id in 1..=9 {
        books.put_agent(&agent(id, 2));
    }
    for id in 2..=9 {
        books.offer(AgentId::from_raw(id), 2, 0);
    }
    for task in 1..=3 {
        books.fold(&submitted(task));
    }
    let looked_at = |books: &Books| {
        let agents = &books.lanes[&LANE].agents;
        let lane = LaneQueue { lane: LANE, queue: 0, waiting: [0; PRIORITIES], agents };
        books.free_agents(&[lane]).len()
    };
    assert_eq!((looked_at(&books), books.plan(0, 100)), (0, Vec::new()));
    books.offer(me, 2, 0);
    assert_eq!(looked_at(&books), 1);
    let claims = books.plan(1, 100);
    assert_eq!(claims.iter().map(|(claim, _)| (claim.agent, claim.count)).collect::<Vec<_>>(), [(me, 2)]);
}

#[test]
fn an_offer_from_before_the_last_delivery_is_ignored() {
    let mut books = books();
    let me = AgentId::from_raw(1);
    books.fold(&submitted(1));
    books.offer(me, 1, 0);
    assert_eq!(claimed(&books.plan(0, 100)), 1);
    books.settle(me, BACKLOG, 1, std::iter::empty());
    books.offer(me, 1, 0);
    assert_eq!(claimed(&books.plan(1, 100)), 0, "that call has been answered");
    books.offer(me, 1, 1);
    assert_eq!(claimed(&books.plan(2, 100)), 1);
}

#[test]
fn a_draining_agent_and_a_paused_queue_get_nothing() {
    let mut books = books();
    let me = AgentId::from_raw(1);
    books.fold(&submitted(1));
    books.offer(me, 1, 0);
    books.set_queues(&[stored(true, None)]);
    assert_eq!(claimed(&books.plan(0, 100)), 0);
    assert_eq!(books.eager_agent(&spec()), None);
    books.set_queues(&[]);
    books.put_agent(&Arc::new(Agent { is_draining: true, ..Agent::clone(&agent(1, 2)) }));
    assert_eq!(claimed(&books.plan(1, 100)), 0);
    books.put_agent(&agent(1, 2));
    assert_eq!(claimed(&books.plan(2, 100)), 1);
}

#[test]
fn a_queue_with_a_limit_counts_what_is_held_what_is_on_its_way_and_what_was_claimed_at_its_submit() {
    let (mut books, me) = (Books::default(), AgentId::from_raw(1));
    books.learn_lane(LANE, &spec(), &QueueFigures::default());
    books.put_agent(&agent(1, 9));
    books.set_queues(&[stored(false, Some(2))]);
    books.offer(me, 9, 0);
    assert_eq!(books.eager_agent(&spec()), Some((EAGER, me)));
    books.reserve(me, EAGER, 1);
    for task in 2..=5 {
        books.fold(&submitted(task));
    }
    assert_eq!(claimed(&books.plan(0, 100)), 1, "one is claimed at its submit, one more has room");
    assert_eq!(claimed(&books.plan(1, 100)), 0);

    books.settle(me, EAGER, 1, [(TaskId::from_raw(1), 1, Timestamp::ZERO)].into_iter());
    books.fold(&event(1, 1, None, TaskState::Working));
    books.settle(me, BACKLOG, 1, [(TaskId::from_raw(2), 1, Timestamp::ZERO)].into_iter());
    books.fold(&started(2, 1));
    books.offer(me, 7, 2);
    assert_eq!(claimed(&books.plan(2, 100)), 0, "two are held");
    books.fold(&ended(1, 1));
    assert_eq!(claimed(&books.plan(3, 100)), 1, "one has ended");
    books.unreserve(me, BACKLOG, 1);
    books.set_queues(&[stored(false, Some(1))]);
    assert_eq!(claimed(&books.plan(4, 100)), 0, "a lower limit ends nothing and begins nothing");
    books.set_queues(&[stored(false, None)]);
    assert_eq!(claimed(&books.plan(5, 100)), 3, "no limit");
}

#[test]
fn a_queue_with_a_limit_knows_after_a_restart_what_is_held() {
    let mut books = Books::default();
    let waiting = QueueFigures { by_priority: [0, 0, 0, 0, 0, 4, 0, 0, 0, 0], ..QueueFigures::default() };
    books.learn_lane(LANE, &spec(), &waiting);
    books.take_up(&[lease(1), lease(2)]);
    books.set_queues(&[stored(false, Some(3))]);
    books.put_agent(&agent(1, 9));
    books.offer(AgentId::from_raw(1), 9, 0);
    assert_eq!(claimed(&books.plan(0, 100)), 1);
}

fn lease(task: i64) -> LeaseRecord {
    LeaseRecord {
        task: TaskId::from_raw(task),
        attempt: 1,
        lane: LANE,
        agent: AgentId::from_raw(1),
        started_at: Timestamp::ZERO,
        lease_expires_at: Timestamp::MAX,
        lease_ttl_ms: 1,
        is_cancel_requested: false,
    }
}

#[test]
fn a_task_is_claimed_at_its_submit_only_when_nothing_waits_before_it_and_a_slot_is_free() {
    let mut books = books();
    let me = AgentId::from_raw(1);
    assert_eq!(books.eager_agent(&spec()), None, "nobody asked for work");
    books.offer(me, 1, 0);
    assert_eq!(books.eager_agent(&spec()), Some((EAGER, me)));
    books.reserve(me, EAGER, 1);
    assert_eq!(books.eager_agent(&spec()), None, "its slot is taken");
    books.unreserve(me, EAGER, 1);
    books.fold(&submitted(1));
    assert_eq!(books.eager_agent(&spec()), None, "one waits before it");
}

#[test]
fn late_news_of_an_old_attempt_do_not_release_a_new_one() {
    let mut books = books();
    let me = AgentId::from_raw(1);
    books.settle(me, EAGER, 1, [(TaskId::from_raw(1), 2, Timestamp::ZERO)].into_iter());
    books.fold(&ended(1, 1));
    books.fold(&started(1, 2));
    books.offer(me, 9, 1);
    for task in 2..=5 {
        books.fold(&submitted(task));
    }
    assert_eq!(claimed(&books.plan(0, 100)), 1, "one of two slots is held");
    books.unreserve(me, BACKLOG, 1);
    books.fold(&ended(1, 2));
    assert_eq!(claimed(&books.plan(1, 100)), 2);
}

#[test]
fn an_agent_that_comes_back_finds_what_it_holds_counted() {
    let mut books = Books::default();
    books.learn_lane(LANE, &spec(), &QueueFigures::default());
    books.take_up(&[lease(1)]);
    books.put_agent(&agent(1, 2));
    books.fold(&submitted(2));
    books.fold(&submitted(3));
    books.offer(AgentId::from_raw(1), 5, 0);
    assert_eq!(claimed(&books.plan(0, 100)), 1);
}

#[test]
fn waiting_tasks_of_a_queue_are_counted_over_delay_claim_and_end() {
    let mut books = books();
    let queue = spec().queue.clone();
    books.fold(&event(1, 0, None, TaskState::Scheduled));
    books.fold(&submitted(2));
    assert_eq!(books.waiting_in(TenantId::DEFAULT, &queue), 2);
    books.fold(&event(1, 0, Some(TaskState::Scheduled), TaskState::Queued));
    assert_eq!(books.waiting_in(TenantId::DEFAULT, &queue), 2);
    books.fold(&started(1, 1));
    books.fold(&event(2, 0, Some(TaskState::Queued), TaskState::Canceled));
    assert_eq!(books.waiting_in(TenantId::DEFAULT, &queue), 0);
}

#[test]
fn a_claim_that_overtakes_its_event_is_not_planned_a_second_time() {
    let mut books = books();
    let (me, other) = (AgentId::from_raw(1), AgentId::from_raw(2));
    books.put_agent(&agent(2, 2));
    books.fold(&submitted(1));
    books.offer(me, 1, 0);
    assert_eq!(claimed(&books.plan(0, 100)), 1);
    books.settle(me, BACKLOG, 1, [(TaskId::from_raw(1), 1, Timestamp::ZERO)].into_iter());
    books.offer(other, 1, 0);
    assert_eq!(claimed(&books.plan(1, 100)), 0, "the task is taken, though its event is not folded yet");
    books.fold(&started(1, 1));
    assert_eq!(claimed(&books.plan(2, 100)), 0);
    books.fold(&submitted(2));
    assert_eq!(claimed(&books.plan(3, 100)), 1, "and nothing stays reserved");
}

#[test]
fn the_slot_of_an_attempt_whose_end_is_under_way_is_claimed_behind_it_once() {
    let mut books = books();
    let me = AgentId::from_raw(1);
    for task in 1..=5 {
        books.fold(&submitted(task));
    }
    books.offer(me, 4, 0);
    assert_eq!(claimed(&books.plan(0, 100)), 2);
    books.settle(me, BACKLOG, 2, [1, 2].into_iter().map(|task| (TaskId::from_raw(task), 1, Timestamp::ZERO)));
    for task in 1..=2 {
        books.fold(&started(task, 1));
    }
    let (first, second) = (TaskId::from_raw(1), TaskId::from_raw(2));
    assert!(!books.ends(first, 2), "another attempt");
    assert_eq!((claimed(&books.plan(1, 100)), books.ending(me)), (0, vec![]));
    assert!(books.ends(first, 1));
    assert_eq!(books.eager_agent(&spec()), None);
    let behind_it = books.plan(2, 100);
    assert_eq!((claimed(&behind_it), &behind_it[0].1), (1, &vec![(first, 1)]));
    assert_eq!(claimed(&books.plan(3, 100)), 0, "it is planned");
    books.fold(&ended(1, 1));
    assert_eq!(
        (claimed(&books.plan(4, 100)), books.ending(me)),
        (0, vec![]),
        "and stays so when the end is told"
    );
    books.settle(me, BACKLOG, 1, std::iter::once((TaskId::from_raw(3), 1, Timestamp::ZERO)));
    // An end that is none: what was claimed behind it comes back with nothing.
    books.offer(me, 1, 2);
    assert!(books.ends(second, 1));
    assert_eq!(claimed(&books.plan(5, 100)), 1);
    books.settle(me, BACKLOG, 1, std::iter::empty());
    books.does_not_end(second, 1);
    books.offer(me, 1, 3);
    assert_eq!((claimed(&books.plan(6, 100)), books.ending(me)), (0, vec![]));
}

#[test]
fn a_submit_is_not_given_to_a_slot_that_is_only_about_to_be_free() {
    let mut books = books();
    let me = AgentId::from_raw(1);
    books.offer(me, 3, 0);
    for task in 1..=2 {
        books.fold(&submitted(task));
        books.fold(&started(task, 1));
    }
    books.ends(TaskId::from_raw(1), 1);
    assert_eq!(books.eager_agent(&spec()), None);
    books.fold(&ended(1, 1));
    assert!(books.eager_agent(&spec()).is_some());
}
