//! The operator: cancels, puts back, pauses and drains, and changes limits and priorities.

use std::rc::Rc;

use domain::{AgentId, TaskId, TaskState};
use runtime::RuntimeHandle;
use store::command::{AgentEdit, QueueEdit};
use store::outcome::{AgentChange, Redriven};

use super::{QUEUES, caller, name};
use crate::network::Line;
use crate::world::World;

/// Who causes trouble, and leaves with it.
pub const OPERATOR: &str = "operator";

/// Does something every now and then, until the troubles are over.
pub async fn live(mut line: Line, agents: Vec<AgentId>) {
    let every_ms = line.world.script.operator_ms.unwrap_or(10_000);
    loop {
        line.idle(every_ms / 4, every_ms).await;
        if line.world.is_calm() || line.world.has_breach() {
            return;
        }
        act(&mut line, &agents).await;
    }
}

async fn act(line: &mut Line, agents: &[AgentId]) {
    let queue = line.chance.pick(&QUEUES).copied().unwrap_or("default");
    let agent = line.chance.pick(agents).copied();
    match (line.chance.between(0, 11), agent) {
        (0 | 1, _) => cancel(line, false).await,
        (2, _) => cancel(line, true).await,
        (3, _) => change(line, queue, QueueEdit::Pause).await,
        (4 | 5, _) => change(line, queue, QueueEdit::Resume).await,
        (6, _) => {
            let limit = line.chance.once_in_a_while(700).then(|| line.chance.between(1, 4));
            change(line, queue, QueueEdit::Limit(limit.and_then(|limit| u32::try_from(limit).ok()))).await;
        }
        (7, Some(agent)) => drain(line, agent, true).await,
        (8, Some(agent)) => drain(line, agent, false).await,
        (9, Some(agent)) => begin_anew(line, agent).await,
        (10, _) => reorder(line).await,
        _ => redrive(line).await,
    }
}

/// The queue's limit, at the beginning of a run.
pub async fn limit(world: &Rc<World>) {
    let Some(limit) = world.script.limit else { return };
    let mut line = Line::new(world, OPERATOR);
    change(&mut line, QUEUES[0], QueueEdit::Limit(Some(limit))).await;
}

/// Everything that the operator did is taken back, again and again until each is answered.
pub async fn set_right(world: Rc<World>) {
    let mut line = Line::new(&world, "caretaker");
    let agents: Vec<AgentId> = world.witness.borrow().agents.keys().copied().collect();
    for agent in agents {
        drain(&mut line, agent, false).await;
    }
    for queue in QUEUES {
        change(&mut line, queue, QueueEdit::Resume).await;
        change(&mut line, queue, QueueEdit::Limit(None)).await;
    }
}

/// Once the troubles are over, only the caretaker changes anything.
fn has_left(line: &Line) -> bool {
    line.who == OPERATOR && line.world.is_calm()
}

/// Lets so many tasks of the first queue work.
pub async fn let_in(line: &mut Line, most: u32) {
    change(line, QUEUES[0], QueueEdit::Limit(Some(most))).await;
}

async fn change(line: &mut Line, queue: &'static str, edit: QueueEdit) {
    let who = caller(&line.who);
    for _ in 0..40 {
        let who = who.clone();
        let ask = move |hive: RuntimeHandle| {
            let who = who.clone();
            async move { hive.change_queue(&who, name(queue), edit).await }
        };
        let is_changed = line.call(&format!("queue {queue} {edit:?}"), None, ask).await.is_ok();
        if is_changed || has_left(line) {
            return;
        }
        line.idle(100, 1_000).await;
    }
}

async fn drain(line: &mut Line, agent: AgentId, is_draining: bool) {
    let who = caller(&line.who);
    for _ in 0..40 {
        let who = who.clone();
        let ask = move |hive: RuntimeHandle| {
            let who = who.clone();
            async move { hive.change_agent(&who, agent, AgentEdit::Drain(is_draining)).await }
        };
        match line.call(&format!("drain {agent} {is_draining}"), None, ask).await {
            Ok(AgentChange::Done(_)) => return,
            Ok(other) => return line.world.breach(format_args!("{agent} is there and is {other:?}")),
            Err(_) if has_left(line) => return,
            Err(_) => line.idle(100, 1_000).await,
        }
    }
}

async fn begin_anew(line: &mut Line, agent: AgentId) {
    let who = caller(&line.who);
    let ask = move |hive: RuntimeHandle| {
        let who = who.clone();
        async move { hive.restart_agent(&who, agent).await }
    };
    let _ = line.call(&format!("restart {agent}"), None, ask).await;
}

fn any(line: &mut Line, states: &[TaskState]) -> Option<TaskId> {
    let world = Rc::clone(&line.world);
    let witness = world.witness.borrow();
    let tasks: Vec<TaskId> = states.iter().flat_map(|state| witness.in_state(*state)).collect();
    line.chance.pick(&tasks).copied()
}

async fn cancel(line: &mut Line, force: bool) {
    let Some(task) = any(line, &[TaskState::Scheduled, TaskState::Queued, TaskState::Working]) else {
        return;
    };
    let who = caller(&line.who);
    let ask = move |hive: RuntimeHandle| {
        let who = who.clone();
        async move { hive.cancel(&who, task, force).await }
    };
    let _ = line.call(&format!("cancel {task} {force}"), None, ask).await;
}

async fn reorder(line: &mut Line) {
    let Some(task) = any(line, &[TaskState::Scheduled, TaskState::Queued, TaskState::Working]) else {
        return;
    };
    let (who, priority) = (caller(&line.who), u8::try_from(line.chance.between(0, 9)).ok());
    let ask = move |hive: RuntimeHandle| {
        let who = who.clone();
        async move { hive.patch_task(&who, task, priority, None).await }
    };
    let _ = line.call(&format!("priority {task} {priority:?}"), None, ask).await;
}

async fn redrive(line: &mut Line) {
    let Some(task) = any(line, &[TaskState::Failed]) else { return };
    let who = caller(&line.who);
    let ask = move |hive: RuntimeHandle| {
        let who = who.clone();
        async move { hive.redrive(&who, task).await }
    };
    if let Ok(Redriven::NotFound) = line.call(&format!("redrive {task}"), None, ask).await {
        line.world.breach(format_args!("{task} failed and is not known"));
    }
}
