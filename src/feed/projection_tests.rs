//! The fold, case by case.

use domain::TaskId;

use super::*;

fn event(seq: i64, kind: EventKind, moved: Option<Move>) -> Event {
    Event {
        seq,
        at: Timestamp::from_micros(seq * 1_000_000),
        tenant: TenantId::DEFAULT,
        kind,
        task: Some(TaskId::from_raw(1)),
        agent: None,
        attempt: None,
        lane: Some(LaneId(7)),
        priority: Some(5),
        correlation_id: "c".into(),
        moved,
        data: "{}".into(),
    }
}

fn moved(from: Option<TaskState>, to: TaskState) -> Option<Move> {
    Some(Move { from, to, priority_from: None })
}

fn life() -> Vec<Event> {
    use TaskState::{Completed, Queued, Scheduled, Working};
    let agent = Some(AgentId::from_raw(9));
    vec![
        event(1, EventKind::TaskSubmitted, moved(None, Queued)),
        Event { agent, ..event(2, EventKind::TaskStarted, moved(Some(Queued), Working)) },
        Event { agent, ..event(3, EventKind::TaskRetrying, moved(Some(Working), Scheduled)) },
        event(4, EventKind::TaskQueued, moved(Some(Scheduled), Queued)),
        Event {
            priority: Some(8),
            ..event(
                5,
                EventKind::TaskUpdated,
                Some(Move { from: Some(Queued), to: Queued, priority_from: Some(5) }),
            )
        },
        Event { agent, priority: Some(8), ..event(6, EventKind::TaskStarted, moved(Some(Queued), Working)) },
        Event {
            agent,
            priority: Some(8),
            ..event(7, EventKind::TaskCompleted, moved(Some(Working), Completed))
        },
    ]
}

fn lane() -> Arc<LaneSpec> {
    let queue = "default".parse().unwrap();
    Arc::new(LaneSpec { tenant: TenantId::DEFAULT, queue, requires: Default::default(), pinned: None })
}

fn folded(events: &[Event]) -> Projection {
    let mut projection = Projection::default();
    projection.learn_lane(LaneId(7), lane());
    for event in events {
        projection.fold(event).unwrap();
    }
    projection
}

#[test]
fn a_task_is_counted_in_exactly_one_state_all_its_life() {
    let expected = ["queued", "working", "scheduled", "queued", "queued", "working", "completed"];
    for (count, state) in (1..).zip(expected) {
        let projection = folded(&life()[..count]);
        let totals = projection.totals();
        assert_eq!(totals.total(), 1, "after {count} events");
        let there = TaskState::ALL.into_iter().find(|state| totals.of(*state) == 1).unwrap();
        assert_eq!(there.as_str(), state, "after {count} events");
    }
}

#[test]
fn a_changed_priority_moves_the_task_between_levels() {
    let before = folded(&life()[..4]).queues(TenantId::DEFAULT)[0].1.by_priority;
    assert_eq!((before[5], before[8]), (1, 0));
    let after = folded(&life()[..5]).queues(TenantId::DEFAULT)[0].1.by_priority;
    assert_eq!((after[5], after[8]), (0, 1));
    let claimed = folded(&life()[..6]).queues(TenantId::DEFAULT)[0].1.by_priority;
    assert_eq!(claimed.iter().sum::<u64>(), 0);
}

#[test]
fn an_agents_figures_follow_its_attempts() {
    let figures = folded(&life()).agent(AgentId::from_raw(9));
    assert_eq!((figures.working, figures.completed, figures.failed), (0, 1, 1));
    assert_eq!(figures.last_activity_at, Some(Timestamp::from_micros(7_000_000)));
    assert_eq!(folded(&life()[..2]).agent(AgentId::from_raw(9)).working, 1);
}

