//! Random histories: the counts in the tables equal the fold of the events, whatever happened.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::task::CRASHES_MAX;
use domain::{Event, EventKind, OnConflict, Start, TaskId, TaskState, Timeouts, Unique, UniqueUntil};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Rig;
use super::world::{LEASE_MS, ME, World, failure, handed_back, name, success, timed_out};
use crate::command::{
    AgentEdit, AppendOutput, CancelTask, ChangeAgent, ChangeQueue, Chore, ClaimTasks, Command, FinishAttempt,
    GraceLeases, IdempotencyKey, PatchTask, QueueEdit, RedriveTask, RenewLease, SubmitMany, SubmitTask,
    Sweep,
};
use crate::readers::Census;

/// One step; numbers pick among what is there.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Submit {
        priority: u8,
        delay_ms: u64,
        eager: Option<usize>,
        timeouts: usize,
        key: Option<u8>,
        unique: Option<(u8, usize)>,
    },
    /// Many in one command, some of which share a unique key.
    SubmitMany {
        count: u8,
    },
    Claim {
        agent: usize,
        priority: u8,
        count: u32,
    },
    Finish {
        task: usize,
        attempt: u32,
        report: usize,
    },
    Renew {
        task: usize,
        attempt: u32,
    },
    Cancel {
        task: usize,
        force: bool,
    },
    Redrive {
        task: usize,
    },
    Patch {
        task: usize,
        priority: u8,
        label: Option<u8>,
    },
    Output {
        task: usize,
        attempt: u32,
        text: String,
    },
    Queue {
        edit: QueueEdit,
    },
    Grace {
        ttl_ms: u64,
    },
    Drain {
        agent: usize,
        is_draining: bool,
    },
    Sweep {
        chore: usize,
        limit: u32,
    },
    Wait {
        ms: u64,
    },
    Reopen,
}

/// A change of a queue.
fn edit() -> impl Strategy<Value = QueueEdit> {
    let limit = prop::option::of(1u32..4).prop_map(QueueEdit::Limit);
    prop_oneof![Just(QueueEdit::Pause), Just(QueueEdit::Resume), limit]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let (task, agent, attempt) = (0usize..12, 0usize..3, 1u32..5);
    prop_oneof![
        4 => (4u8..6, prop_oneof![Just(0u64), Just(50)], prop::option::of(0usize..3), 0usize..4, prop::option::of(0u8..4), prop::option::of((0u8..3, 0usize..3)))
            .prop_map(|(priority, delay_ms, eager, timeouts, key, unique)| Step::Submit { priority, delay_ms, eager, timeouts, key, unique }),
        1 => (1u8..6).prop_map(|count| Step::SubmitMany { count }),
        4 => (agent.clone(), 4u8..6, 0u32..4).prop_map(|(agent, priority, count)| Step::Claim { agent, priority, count }),
        6 => (task.clone(), attempt.clone(), 0usize..5)
            .prop_map(|(task, attempt, report)| Step::Finish { task, attempt, report }),
        1 => (task.clone(), attempt.clone()).prop_map(|(task, attempt)| Step::Renew { task, attempt }),
        1 => (task.clone(), attempt, "[a-zä]{0,8}")
            .prop_map(|(task, attempt, text)| Step::Output { task, attempt, text }),
        1 => edit().prop_map(|edit| Step::Queue { edit }),
        1 => (1u64..2_000).prop_map(|ttl_ms| Step::Grace { ttl_ms }),
        1 => (task.clone(), any::<bool>()).prop_map(|(task, force)| Step::Cancel { task, force }),
        1 => task.clone().prop_map(|task| Step::Redrive { task }),
        1 => (task, 4u8..6, prop::option::of(0u8..3))
            .prop_map(|(task, priority, label)| Step::Patch { task, priority, label }),
        1 => (agent, any::<bool>()).prop_map(|(agent, is_draining)| Step::Drain { agent, is_draining }),
        5 => (0usize..6, 1u32..4).prop_map(|(chore, limit)| Step::Sweep { chore, limit }),
        2 => (1u64..2_000).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Wait { ms: LEASE_MS }),
        1 => Just(Step::Reopen),
    ]
}

