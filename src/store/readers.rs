//! Answers questions: `query_only` connections, each call one hop to a blocking thread of the caller's tokio runtime.

mod pool;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Agent, AgentId, ApiKey, Event, LaneId, LaneSpec, TaskId, TaskState, TenantId, Timestamp};

use crate::clock::Clock;
use crate::command::Chore;
use crate::error::ReadError;
use crate::metrics::Metrics;
use crate::open::{Database, OpenOptions};
use crate::record::{
    AttemptRecord, CheckpointRecord, EventRecord, LeaseRecord, OutputChunk, PerformanceRecord, QueueRecord,
    TaskDetail, TaskFilter, TaskPage,
};
use crate::sql::due;
use crate::sql::queries::{agents, census, events, listing, performance, state, tasks};
use pool::Pool;

/// Everything counted, at one moment of the log. It reads every task: for tests, and for a start without a
/// checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// The last event that is in it.
    pub seq: i64,
    /// Tasks by lane, state and priority.
    pub tasks: BTreeMap<(LaneId, TaskState, u8), u64>,
    /// Working attempts by agent.
    pub working: BTreeMap<AgentId, u64>,
}

/// Answers questions from what is committed. Cheap to clone. Each answer is of one moment.
///
/// Every method must be called within a tokio runtime, and fails with [`ReadError::Unavailable`] when the database
/// does not answer and with [`ReadError::Corrupt`] when a stored row cannot be understood.
#[derive(Clone)]
pub struct Readers(Arc<Pool>);

impl Readers {
    pub(crate) fn new(options: &OpenOptions, database: Database, clock: Clock, metrics: Metrics) -> Self {
        Self(Arc::new(Pool::new(options, database, clock, metrics)))
    }

