//! A client: submits tasks, mostly under a key, and asks again with the same key until it is answered.

use std::sync::Arc;

use domain::{AgentId, Backoff, NewTask, Start, TaskId, Timeouts};
use runtime::RuntimeHandle;
use store::outcome::Submitted;

use super::{QUEUES, SKILL, caller, key, name};
use crate::network::{Line, Unanswered};

/// Says what it wants, task by task.
pub async fn live(mut line: Line, agents: Vec<AgentId>) {
    for number in 0..line.world.script.tasks_of_client {
        let think_ms = line.world.script.think_ms;
        line.idle(0, think_ms).await;
        let task = task(&mut line, number, &agents);
        let is_keyed = line.chance.once_in_a_while(850);
        let word = format!("{} task {number}", line.who);
        let mut accepted = None;
        for _ in 0..40 {
            accepted = submit(&mut line, &task, is_keyed.then_some(&word)).await;
            // Without a key nobody knows whether it is safe to ask again.
            if accepted.is_some() || !is_keyed {
                break;
            }
            line.idle(20, 2_000).await;
        }
        if accepted.is_some() && is_keyed && line.chance.once_in_a_while(150) {
            line.idle(0, 3_000).await;
            submit(&mut line, &task, Some(&word)).await;
        }
    }
    line.world.clients_left.set(line.world.clients_left.get() - 1);
}

/// Fills every slot of the agents: as many tasks as they have room for, each for one of them.
pub async fn fill(line: &mut Line, agents: &[(AgentId, u32)]) {
    for (agent, capacity) in agents {
        for number in 0..*capacity {
            let mut task = NewTask::titled("house", name(QUEUES[0]));
            task.agent_id = Some(*agent);
            let word = format!("house {agent} {number}");
            while submit(line, &task, Some(&word)).await.is_none() {
                line.idle(20, 500).await;
            }
        }
    }
}

fn task(line: &mut Line, number: u64, agents: &[AgentId]) -> NewTask {
    let chance = &mut line.chance;
    let queue = chance.pick(&QUEUES).copied().unwrap_or("default");
    let mut task = NewTask::titled(format!("{} {number}", line.who), name(queue));
    task.input = Some(Arc::from(format!("{number}")));
    task.priority = u8::try_from(chance.between(3, 6)).unwrap_or(5);
    if chance.once_in_a_while(200) {
        task.requires = [name(SKILL)].into();
    } else if chance.once_in_a_while(150) {
        task.agent_id = chance.pick(agents).copied();
    }
    if chance.once_in_a_while(200) {
        task.start = Start::After(chance.between(1, 8_000));
    }
    task.attempts_max = u32::try_from(chance.between(1, 4)).unwrap_or(1);
    task.backoff = Backoff { initial_ms: chance.between(100, 3_000), ..Backoff::default() };
    let mut some = |permille: u64, least: u64, most: u64| {
        chance.once_in_a_while(permille).then(|| chance.between(least, most))
    };
    task.timeouts = Timeouts {
        schedule_to_start_ms: some(80, 5_000, 40_000),
        start_to_close_ms: some(150, 3_000, 20_000),
        heartbeat_ms: some(200, 1_000, 5_000),
        schedule_to_close_ms: some(80, 10_000, 60_000),
    };
    task
}

async fn submit(line: &mut Line, task: &NewTask, word: Option<&String>) -> Option<TaskId> {
    let (caller, task, key) = (caller(&line.who), task.clone(), word.map(|word| key(word, 7)));
    let ask = move |hive: RuntimeHandle| {
        let (caller, task) = (caller.clone(), task.clone());
        async move { hive.submit(&caller, task, key).await }
    };
    let world = std::rc::Rc::clone(&line.world);
    let what = word.map_or_else(|| "submit".to_owned(), |word| format!("submit {word}"));
    match line.call(&what, None, ask).await {
        Ok(Submitted::Accepted { record, .. } | Submitted::Replayed(record)) => {
            let kept = world.promises.borrow_mut().accepted(word.map(String::as_str), record.id);
            if let Err(broken) = kept {
                world.breach(broken);
            }
            Some(record.id)
        }
        Ok(other) => {
            world.breach(format_args!("{what} is answered {other:?}"));
            None
        }
        Err(Unanswered) => None,
    }
}
