//! A worker: asks for assignments and works on them; sometimes it fails, gives up, vanishes, dies with all it had, or
//! sleeps through its lease and reports all the same.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use domain::{AgentId, AttemptError, Report, TaskId, TaskState};
use runtime::{Caller, Error, LeaseCall, LeaseGrant, ProgressReport, RuntimeHandle};
use store::outcome::{ClaimedTask, Finished, Renewed};

use super::caller;
use crate::network::{Line, Unanswered};
use crate::world::World;

/// Assignments as the call brings them: of each what the work needs.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub task: TaskId,
    pub attempt: u32,
    pub lease_ttl_ms: u64,
}

/// Works for an agent until the world ends.
pub async fn serve(mut line: Line, agent: AgentId) {
    // What it held in an earlier life is forgotten.
    let life = Rc::new(Cell::new(0));
    let mut count: u64 = 0;
    loop {
        let worker = line.world.script.worker.clone();
        if !line.world.is_calm() && line.chance.once_in_a_while(worker.dies) {
            life.set(life.get() + 1);
            line.world.note(&line.who, "dies with all it has");
            line.idle(100, 15_000).await;
        }
        let wait_ms = line.chance.between(0, 8_000);
        let hangs_up = !line.world.is_calm() && line.chance.once_in_a_while(worker.hangs_up);
        let hang_up_ms = hangs_up.then(|| line.chance.between(0, wait_ms));
        let max = u32::try_from(line.chance.between(1, 3)).unwrap_or(1);
        let leased = lease(&mut line, agent, (max, wait_ms), hang_up_ms).await;
        if leased.is_empty() {
            line.idle(5, 400).await;
        }
        for assignment in leased {
            count += 1;
            let mut own = Line::new(&line.world, format!("{}/{count}", line.who));
            own.chance.next();
            let (life, born) = (Rc::clone(&life), life.get());
            line.world.spawn(async move {
                work(own, assignment, &|| life.get() == born).await;
            });
        }
    }
}

async fn lease(
    line: &mut Line,
    agent: AgentId,
    (max, wait_ms): (u32, u64),
    hang_up_ms: Option<u64>,
) -> Vec<Assignment> {
    let (caller, instance) = (caller(&line.who), line.who.clone());
    let inside = Rc::clone(&line.world);
    // Half of them come as a session's.
    let is_session = wait_ms % 2 == 0;
    let ask = move |hive: RuntimeHandle| {
        let (caller, world) = (caller.clone(), Rc::clone(&inside));
        let wait = Duration::from_millis(wait_ms);
        let call = LeaseCall { max, wait, worker_instance: Some(instance.clone()) };
        async move {
            let grant = if is_session {
                over_a_session(&hive, &caller, agent, &call).await?
            } else {
                hive.lease(&caller, agent, call).await?
            };
            let claimed = grant.map(runtime::LeaseGrant::accept).unwrap_or_default();
            for one in &claimed {
                hand_over(&world, one);
            }
            let brief = |one: ClaimedTask| Assignment {
                task: one.task,
                attempt: one.attempt,
                lease_ttl_ms: one.lease_ttl_ms,
            };
            Ok(claimed.into_iter().map(brief).collect::<Vec<_>>())
        }
    };
    line.call("lease", hang_up_ms, ask).await.unwrap_or_default()
}

/// What comes first into the slots of a session that ends with it: what comes behind goes back.
async fn over_a_session(
    hive: &RuntimeHandle,
    caller: &Caller,
    agent: AgentId,
    call: &LeaseCall,
) -> Result<Option<LeaseGrant>, Error> {
    let Some((consumer, mut granted)) = hive.consume(caller, agent).await? else { return Ok(None) };
    consumer.open(call.max)?;
    Ok(tokio::time::timeout(call.wait, granted.recv()).await.ok().flatten())
}

/// The hive hands an attempt over: nobody else may ever be given it, and the lease holds as long as is said.
fn hand_over(world: &World, one: &ClaimedTask) {
    if world.is_ending() {
        return;
    }
    if let Err(broken) = world.promises.borrow_mut().granted(one.task, one.attempt) {
        world.breach(broken);
    }
    world.witness.borrow_mut().promise(one.task, one.attempt, one.lease_expires_at);
}

/// How an attempt is going to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fortune {
    Succeeds,
    Fails,
    GivesUp,
    Vanishes,
    Pauses,
}

fn fortune(line: &mut Line) -> Fortune {
    if line.world.is_calm() {
        return Fortune::Succeeds;
    }
    let worker = line.world.script.worker.clone();
    let fortunes = [
        (worker.vanishes, Fortune::Vanishes),
        (worker.pauses, Fortune::Pauses),
        (worker.gives_up, Fortune::GivesUp),
        (worker.fails, Fortune::Fails),
    ];
    let strikes = fortunes.into_iter().find(|(permille, _)| line.chance.once_in_a_while(*permille));
    strikes.map_or(Fortune::Succeeds, |(_, fortune)| fortune)
}