#[test]
fn an_attempt_that_ended_with_the_hive_is_no_failure_of_its_agent() {
    let (id, end) = (AgentId::from_raw(9), r#"{"outcome":"crashed","error_kind":"crashed"}"#);
    let crashed = |kind, to| Event {
        agent: Some(id),
        data: end.into(),
        ..event(3, kind, moved(Some(TaskState::Working), to))
    };
    for (kind, to) in
        [(EventKind::TaskReleased, TaskState::Queued), (EventKind::TaskFailed, TaskState::Failed)]
    {
        let mut projection = folded(&life()[..2]);
        projection.fold(&crashed(kind, to)).unwrap();
        assert_eq!(projection.totals().of(to), 1);
        let figures = projection.agent(id);
        assert_eq!((figures.working, figures.completed, figures.failed), (0, 0, 0), "{kind:?}");
    }
    let mut projection = folded(&life()[..2]);
    let told = crashed(EventKind::TaskFailed, TaskState::Failed);
    let told = Event { data: r#"{"outcome":"failed","error_kind":"crashed"}"#.into(), ..told };
    projection.fold(&told).unwrap();
    assert_eq!(projection.agent(id).failed, 1, "an error of its own that is called so is");
}

#[test]
fn the_figures_of_a_removed_agent_go_with_its_last_attempt() {
    let agent = Some(AgentId::from_raw(9));
    let mut projection = folded(&life()[..2]);
    projection.fold(&Event { agent, task: None, ..event(3, EventKind::AgentRemoved, None) }).unwrap();
    assert_eq!(projection.agent(AgentId::from_raw(9)).working, 1, "it still holds one");
    let end = moved(Some(TaskState::Working), TaskState::Completed);
    projection.fold(&Event { agent, ..event(4, EventKind::TaskCompleted, end) }).unwrap();
    assert_eq!(projection.agent(AgentId::from_raw(9)), AgentFigures::default());
}

#[test]
fn a_gap_is_refused_and_a_repeat_changes_nothing() {
    let mut projection = folded(&life()[..3]);
    let before = projection.totals();
    assert_eq!(projection.fold(&life()[5]), Err(Gap { after: 3, found: 6 }));
    assert_eq!(projection.fold(&life()[1]), Ok(()));
    assert_eq!((projection.seq(), projection.totals()), (3, before));
}

#[test]
fn a_checkpoint_anywhere_leads_to_the_same_projection() {
    let whole = folded(&life());
    for cut in 0..life().len() {
        let bytes = serde_json::to_vec(&folded(&life()[..cut]).stored()).unwrap();
        let mut resumed = Projection::restored(serde_json::from_slice(&bytes).unwrap());
        resumed.learn_lane(LaneId(7), lane());
        for event in &life()[cut..] {
            resumed.fold(event).unwrap();
        }
        assert_eq!(resumed.totals(), whole.totals());
        assert_eq!(resumed.queues(TenantId::DEFAULT), whole.queues(TenantId::DEFAULT));
        for (name, figures) in whole.queues(TenantId::DEFAULT) {
            assert_eq!(whole.queue(TenantId::DEFAULT, &name), figures, "one by one as all together");
            assert_eq!(whole.queue(TenantId(2), &name), QueueFigures::default());
        }
        assert_eq!(resumed.agent(AgentId::from_raw(9)), whole.agent(AgentId::from_raw(9)));
    }
}

#[test]
fn retired_tasks_leave_the_totals() {
    let mut projection = folded(&life());
    let mut retired = event(8, EventKind::SystemTasksRetired, None);
    retired.data = r#"{"completed":1,"failed":0,"canceled":0}"#.into();
    projection.fold(&retired).unwrap();
    assert_eq!(projection.totals().total(), 0);
    assert_eq!(projection.queues(TenantId::DEFAULT)[0].1.counts.completed, 1, "over all the log");
}

#[test]
fn rates_are_means_over_the_minute_before_now() {
    let projection = folded(&life());
    let rates = projection.rates(Timestamp::from_micros(10_000_000));
    assert!((rates.submitted_per_second - 1.0 / 60.0).abs() < 1e-9);
    assert!((rates.started_per_second - 2.0 / 60.0).abs() < 1e-9);
    let later = projection.rates(Timestamp::from_micros(100_000_000));
    assert_eq!(later, Rates::default());
}