    /// A task with its input and result; `None` when the tenant has no such task.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn task(&self, tenant: TenantId, id: TaskId) -> Result<Option<TaskDetail>, ReadError> {
        self.0.ask("task", move |session| tasks::detail(session, tenant, id)).await
    }

    /// At most `limit` tasks with ids below `before`, newest first. State and queue are found by index; with other
    /// filters at most 10,000 tasks are looked at, so that a page may hold few or none and still have a next one.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn tasks(
        &self,
        tenant: TenantId,
        filter: TaskFilter,
        before: Option<TaskId>,
        limit: u32,
    ) -> Result<TaskPage, ReadError> {
        self.0.ask("tasks", move |session| listing::page(session, tenant, &filter, before, limit)).await
    }

    /// In which state a task is; `None` when the tenant has no such task.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn state(&self, tenant: TenantId, id: TaskId) -> Result<Option<TaskState>, ReadError> {
        self.0.ask("state", move |session| tasks::state(session, tenant, id)).await
    }

    /// At most `limit` of a task's attempts with numbers below `before`, the latest first; `None` when the tenant has
    /// no such task.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn attempts(
        &self,
        tenant: TenantId,
        id: TaskId,
        before: u32,
        limit: u32,
    ) -> Result<Option<Vec<AttemptRecord>>, ReadError> {
        self.0.ask("attempts", move |session| tasks::attempts(session, (tenant, id), before, limit)).await
    }

    /// At most `limit` pieces of a task's output after the piece (attempt, chunk), in order; `(0, 0)` is before the
    /// first. `None` when the tenant has no such task.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn output(
        &self,
        tenant: TenantId,
        id: TaskId,
        after: (u32, u32),
        limit: u32,
    ) -> Result<Option<Vec<OutputChunk>>, ReadError> {
        self.0.ask("output", move |session| tasks::output(session, (tenant, id), after, limit)).await
    }

    /// At most `limit` events of a tenant after `after`, in order; of one task, when it is named. A task that
    /// retention has removed has none.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn events(
        &self,
        tenant: TenantId,
        after: i64,
        limit: u32,
        task: Option<TaskId>,
    ) -> Result<Vec<EventRecord>, ReadError> {
        self.0.ask("events", move |session| events::records(session, tenant, after, limit, task)).await
    }

    /// At most `limit` events after `after`, in order, whosever they are: for the feed.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn events_raw(&self, after: i64, limit: u32) -> Result<Vec<Event>, ReadError> {
        self.0.ask("events_raw", move |session| events::raw(session, after, limit)).await
    }

    /// The first and the last `seq` that are stored; the first is one above the last when none is.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn log_range(&self) -> Result<(i64, i64), ReadError> {
        self.0.ask("log_range", events::range).await
    }

    /// A tenant's agents, oldest first, and the range of the log, see [`Self::log_range`].
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn overview(&self, tenant: TenantId) -> Result<(Vec<Agent>, (i64, i64)), ReadError> {
        self.0
            .ask("overview", move |session| {
                Ok((agents::agents(session, Some(tenant))?, events::range(session)?))
            })
            .await
    }

    /// A tenant's agents, oldest first.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn agents(&self, tenant: TenantId) -> Result<Vec<Agent>, ReadError> {
        self.0.ask("agents", move |session| agents::agents(session, Some(tenant))).await
    }

    /// One agent; `None` when the tenant has no such agent or it was removed.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn agent(&self, tenant: TenantId, id: AgentId) -> Result<Option<Agent>, ReadError> {
        self.0.ask("agent", move |session| agents::agent(session, tenant, id)).await
    }

    /// Everybody's agents, oldest first.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn all_agents(&self) -> Result<Vec<Agent>, ReadError> {
        self.0.ask("all_agents", |session| agents::agents(session, None)).await
    }

    /// A tenant's API keys, oldest first.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn api_keys(&self, tenant: TenantId) -> Result<Vec<ApiKey>, ReadError> {
        self.0.ask("api_keys", move |session| agents::api_keys(session, Some(tenant))).await
    }

    /// Everybody's API keys, oldest first.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn all_api_keys(&self) -> Result<Vec<ApiKey>, ReadError> {
        self.0.ask("all_api_keys", |session| agents::api_keys(session, None)).await
    }

    /// What is stored of a tenant's queues, by name.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn queues(&self, tenant: TenantId) -> Result<Vec<QueueRecord>, ReadError> {
        self.0.ask("queues", move |session| agents::queues(session, Some(tenant))).await
    }

    /// What is stored of everybody's queues.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn all_queues(&self) -> Result<Vec<QueueRecord>, ReadError> {
        self.0.ask("all_queues", |session| agents::queues(session, None)).await
    }

    /// Every lane, by number.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn lanes(&self) -> Result<Vec<(LaneId, LaneSpec)>, ReadError> {
        self.0.ask("lanes", state::lanes).await
    }

    /// Every working attempt, first to expire first.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn leases(&self) -> Result<Vec<LeaseRecord>, ReadError> {
        self.0.ask("leases", tasks::leases).await
    }

    /// How many tasks of a lane go before this one; counted up to `max`.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn ahead(&self, lane: LaneId, priority: u8, id: TaskId, max: u32) -> Result<u32, ReadError> {
        self.0.ask("ahead", move |session| tasks::ahead(session, lane, (priority, id), max)).await
    }

    /// The stored projection, if one was saved.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn checkpoint(&self) -> Result<Option<CheckpointRecord>, ReadError> {
        self.0.ask("checkpoint", state::checkpoint).await
    }

    /// What the hive did since `from`, by spans of 60 or 3,600 seconds, the oldest first; at most 20,000 rows.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn performance(
        &self,
        span_s: u32,
        from: Timestamp,
    ) -> Result<Vec<PerformanceRecord>, ReadError> {
        self.0.ask("performance", move |session| performance::since(session, span_s, from)).await
    }

    /// How long a read takes that asks for next to nothing, waiting for a connection included.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn ping(&self) -> Result<Duration, ReadError> {
        let began = Instant::now();
        self.0.ask("ping", state::ping).await?;
        Ok(began.elapsed())
    }

    /// When a chore has something to do next; `None` when nothing waits for it.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn next_due(&self, chore: Chore) -> Result<Option<Timestamp>, ReadError> {
        let now = self.0.now();
        self.0.ask("next_due", move |session| due::next_due(session.conn, chore, now)).await
    }

    /// Counts every task.
    ///
    /// # Errors
    /// See [`Readers`].
    pub async fn census(&self) -> Result<Census, ReadError> {
        self.0.ask("census", census::take).await
    }
}