pub(super) fn any_history_keeps_the_counts_equal_to_the_fold_of_its_events<R: Rig>() {
    let config = Config { cases: R::HISTORIES, failure_persistence: None, ..Config::default() };
    // A history is a list of batches.
    let history = prop::collection::vec(prop::collection::vec(step(), 1..6), 1..40);
    TestRunner::new(config)
        .run(&history, |history| {
            play::<R>(&history);
            Ok(())
        })
        .unwrap();
}

fn play<R: Rig>(history: &[Vec<Step>]) {
    let mut world = World::<R>::new();
    let agents = [world.agent("a"), world.process("b"), world.process("c")];
    let mut tasks = vec![world.submit("first").id];
    let lane = world.lanes[0].0;
    for batch in history {
        let mut commands = Vec::new();
        for step in batch {
            match command(&mut world, &mut tasks, agents, lane, step) {
                Some(command) => commands.push(command),
                None => {
                    world.batch(&std::mem::take(&mut commands));
                    match step {
                        Step::Wait { ms } => world.wait_ms(*ms),
                        _ => world.rig.reopen(),
                    }
                }
            }
        }
        world.batch(&commands);
        world.wait_ms(1);
    }
    check(&world);
}

/// The command of a step; `None` for a step that is not one.
pub(super) fn command<R: Rig>(
    world: &mut World<R>,
    tasks: &mut Vec<TaskId>,
    agents: [domain::AgentId; 3],
    lane: domain::LaneId,
    step: &Step,
) -> Option<Command> {
    let correlation_id: std::sync::Arc<str> = "r".into();
    Some(match step {
        Step::Submit { .. } | Step::SubmitMany { .. } => submit(world, tasks, agents, step)?,
        Step::Claim { agent, priority, count } => {
            let (agent, count, priority) = (agents[*agent], *count, *priority);
            // Some of them work, and some have ended.
            let behind = tasks.iter().rev().take(2).map(|task| (*task, 1)).collect();
            ClaimTasks { lane, priority, count, agent, lease_ttl_ms: LEASE_MS, behind }.into()
        }
        Step::Finish { task: index, .. }
        | Step::Renew { task: index, .. }
        | Step::Output { task: index, .. }
        | Step::Cancel { task: index, .. }
        | Step::Redrive { task: index }
        | Step::Patch { task: index, .. } => about(tasks[index % tasks.len()], step)?,
        Step::Queue { edit } => {
            ChangeQueue { tenant: ME, queue: name("q"), edit: *edit, correlation_id }.into()
        }
        Step::Grace { ttl_ms } => GraceLeases { ttl_ms: *ttl_ms }.into(),
        Step::Drain { agent, is_draining } => {
            let change = AgentEdit::Drain(*is_draining);
            ChangeAgent { tenant: ME, agent: agents[*agent], change, correlation_id }.into()
        }
        Step::Sweep { chore, limit } => {
            let retires = Chore::RetireTasks(world.now().minus_ms(60_000));
            let chores = [
                Chore::StageDue,
                Chore::ReapLeases,
                Chore::ExpireWaiting,
                retires,
                Chore::EndCrashed,
                Chore::RetireKeys,
            ];
            Sweep { chore: chores[*chore], limit: *limit, chance: 0.5 }.into()
        }
        Step::Wait { .. } | Step::Reopen => return None,
    })
}

