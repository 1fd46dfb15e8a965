//! Who works in a demo, and on what: agents of the six roles, and ten tasks for each of them.

use std::collections::HashMap;
use std::path::Path;

use client::Client;
use domain::{AgentId, TaskId};
use futures_util::{StreamExt, TryStreamExt, stream};
use protocol::{BackoffView, LinkLimits, RegisterAgent, RegisterLink, SubmitTask, TimeoutsView};

use super::patience::patiently;
use super::roles::{Job, ROLES, Role};
use super::shipped;
use crate::failure::Failure;

/// Tasks for each agent.
pub const TASKS_PER_AGENT: usize = 10;
/// Requests under way at a time: enough to keep the writer's batches full.
const REQUESTS: usize = 16;
/// How long one attempt may take; the slowest takes a fraction of a second on a machine that has nothing else to do.
const ATTEMPT_MS: u64 = 60_000;
/// Processor time of one attempt; they take some tens of milliseconds.
const CPU_MS: u64 = 20_000;
/// How long a task that stumbled waits: long enough to be seen in the display, short enough not to bore.
const BACKOFF_MS: u64 = 1_500;

/// An agent before it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its place in [`ROLES`].
    pub role: usize,
}

/// A task that was handed in.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its id.
    pub id: TaskId,
    /// The place of its role in [`ROLES`].
    pub role: usize,
    /// What it is.
    pub job: Job,
}

/// So many agents, the roles one after the other: `production`, `documentation`, …, `production-2`, …
pub fn members(count: usize) -> Vec<Member> {
    (0..count)
        .filter_map(|place| {
            let (role, round) = (place % ROLES.len(), place / ROLES.len());
            let name = ROLES.get(role)?.name;
            let name = if round == 0 { name.to_owned() } else { format!("{name}-{}", round + 1) };
            Some(Member { name, role })
        })
        .collect()
}

/// The tasks of all members, the roles one after the other.
pub fn jobs(members: &[Member]) -> Vec<(usize, Job)> {
    let mut jobs = Vec::with_capacity(members.len() * TASKS_PER_AGENT);
    let mut sources: Vec<_> = ROLES.iter().map(|role| (role.jobs)().into_iter().cycle()).collect();
    for _ in 0..TASKS_PER_AGENT {
        for member in members {
            let next = sources.get_mut(member.role).and_then(Iterator::next);
            jobs.extend(next.map(|job| (member.role, job)));
        }
    }
    jobs
}

/// Registers all members; answers the place of each one's role in [`ROLES`].
///
/// # Errors
/// A [`Failure`] when one cannot be registered.
pub async fn register(
    client: &Client,
    home: &Path,
    members: &[Member],
) -> Result<HashMap<AgentId, usize>, Failure> {
    let known = members.iter().filter_map(|member| Some((member, ROLES.get(member.role)?)));
    let calls = stream::iter(known).map(|(member, role)| async move {
        let asked = RegisterAgent {
            name: member.name.clone(),
            role: Some(role.name.to_owned()),
            capabilities: vec![role.name.to_owned()],
            link: Some(link(role, home)),
            ..RegisterAgent::default()
        };
        let key = format!("agent-{}", member.name);
        let agent = patiently(async || client.register_agent(&asked, Some(&key)).await).await?;
        Ok((agent.id, member.role))
    });
    calls.buffer_unordered(REQUESTS).try_collect().await
}

fn link(role: &Role, home: &Path) -> RegisterLink {
    let script = home.join(shipped::AGENTS).join(role.script);
    RegisterLink {
        kind: "process".to_owned(),
        command: Some(vec!["sh".to_owned(), script.display().to_string()]),
        cwd: Some(home.join(shipped::OFFICE).display().to_string()),
        prompt: Some(role.prompt),
        result: Some(role.result),
        limits: Some(LinkLimits { cpu_ms: Some(CPU_MS), ..LinkLimits::default() }),
        ..RegisterLink::default()
    }
}

/// Hands in all jobs; answers them in their order.
///
/// # Errors
/// A [`Failure`] when one is not taken.
pub async fn submit(client: &Client, jobs: Vec<(usize, Job)>) -> Result<Vec<Given>, Failure> {
    let calls = stream::iter(jobs.into_iter().enumerate()).map(|(place, (role, job))| async move {
        let (task, key) = (task(role, &job)?, format!("task-{place}"));
        let task = patiently(async || client.submit(&task, Some(&key)).await).await?;
        Ok(Given { id: task.id, role, job })
    });
    calls.buffered(REQUESTS).try_collect().await
}

fn task(role: usize, job: &Job) -> Result<SubmitTask, Failure> {
    let name = ROLES.get(role).map_or("", |role| role.name);
    let input =
        serde_json::value::to_raw_value(&job.prompt).map_err(|error| Failure::surroundings(&error))?;
    let backoff = BackoffView { initial_ms: BACKOFF_MS, factor: 1.0, max_ms: BACKOFF_MS, jitter: 0.0 };
    Ok(SubmitTask {
        title: job.title.clone(),
        input: Some(input),
        queue: Some("demo".to_owned()),
        kind: Some(name.to_owned()),
        requires: vec![name.to_owned()],
        backoff: Some(backoff),
        timeouts: Some(TimeoutsView { start_to_close_ms: Some(ATTEMPT_MS), ..TimeoutsView::default() }),
        ..SubmitTask::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_role_has_its_name_and_those_that_follow_have_a_number() {
        let names: Vec<String> = members(8).into_iter().map(|member| member.name).collect();
        assert_eq!(
            names,
            [
                "production",
                "documentation",
                "integration",
                "intelligence",
                "orchestration",
                "quality",
                "production-2",
                "documentation-2",
            ]
        );
    }

    #[test]
    fn each_agent_brings_ten_tasks_of_its_role_and_three_of_integration_stumble() {
        for count in [6, 7, 250] {
            let members = members(count);
            let jobs = jobs(&members);
            assert_eq!(jobs.len(), count * TASKS_PER_AGENT);
            for (place, role) in ROLES.iter().enumerate() {
                let agents = members.iter().filter(|member| member.role == place).count();
                let own = jobs.iter().filter(|(role, _)| *role == place);
                assert_eq!(own.count(), agents * TASKS_PER_AGENT, "{}", role.name);
                let stumbling = jobs.iter().filter(|(role, job)| *role == place && job.stumbles).count();
                let wanted = if role.name == "integration" { agents * 3 } else { 0 };
                assert_eq!(stumbling, wanted, "{}", role.name);
            }
        }
    }
}
