//! `GET /tasks/{id}/explain`: why a task is where it is.

use domain::{Name, TaskId, TaskState};
use protocol::schemas::TaskIdText;
use protocol::{ExplainView, ReasonView, time};
use runtime::{AHEAD_MAX, Obstacle, Phase, Wait};
use store::record::TaskRecord;

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::path::Named;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;

/// Explain why a task is where it is.
#[utoipa::path(get, path = "/api/v2/tasks/{id}/explain", tag = "tasks",
    params(("id" = TaskIdText, Path, description = "The task")),
    responses((status = 200, description = "Where it stands and why, as of now", body = ExplainView)))]
pub(crate) async fn explain_task(
    hive: Hive,
    principal: Allowed<ReadHive>,
    id: Named<TaskId>,
    _: NoQuery,
) -> Answer {
    let found = hive.readers.task(principal.tenant(), id.0).await?;
    let task = found.ok_or_else(|| id.not_found())?.record;
    let reasons = match task.status.state {
        TaskState::Scheduled => vec![scheduled(&task)],
        TaskState::Queued => queued(&hive, &task).await?,
        TaskState::Working => working(&task),
        TaskState::Completed | TaskState::Failed | TaskState::Canceled => vec![ended(&task)],
    };
    ok(&ExplainView { state: task.status.state, reasons })
}

fn scheduled(task: &TaskRecord) -> ReasonView {
    let (until, status) = (task.eligible_at, task.status);
    let when = until.map(time::show).unwrap_or_default();
    // A crash costs no time: what waits after one waits for the failure before it.
    if status.failures == 0 {
        return ReasonView { until, ..reason("delayed", format!("it is delayed until {when}")) };
    }
    let (failures, attempts_max) = (status.failures, status.attempts_max);
    let message = format!("{failures} of {attempts_max} attempts have failed; the next may begin at {when}");
    let counts = (Some(failures), Some(attempts_max));
    ReasonView { until, failures: counts.0, attempts_max: counts.1, ..reason("backoff", message) }
}

async fn queued(hive: &Hive, task: &TaskRecord) -> Result<Vec<ReasonView>, Problem> {
    let wait = hive.runtime.wait_of(task).await?;
    let obstacles = wait.obstacles.iter().map(|obstacle| shown(obstacle, task, &wait));
    let is_draining = hive.runtime.phase() == Phase::Draining;
    let draining = is_draining
        .then(|| reason("hive_draining", "the hive is stopping and hands out nothing new".to_owned()));
    Ok(draining.into_iter().chain(obstacles).collect())
}

