//! Records as they are shown.

use std::collections::BTreeMap;

use domain::{Agent, AgentState, ApiKey, Labels, Name, TaskState, TenantId, Timestamp};
use feed::{AgentFigures, StateCounts};
use protocol::{
    AgentView, ApiKeyView, AssignmentView, AttemptView, EventView, OutputView, ProgressView, PrunedView,
    QueueView, SecretText, StateCountsView, TaskView, WorkspaceView,
};
use runtime::{Pruned, RuntimeHandle, WorkspaceRecord};
use serde_json::value::RawValue;
use store::outcome::{ClaimedTask, QueueChanged};
use store::record::{AttemptRecord, EventRecord, OutputChunk, TaskRecord};

use crate::problem::Problem;
use crate::state::Hive;

/// Stored JSON as raw JSON.
pub(crate) fn raw(json: &str) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(json.to_owned())
        .map_err(|error| Problem::Quarantined { what: "JSON".to_owned(), cause: error.to_string() })
}

/// A task without input and result.
pub(crate) fn task(record: TaskRecord, runtime: &RuntimeHandle) -> TaskView {
    let status = record.status;
    let (progress, spent) = match status.state {
        TaskState::Working => (runtime.progress(record.id), runtime.usage(record.id, status.attempt)),
        TaskState::Scheduled
        | TaskState::Queued
        | TaskState::Completed
        | TaskState::Failed
        | TaskState::Canceled => (None, None),
    };
    TaskView {
        id: record.id,
        tenant: tenant(record.tenant),
        title: record.title,
        kind: record.kind.map(|kind| kind.to_string()),
        queue: record.queue.to_string(),
        priority: record.priority,
        requires: record.requires.iter().map(Name::to_string).collect(),
        labels: labels(record.labels),
        state: status.state,
        attempt: status.attempt,
        failures: status.failures,
        attempts_max: status.attempts_max,
        crashes: status.crashes,
        progress: progress.map(|said| ProgressView {
            fraction: said.fraction,
            message: said.message,
            at: said.at,
        }),
        agent_id: record.agent.or(record.pinned),
        cancel_requested: status.is_cancel_requested,
        eligible_at: record.eligible_at,
        created_at: record.created_at,
        started_at: record.started_at,
        finished_at: record.finished_at,
        lease_expires_at: record.lease_expires_at,
        input: None,
        result: None,
        error: record.error.map(Into::into),
        usage: spent.or(record.usage).map(Into::into),
        timeouts: record.timeouts.into(),
        backoff: record.backoff.into(),
        correlation_id: record.correlation_id.to_string(),
        created_by: record.created_by,
    }
}

/// What a worker is handed.
pub(crate) fn assignment(claimed: ClaimedTask) -> Result<AssignmentView, Problem> {
    Ok(AssignmentView {
        task_id: claimed.task,
        attempt: claimed.attempt,
        title: claimed.title,
        kind: claimed.kind.map(|kind| kind.to_string()),
        queue: claimed.queue.to_string(),
        priority: claimed.priority,
        input: claimed.input.as_deref().map(raw).transpose()?,
        labels: labels(claimed.labels),
        lease_ttl_ms: claimed.lease_ttl_ms,
        lease_expires_at: claimed.lease_expires_at,
        timeouts: claimed.timeouts.into(),
    })
}

/// One try at a task.
pub(crate) fn attempt(record: AttemptRecord) -> AttemptView {
    AttemptView {
        attempt: record.attempt,
        agent_id: record.agent,
        started_at: record.started_at,
        ended_at: record.ended_at,
        outcome: record.outcome,
        error: record.error.map(Into::into),
        usage: record.usage.map(Into::into),
        workspace: record.workspace.map(Into::into),
    }
}

/// A worktree that is there.
pub(crate) fn workspace(record: WorkspaceRecord) -> WorkspaceView {
    WorkspaceView {
        task_id: record.task,
        attempt: record.attempt,
        agent: record.agent.to_string(),
        path: record.path,
        repository: record.repository,
        branch: record.branch,
        base: record.base,
        head: record.head,
        files_changed: record.files_changed,
        clean: record.is_clean,
        in_use: record.is_in_use,
        created_at: record.created_at,
    }
}