/// The command of a step that makes tasks.
fn submit<R: Rig>(
    world: &mut World<R>,
    tasks: &mut Vec<TaskId>,
    agents: [domain::AgentId; 3],
    step: &Step,
) -> Option<Command> {
    match step {
        Step::Submit { priority, delay_ms, eager, timeouts, key, unique } => {
            let mut submit = world.submit_command("t", |task| {
                task.priority = *priority;
                task.start = Start::After(*delay_ms);
                task.attempts_max = 2;
                task.timeouts = timeouts_of(*timeouts);
                task.unique = unique.map(unique_of);
            });
            submit.eager = eager.map(|index| agents[index]);
            // Every queue of those that have two keys is full.
            submit.has_room = *key != Some(2) || unique.is_none();
            submit.key =
                key.map(|key| IdempotencyKey { hash: [key; 32], fingerprint: [0; 32], ttl_ms: 3_000 });
            tasks.push(submit.task.id);
            Some(SubmitTask::into(submit))
        }
        Step::SubmitMany { count } => {
            let submits = (0..*count).map(|n| {
                let unique = (n % 2 == 0).then_some((0, usize::from(n % 3)));
                world.submit_command("one of many", |task| task.unique = unique.map(unique_of))
            });
            let submits: Vec<_> = submits.collect();
            tasks.extend(submits.iter().map(|submit| submit.task.id));
            Some(SubmitMany { tasks: submits }.into())
        }
        _ => None,
    }
}

/// The command of a step about one task.
fn about(task: TaskId, step: &Step) -> Option<Command> {
    let correlation_id: std::sync::Arc<str> = "r".into();
    Some(match step {
        Step::Finish { attempt, report, .. } => {
            let report = match report {
                0 | 1 => success(),
                2 => failure(),
                3 => timed_out(),
                _ => handed_back(),
            };
            let (attempt, workspace, reporter) = (*attempt, None, None);
            FinishAttempt { task, attempt, report, workspace, chance: 0.5, correlation_id, reporter }.into()
        }
        Step::Renew { attempt, .. } => RenewLease { task, attempt: *attempt, reporter: None }.into(),
        Step::Cancel { force, .. } => {
            CancelTask { tenant: ME, task, force: *force, grace_ms: 500, correlation_id }.into()
        }
        Step::Redrive { .. } => RedriveTask { tenant: ME, task, correlation_id }.into(),
        Step::Patch { priority, label, .. } => {
            let labels = label.map(|label| [(name("label"), label.to_string())].into());
            PatchTask { tenant: ME, task, priority: Some(*priority), labels, correlation_id }.into()
        }
        Step::Output { attempt, text, .. } => AppendOutput {
            task,
            attempt: *attempt,
            text: text.as_str().into(),
            bytes_max: 12,
            follows_cut: text.len() == 3,
            after_bytes: None,
            reporter: None,
        }
        .into(),
        _ => return None,
    })
}

fn unique_of((key, until): (u8, usize)) -> Unique {
    let until = match until {
        0 => UniqueUntil::Terminal,
        1 => UniqueUntil::For(1_500),
        _ => UniqueUntil::Forever,
    };
    let on_conflict = if key == 0 { OnConflict::ReturnExisting } else { OnConflict::Reject };
    Unique { key: format!("k{key}"), until, on_conflict }
}

fn timeouts_of(kind: usize) -> Timeouts {
    let none = Timeouts::default();
    match kind {
        0 => Timeouts { schedule_to_start_ms: Some(900), ..none },
        1 => Timeouts { start_to_close_ms: Some(700), heartbeat_ms: Some(1_000), ..none },
        2 => Timeouts { schedule_to_close_ms: Some(2_500), ..none },
        _ => none,
    }
}

/// What a reader of the log counts.
#[derive(Debug, Default)]
struct Fold {
    counts: BTreeMap<(domain::LaneId, TaskState, u8), i64>,
    working: BTreeMap<domain::AgentId, i64>,
    retired: HashMap<&'static str, i64>,
    states: HashMap<TaskId, (TaskState, u32)>,
    completed: HashSet<TaskId>,
    crashes: HashMap<TaskId, u32>,
}