async fn work(mut line: Line, assignment: Assignment, lives: &dyn Fn() -> bool) {
    let fortune = fortune(&mut line);
    let most_ms = if line.world.is_calm() { 500 } else { line.world.script.work_ms };
    let mut left_ms = line.chance.between(10, most_ms);
    let beat_ms = assignment.lease_ttl_ms / 4;
    if fortune == Fortune::Pauses {
        let slept_ms = line.chance.between(assignment.lease_ttl_ms / 2, assignment.lease_ttl_ms * 3);
        line.world.sleep(slept_ms).await;
    }
    while left_ms > 0 {
        let step_ms = left_ms.min(beat_ms);
        line.world.sleep(step_ms).await;
        left_ms -= step_ms;
        if !lives() || line.world.has_breach() {
            return;
        }
        if left_ms > 0 && fortune != Fortune::Pauses {
            match beat(&mut line, &assignment).await {
                Some(Renewed::Stale | Renewed::NotFound) => return,
                Some(Renewed::Until { is_cancel_requested: true, .. }) => break,
                Some(Renewed::Until { .. }) | None => {}
            }
        }
    }
    while line.world.is_holding() && lives() {
        line.world.sleep(beat_ms).await;
        beat(&mut line, &assignment).await;
    }
    let report = match fortune {
        Fortune::Vanishes if !line.world.is_calm() => {
            line.world.note(&line.who, format_args!("vanishes with {}", assignment.task));
            return;
        }
        Fortune::Fails => failed(true),
        Fortune::GivesUp => failed(false),
        Fortune::Succeeds | Fortune::Pauses | Fortune::Vanishes => {
            let result = format!("\"{} {}\"", line.who, assignment.attempt);
            Report::Succeeded { result: Some(result), usage: None }
        }
    };
    for _ in 0..60 {
        if !lives() || line.world.has_breach() || finish(&mut line, &assignment, &report).await {
            return;
        }
        line.idle(20, 1_500).await;
    }
}

fn failed(retryable: bool) -> Report {
    Report::Failed { error: AttemptError::stated("planned", "so it was thrown"), retryable, usage: None }
}

async fn beat(line: &mut Line, assignment: &Assignment) -> Option<Renewed> {
    let (caller, Assignment { task, attempt, .. }) = (caller(&line.who), assignment.clone());
    let inside = Rc::clone(&line.world);
    let ask = move |hive: RuntimeHandle| {
        let (caller, world) = (caller.clone(), Rc::clone(&inside));
        async move {
            let renewed = hive.heartbeat(&caller, task, attempt, ProgressReport::default()).await;
            if let Ok(Renewed::Until { lease_expires_at, .. }) = renewed
                && !world.is_ending()
            {
                world.witness.borrow_mut().promise(task, attempt, lease_expires_at);
            }
            renewed
        }
    };
    line.call(&format!("heartbeat {task}:{attempt}"), None, ask).await.ok()
}

/// Reports an end; answers whether that is settled.
async fn finish(line: &mut Line, assignment: &Assignment, report: &Report) -> bool {
    let (caller, Assignment { task, attempt, .. }) = (caller(&line.who), assignment.clone());
    let said = report.clone();
    let ask = move |hive: RuntimeHandle| {
        let (caller, report) = (caller.clone(), said.clone());
        async move { hive.finish(&caller, task, attempt, report).await }
    };
    let world = Rc::clone(&line.world);
    let result = match report {
        Report::Succeeded { result, .. } => result.clone(),
        _ => None,
    };
    let what = format!("{} {task}:{attempt}", if result.is_some() { "complete" } else { "fail" });
    match line.call(&what, None, ask).await {
        Ok(Finished::Done { state }) => {
            keep(&world, assignment, state, result);
            true
        }
        // The present state may be of a later attempt, after a redrive; but a success stays one.
        Ok(Finished::Repeated { .. }) => {
            if result.is_some() {
                keep(&world, assignment, TaskState::Completed, result);
            }
            true
        }
        Ok(Finished::Stale) => true,
        Ok(Finished::NotFound) => {
            world.breach(format_args!("{task}:{attempt} was handed out and is not known"));
            true
        }
        Err(Unanswered) => false,
    }
}

fn keep(world: &World, assignment: &Assignment, state: TaskState, result: Option<String>) {
    let kept = world.promises.borrow_mut().ended(assignment.task, assignment.attempt, state, result);
    if let Err(broken) = kept {
        world.breach(broken);
    }
}