/// What became of a worktree.
pub(crate) fn pruned(pruned: Pruned) -> PrunedView {
    PrunedView {
        workspace: workspace(pruned.record),
        removed: pruned.is_removed,
        kept_because: pruned.kept_because.map(str::to_owned),
    }
}

/// A piece of output.
pub(crate) fn output(chunk: OutputChunk) -> OutputView {
    OutputView {
        attempt: chunk.attempt,
        chunk: chunk.chunk,
        at: chunk.at,
        text: chunk.text,
        truncated: chunk.is_truncated,
    }
}

/// One committed fact.
pub(crate) fn event(record: EventRecord) -> Result<EventView, Problem> {
    let event = record.event;
    Ok(EventView {
        seq: event.seq,
        at: event.at,
        kind: event.kind.as_str().to_owned(),
        task_id: event.task,
        agent_id: event.agent,
        attempt: event.attempt,
        queue: record.queue.map(|queue| queue.to_string()),
        correlation_id: event.correlation_id.to_string(),
        data: raw(&event.data)?,
    })
}

/// An agent with its figures as they are now.
pub(crate) fn agent(agent: Agent, hive: &Hive) -> AgentView {
    let figures = hive.feed.read(|projection| projection.agent(agent.id));
    let seen_at = hive.runtime.last_seen(agent.id);
    AgentView {
        id: agent.id,
        state: agent_state(&agent, &figures).as_str().to_owned(),
        name: agent.asked.name.to_string(),
        role: agent.asked.role.to_string(),
        capabilities: agent.asked.capabilities.iter().map(Name::to_string).collect(),
        capacity: agent.asked.capacity,
        labels: labels(agent.asked.labels),
        link: agent.asked.link.into(),
        working: figures.working,
        completed: figures.completed,
        failed: figures.failed,
        success_rate: share(figures.completed, figures.completed.saturating_add(figures.failed)),
        last_activity_at: seen_at.max(figures.last_activity_at),
        created_at: agent.created_at,
    }
}

/// An API key, with itself where it was made just now.
pub(crate) fn api_key(key: ApiKey, secret: Option<SecretText>, now: Timestamp) -> ApiKeyView {
    ApiKeyView {
        id: key.id,
        expired: key.is_expired(now),
        name: key.name.to_string(),
        role: key.role.to_string(),
        agent_id: key.agent,
        prefix: key.prefix,
        created_at: key.created_at,
        created_by: key.created_by,
        expires_at: key.expires_at,
        key: secret,
    }
}

/// The one word for an agent.
pub(crate) fn agent_state(agent: &Agent, figures: &AgentFigures) -> AgentState {
    AgentState::of(agent.is_draining, agent.health, figures.working)
}

/// A queue with its figures.
pub(crate) fn queue(name: &Name, stands: QueueChanged, figures: &feed::QueueFigures) -> QueueView {
    QueueView {
        name: name.to_string(),
        paused: stands.is_paused,
        concurrency_limit: stands.concurrency_limit,
        tasks: counts(&figures.counts),
        queued_by_priority: figures.by_priority,
    }
}

/// Tasks by state.
pub(crate) fn counts(counts: &StateCounts) -> StateCountsView {
    StateCountsView {
        scheduled: counts.scheduled,
        queued: counts.queued,
        working: counts.working,
        completed: counts.completed,
        failed: counts.failed,
        canceled: counts.canceled,
        total: counts.total(),
    }
}

fn labels(labels: Labels) -> BTreeMap<String, String> {
    labels.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

fn tenant(tenant: TenantId) -> String {
    if tenant == TenantId::DEFAULT { TenantId::DEFAULT_NAME.to_owned() } else { tenant.0.to_string() }
}

/// `part / whole`; nothing where there is no whole.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| lossy(part) / lossy(whole))
}

/// Counts stay far below 2^53.
#[expect(clippy::as_conversions, reason = "there is no lossless conversion; counts stay far below 2^53")]
const fn lossy(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_not_known() {
        assert_eq!(share(0, 0), None);
        assert_eq!(share(3, 4), Some(0.75));
    }

    #[test]
    fn stored_json_is_shown_byte_for_byte() {
        assert_eq!(raw(r#"{ "a" : 1.0 }"#).unwrap().get(), r#"{ "a" : 1.0 }"#);
        assert!(raw("{").is_err());
    }
}