fn shown(obstacle: &Obstacle, task: &TaskRecord, wait: &Wait) -> ReasonView {
    let (name, position) = (|| Some(task.queue.to_string()), u64::from(wait.ahead) + 1);
    let of_agents =
        |agents, code, message: String| ReasonView { agents: Some(agents), ..reason(code, message) };
    let place = if wait.ahead >= AHEAD_MAX {
        format!("more than {AHEAD_MAX} tasks like it are before it")
    } else {
        format!("its place among tasks like it is {position}")
    };
    match *obstacle {
        Obstacle::QueuePaused => {
            let waiting = wait.waiting;
            let message = format!("the queue {} is paused; {waiting} tasks wait in it", task.queue);
            ReasonView { queue: name(), waiting: Some(waiting), ..reason("queue_paused", message) }
        }
        Obstacle::Limit { used, max } => {
            let message = format!(
                "{used} tasks of the queue {} are worked on, and {max} at a time is its limit",
                task.queue
            );
            ReasonView {
                name: Some("concurrency_limit".to_owned()),
                queue: name(),
                used: Some(used),
                max: Some(u64::from(max)),
                ..reason("limit", message)
            }
        }
        Obstacle::NoCapableAgent { agents, ref missing } => {
            let missing: Vec<String> = missing.iter().map(Name::to_string).collect();
            let message = match (task.pinned, agents) {
                (Some(pinned), 0) => format!("it is pinned to {pinned}, which is gone"),
                (None, 0) => "there is no agent yet".to_owned(),
                (_, agents) => {
                    let words = missing.join(", ");
                    format!("none of {agents} agents has all that it requires; the nearest lacks {words}")
                }
            };
            ReasonView { missing: Some(missing), ..of_agents(agents, "no_capable_agent", message) }
        }
        Obstacle::AgentsDraining { agents } => {
            of_agents(agents, "agents_draining", format!("{} and take nothing new", are(agents, "draining")))
        }
        Obstacle::AgentsOffline { agents } => {
            of_agents(agents, "agents_offline", format!("{}: no sign of life", are(agents, "offline")))
        }
        Obstacle::AgentsFailed { agents } => {
            let message = format!("{}: restart them", are(agents, "given up after too many failures"));
            of_agents(agents, "agents_failed", message)
        }
        Obstacle::AgentsBusy { agents, slots } => {
            let message = format!("{}, with all of {slots} slots taken; {place}", are(agents, "busy"));
            let reason = of_agents(agents, "agents_busy", message);
            ReasonView { slots: Some(slots), position: Some(position), ..reason }
        }
        Obstacle::AgentsFree { agents, slots } => {
            let message = format!(
                "{}, with {slots} free slots: taken as soon as they ask for work; {place}",
                are(agents, "free")
            );
            let reason = of_agents(agents, "agents_free", message);
            ReasonView { slots: Some(slots), position: Some(position), ..reason }
        }
    }
}

fn are(agents: u64, how: &str) -> String {
    match agents {
        1 => format!("1 agent that can take it is {how}"),
        agents => format!("{agents} agents that can take it are {how}"),
    }
}

fn working(task: &TaskRecord) -> Vec<ReasonView> {
    let (agent_id, attempt, until) = (task.agent, task.status.attempt, task.lease_expires_at);
    let who = agent_id.map(|id| id.to_string()).unwrap_or_default();
    let lease = until.map(time::show).unwrap_or_default();
    let common =
        |code, message| ReasonView { agent_id, attempt: Some(attempt), until, ..reason(code, message) };
    let message = format!("{who} works on it, attempt {attempt}; its lease runs until {lease}");
    let mut reasons = Vec::new();
    if task.status.is_cancel_requested {
        let message = format!("{who} was asked to end; if it does not, the lease ends at {lease}");
        reasons.push(common("cancel_requested", message));
    }
    reasons.push(ReasonView { since: task.started_at, ..common("working", message) });
    reasons
}

fn ended(task: &TaskRecord) -> ReasonView {
    let (status, since) = (task.status, task.finished_at);
    let when = since.map(time::show).unwrap_or_default();
    match (status.state, &task.error) {
        (TaskState::Completed, _) => {
            let attempt = status.attempt;
            let message = format!("attempt {attempt} completed it at {when}");
            ReasonView { attempt: Some(attempt), since, ..reason("completed", message) }
        }
        (TaskState::Failed, error) => {
            let (failures, crashes, attempts_max) = (status.failures, status.crashes, status.attempts_max);
            let crashed = match crashes {
                0 => String::new(),
                1 => " and 1 was cut off by a crash of the hive".to_owned(),
                crashes => format!(" and {crashes} were cut off by crashes of the hive"),
            };
            let said = error.as_ref().map_or_else(String::new, |error| format!(": {}", error.message));
            ReasonView {
                error_kind: error.as_ref().map(|error| error.kind.to_string()),
                failures: Some(failures),
                crashes: (crashes > 0).then_some(crashes),
                attempts_max: Some(attempts_max),
                since,
                ..reason("failed", format!("{failures} of {attempts_max} attempts failed{crashed}{said}"))
            }
        }
        (_, _) => ReasonView { since, ..reason("canceled", format!("it was canceled at {when}")) },
    }
}

fn reason(code: &str, message: String) -> ReasonView {
    ReasonView { code: code.to_owned(), message, ..ReasonView::default() }
}