impl Fold {
    fn add(&mut self, event: &Event) {
        if event.kind == EventKind::SystemTasksRetired {
            let data: HashMap<String, i64> = serde_json::from_str(&event.data).unwrap();
            for state in [TaskState::Completed, TaskState::Failed, TaskState::Canceled] {
                *self.retired.entry(state.as_str()).or_default() += data[state.as_str()];
            }
        }
        let (Some(task), Some(moved)) = (event.task, event.moved) else { return };
        let (lane, priority) = (event.lane.unwrap(), event.priority.unwrap());
        let known = self.states.get(&task).copied();
        assert_eq!(
            known.map(|known| known.0),
            moved.from,
            "an event moves its task from where it is: {event:?}"
        );
        let attempt = known.map_or(0, |known| known.1);
        let now = event.attempt.unwrap_or(attempt);
        assert!(now >= attempt, "attempts only grow: {event:?}");
        self.states.insert(task, (moved.to, now));
        if let Some(from) = moved.from {
            *self.counts.entry((lane, from, moved.priority_from.unwrap_or(priority))).or_default() -= 1;
        }
        *self.counts.entry((lane, moved.to, priority)).or_default() += 1;
        if moved.from == Some(TaskState::Working) {
            *self.working.entry(event.agent.unwrap()).or_default() -= 1;
        }
        if moved.to == TaskState::Working {
            *self.working.entry(event.agent.unwrap()).or_default() += 1;
        }
        if event.kind == EventKind::TaskCompleted {
            assert!(self.completed.insert(task), "completed twice: {event:?}");
        }
        if event.kind == EventKind::TaskRedriven {
            self.crashes.remove(&task);
        }
        if event.data.contains(r#""outcome":"crashed""#) {
            let crashes = self.crashes.entry(task).or_default();
            *crashes += 1;
            let is_over = *crashes == CRASHES_MAX;
            assert_eq!(moved.to, if is_over { TaskState::Failed } else { TaskState::Queued }, "{event:?}");
        }
    }
}

fn check<R: Rig>(world: &World<R>) {
    assert_eq!(world.ask(|readers| readers.events_raw(0, 100_000)), world.events);
    let census = world.ask(|readers| readers.census());
    let mut fold = Fold::default();
    for event in &world.events {
        fold.add(event);
    }
    assert_eq!(census.seq, world.events.last().map_or(0, |event| event.seq));
    let working: BTreeMap<_, _> = fold
        .working
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(agent, count)| (*agent, *count))
        .collect();
    let counted: BTreeMap<_, _> =
        census.working.iter().map(|(agent, count)| (*agent, i64::try_from(*count).unwrap())).collect();
    assert_eq!(working, counted);
    compare(&fold, &census);
    for task in fold.states.keys() {
        if let Some(detail) = world.ask(|readers| readers.task(ME, *task)) {
            let crashes = fold.crashes.get(task).copied().unwrap_or(0);
            assert_eq!(detail.record.status.crashes, crashes, "{task}");
        }
    }
}

/// Live tasks count by lane and priority; ended ones by state, less what retention removed.
fn compare(fold: &Fold, census: &Census) {
    let mut difference = fold.counts.clone();
    for (key, count) in &census.tasks {
        *difference.entry(*key).or_default() -= i64::try_from(*count).unwrap();
    }
    let mut ended: HashMap<&str, i64> = HashMap::new();
    for ((_, state, _), count) in difference.iter().filter(|(_, count)| **count != 0) {
        assert!(state.is_terminal(), "{state:?} differs by {count}: {fold:?} {census:?}");
        *ended.entry(state.as_str()).or_default() += count;
    }
    let retired: HashMap<_, _> = fold
        .retired
        .iter()
        .filter(|(_, count)| **count != 0)
        .map(|(state, count)| (*state, *count))
        .collect();
    assert_eq!(ended, retired);
}
