//! The hot row of a task: read, decide, write back.

use crate::sql::conn::Conn;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt};
use domain::limits::PRIORITY_MAX;
use domain::{AgentId, LaneId, TaskId, TaskState, TaskStatus, TenantId, Timestamp};

use crate::sql::columns::{count_column, micros, moment, span, span_column};
use crate::sql::failure::Failure;
use crate::sql::statement::statement;

/// The columns of [`RawTask`], in order.
macro_rules! task_columns {
    () => {
        "t.id, t.tenant_id, t.lane_id, t.state, t.priority, t.attempt, t.failures, t.attempts_max, t.crashes, \
         t.eligible_at, t.wait_deadline_at, t.close_deadline_at, t.started_at, t.finished_at, t.agent_id, \
         t.lease_expires_at, t.lease_cap_at, t.lease_ttl_ms, t.cancel_requested_at, t.expired_kind, \
         t.last_event_seq"
    };
}
pub(crate) use task_columns;

/// The SQL types of [`task_columns`].
pub(crate) type TaskSql = (
    BigInt,
    BigInt,
    BigInt,
    SmallInt,
    SmallInt,
    Integer,
    Integer,
    Integer,
    Integer,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<SmallInt>,
    BigInt,
);

/// The row as it is stored.
#[derive(Debug, Queryable)]
pub(crate) struct RawTask {
    id: i64,
    tenant_id: i64,
    lane_id: i64,
    state: i16,
    priority: i16,
    attempt: i32,
    failures: i32,
    attempts_max: i32,
    crashes: i32,
    eligible_at: Option<i64>,
    wait_deadline_at: Option<i64>,
    close_deadline_at: Option<i64>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    agent_id: Option<i64>,
    lease_expires_at: Option<i64>,
    lease_cap_at: Option<i64>,
    lease_ttl_ms: Option<i64>,
    cancel_requested_at: Option<i64>,
    expired_kind: Option<i16>,
    last_event_seq: i64,
}

impl RawTask {
    /// Which task it is, also when the rest cannot be understood.
    pub(crate) const fn id(&self) -> i64 {
        self.id
    }
}

/// Which wait was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// From ready to claimed.
    ScheduleToStart,
    /// From submit to the end.
    ScheduleToClose,
}

impl Expiry {
    /// Its stored number.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::ScheduleToStart => 1,
            Self::ScheduleToClose => 2,
        }
    }

    const fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::ScheduleToStart),
            2 => Some(Self::ScheduleToClose),
            _ => None,
        }
    }

    /// The error's kind.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ScheduleToStart => "schedule_to_start_timeout",
            Self::ScheduleToClose => "schedule_to_close_timeout",
        }
    }
}

/// A task's hot row, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskRow {
    pub id: TaskId,
    pub tenant: TenantId,
    pub lane: LaneId,
    pub state: TaskState,
    pub priority: u8,
    pub attempt: u32,
    pub failures: u32,
    pub attempts_max: u32,
    pub crashes: u32,
    /// When it may begin, or since when it may; `None` for one that could begin when it came.
    pub eligible_at: Option<Timestamp>,
    pub wait_deadline_at: Option<Timestamp>,
    pub close_deadline_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub agent: Option<AgentId>,
    pub lease_expires_at: Option<Timestamp>,
    pub lease_cap_at: Option<Timestamp>,
    pub lease_ttl_ms: u64,
    pub cancel_requested_at: Option<Timestamp>,
    pub expired: Option<Expiry>,
    pub last_event_seq: i64,
}

impl TaskRow {
    /// What the one decision function needs.
    pub(crate) const fn status(&self) -> TaskStatus {
        TaskStatus {
            state: self.state,
            attempt: self.attempt,
            failures: self.failures,
            attempts_max: self.attempts_max,
            crashes: self.crashes,
            is_cancel_requested: self.cancel_requested_at.is_some(),
        }
    }

    /// Takes over what was decided, except the times that go with it.
    pub(crate) fn take(&mut self, status: TaskStatus, now: Timestamp) {
        self.state = status.state;
        self.attempt = status.attempt;
        self.failures = status.failures;
        self.crashes = status.crashes;
        self.cancel_requested_at =
            status.is_cancel_requested.then(|| self.cancel_requested_at.unwrap_or(now));
        if status.state != TaskState::Working {
            self.lease_expires_at = None;
            self.lease_cap_at = None;
        }
        if status.state.is_terminal() {
            self.eligible_at = None;
        }
        self.finished_at = status.state.is_terminal().then_some(now);
        if !matches!(status.state, TaskState::Scheduled | TaskState::Queued) {
            self.wait_deadline_at = None;
        }
    }

    /// The row of a task, if there is one.
    pub(crate) fn load(conn: &mut Conn, id: TaskId) -> Result<Option<Self>, Failure> {
        if let Some(session) = conn.gathering() {
            return session.task(id);
        }
        let raw = conn.get_result::<RawTask, _>(LoadTask { id: id.raw() }).optional()?;
        raw.map(Self::try_from).transpose()
    }

    /// Writes all that may change.
    pub(crate) fn store(&self, conn: &mut Conn) -> Result<(), Failure> {
        if let Some(session) = conn.gathering() {
            session.change_task(self.clone());
            return Ok(());
        }
        conn.execute(StoreTask {
            id: self.id.raw(),
            state: self.state.code(),
            priority: i16::from(self.priority),
            attempt: count_column(self.attempt),
            failures: count_column(self.failures),
            crashes: count_column(self.crashes),
            eligible_at: micros(self.eligible_at),
            wait_deadline_at: micros(self.wait_deadline_at),
            close_deadline_at: micros(self.close_deadline_at),
            started_at: micros(self.started_at),
            finished_at: micros(self.finished_at),
            agent_id: self.agent.map(AgentId::raw),
            lease_expires_at: micros(self.lease_expires_at),
            lease_cap_at: micros(self.lease_cap_at),
            lease_ttl_ms: span_column(self.lease_ttl_ms),
            cancel_requested_at: micros(self.cancel_requested_at),
            expired_kind: self.expired.map(Expiry::code),
            last_event_seq: self.last_event_seq,
        })?;
        Ok(())
    }

    /// Writes what has changed since `before`: for what happens to every task a statement that names no more than that.
    pub(crate) fn store_since(&self, conn: &mut Conn, before: &Self) -> Result<(), Failure> {
        if conn.gathering().is_some() {
            return self.store(conn);
        }
        if *self == before.begun_as(self) {
            conn.execute(BeginTask {
                id: self.id.raw(),
                state: self.state.code(),
                attempt: count_column(self.attempt),
                started_at: micros(self.started_at),
                agent_id: self.agent.map(AgentId::raw),
                lease_expires_at: micros(self.lease_expires_at),
                lease_cap_at: micros(self.lease_cap_at),
                lease_ttl_ms: span_column(self.lease_ttl_ms),
                last_event_seq: self.last_event_seq,
            })?;
        } else if *self == before.ended_as(self) {
            conn.execute(EndTask {
                id: self.id.raw(),
                state: self.state.code(),
                finished_at: micros(self.finished_at),
                last_event_seq: self.last_event_seq,
            })?;
        } else {
            return self.store(conn);
        }
        Ok(())
    }

    /// This row, if it had changed in what [`BeginTask`] writes, and become what `after` is.
    fn begun_as(&self, after: &Self) -> Self {
        Self {
            state: after.state,
            attempt: after.attempt,
            wait_deadline_at: None,
            started_at: after.started_at,
            agent: after.agent,
            lease_expires_at: after.lease_expires_at,
            lease_cap_at: after.lease_cap_at,
            lease_ttl_ms: after.lease_ttl_ms,
            last_event_seq: after.last_event_seq,
            ..self.clone()
        }
    }

    /// The same of [`EndTask`].
    fn ended_as(&self, after: &Self) -> Self {
        Self {
            state: after.state,
            eligible_at: None,
            wait_deadline_at: None,
            finished_at: after.finished_at,
            lease_expires_at: None,
            lease_cap_at: None,
            last_event_seq: after.last_event_seq,
            ..self.clone()
        }
    }

    /// Writes the lease, which is all that changed.
    pub(crate) fn store_lease(&self, conn: &mut Conn, lease_expires_at: Timestamp) -> Result<(), Failure> {
        if let Some(session) = conn.gathering() {
            session.change_task(self.clone());
            return Ok(());
        }
        let (id, lease_expires_at) = (self.id.raw(), lease_expires_at.as_micros());
        conn.execute(StoreLease { id, lease_expires_at })?;
        Ok(())
    }

    /// Writes a new row; `false` when a task of this id is there already, which is left as it is.
    pub(crate) fn insert(&self, conn: &mut Conn) -> Result<bool, Failure> {
        if let Some(session) = conn.gathering() {
            return session.add_task(self.clone());
        }
        let row = self.new_row();
        if let Some(session) = conn.adding() {
            // Of an id that is there already the batch hears when it is written.
            session.add_task(row);
            return Ok(true);
        }
        Ok(conn.execute(row)? > 0)
    }

    fn new_row(&self) -> InsertTask {
        InsertTask {
            id: self.id.raw(),
            tenant_id: self.tenant.0,
            lane_id: self.lane.0,
            state: self.state.code(),
            priority: i16::from(self.priority),
            attempt: count_column(self.attempt),
            failures: count_column(self.failures),
            attempts_max: count_column(self.attempts_max),
            eligible_at: micros(self.eligible_at),
            wait_deadline_at: micros(self.wait_deadline_at),
            close_deadline_at: micros(self.close_deadline_at),
            started_at: micros(self.started_at),
            agent_id: self.agent.map(AgentId::raw),
            lease_expires_at: micros(self.lease_expires_at),
            lease_cap_at: micros(self.lease_cap_at),
            lease_ttl_ms: span_column(self.lease_ttl_ms),
            last_event_seq: self.last_event_seq,
        }
    }
}

impl TryFrom<RawTask> for TaskRow {
    type Error = Failure;

    fn try_from(raw: RawTask) -> Result<Self, Failure> {
        let corrupt = |why: &str| Failure::corrupt(TaskId::from_raw(raw.id).to_string(), why);
        let count = |column: i32| u32::try_from(column).map_err(|_| corrupt("a negative count"));
        let state = TaskState::from_code(raw.state).ok_or_else(|| corrupt("unknown state"))?;
        let is_held = raw.agent_id.is_some() && raw.started_at.is_some() && raw.lease_expires_at.is_some();
        if state == TaskState::Working && !is_held {
            return Err(corrupt("it works without a holder, a start or a lease"));
        }
        let priority = u8::try_from(raw.priority).ok().filter(|priority| *priority <= PRIORITY_MAX);
        Ok(Self {
            id: TaskId::from_raw(raw.id),
            tenant: TenantId(raw.tenant_id),
            lane: LaneId(raw.lane_id),
            state,
            priority: priority.ok_or_else(|| corrupt("priority out of range"))?,
            attempt: count(raw.attempt)?,
            failures: count(raw.failures)?,
            attempts_max: count(raw.attempts_max)?,
            crashes: count(raw.crashes)?,
            eligible_at: moment(raw.eligible_at),
            wait_deadline_at: moment(raw.wait_deadline_at),
            close_deadline_at: moment(raw.close_deadline_at),
            started_at: moment(raw.started_at),
            finished_at: moment(raw.finished_at),
            agent: raw.agent_id.map(AgentId::from_raw),
            lease_expires_at: moment(raw.lease_expires_at),
            lease_cap_at: moment(raw.lease_cap_at),
            lease_ttl_ms: raw.lease_ttl_ms.map_or(0, span),
            cancel_requested_at: moment(raw.cancel_requested_at),
            expired: raw.expired_kind.and_then(Expiry::from_code),
            last_event_seq: raw.last_event_seq,
        })
    }
}

statement! {
    /// One row by its id.
    LoadTask { id: i64 } -> TaskSql =
    concat!("SELECT ", task_columns!(), " FROM tasks t WHERE t.id = "); id
}

statement! {
    /// All that may change of a row. SQLite leaves alone every partial index that neither the old nor the new row
    /// belongs to.
    StoreTask {
        id: i64, state: i16, priority: i16, attempt: i32, failures: i32, crashes: i32, eligible_at: Option<i64>,
        wait_deadline_at: Option<i64>, close_deadline_at: Option<i64>, started_at: Option<i64>,
        finished_at: Option<i64>, agent_id: Option<i64>, lease_expires_at: Option<i64>, lease_cap_at: Option<i64>,
        lease_ttl_ms: i64, cancel_requested_at: Option<i64>, expired_kind: Option<i16>, last_event_seq: i64,
    } =
    "UPDATE tasks SET state = "; state, ", priority = "; priority, ", attempt = "; attempt,
    ", failures = "; failures, ", crashes = "; crashes, ", eligible_at = "; eligible_at,
    ", wait_deadline_at = "; wait_deadline_at,
    ", close_deadline_at = "; close_deadline_at, ", started_at = "; started_at, ", finished_at = "; finished_at,
    ", agent_id = "; agent_id, ", lease_expires_at = "; lease_expires_at, ", lease_cap_at = "; lease_cap_at,
    ", lease_ttl_ms = "; lease_ttl_ms, ", cancel_requested_at = "; cancel_requested_at,
    ", expired_kind = "; expired_kind, ", last_event_seq = "; last_event_seq, " WHERE id = "; id
}

statement! {
    /// What beginning an attempt changes.
    BeginTask {
        id: i64, state: i16, attempt: i32, started_at: Option<i64>, agent_id: Option<i64>, lease_expires_at: Option<i64>,
        lease_cap_at: Option<i64>, lease_ttl_ms: i64, last_event_seq: i64,
    } =
    "UPDATE tasks SET wait_deadline_at = NULL, state = "; state, ", attempt = "; attempt,
    ", started_at = "; started_at, ", agent_id = "; agent_id, ", lease_expires_at = "; lease_expires_at,
    ", lease_cap_at = "; lease_cap_at, ", lease_ttl_ms = "; lease_ttl_ms, ", last_event_seq = "; last_event_seq,
    " WHERE id = "; id
}

statement! {
    /// What ending a task changes whose attempt succeeded.
    EndTask { id: i64, state: i16, finished_at: Option<i64>, last_event_seq: i64 } =
    "UPDATE tasks SET eligible_at = NULL, wait_deadline_at = NULL, lease_expires_at = NULL, lease_cap_at = NULL, \
     state = "; state, ", finished_at = "; finished_at, ", last_event_seq = "; last_event_seq, " WHERE id = "; id
}

statement! {
    /// Only the lease.
    StoreLease { id: i64, lease_expires_at: i64 } =
    "UPDATE tasks SET lease_expires_at = "; lease_expires_at, " WHERE id = "; id
}

statement! {
    /// A new row.
    InsertTask {
        id: i64, tenant_id: i64, lane_id: i64, state: i16, priority: i16, attempt: i32, failures: i32,
        attempts_max: i32, eligible_at: Option<i64>, wait_deadline_at: Option<i64>,
        close_deadline_at: Option<i64>, started_at: Option<i64>, agent_id: Option<i64>,
        lease_expires_at: Option<i64>, lease_cap_at: Option<i64>, lease_ttl_ms: i64, last_event_seq: i64,
    } =
    "INSERT INTO tasks (id, tenant_id, lane_id, state, priority, attempt, failures, attempts_max, eligible_at, \
     wait_deadline_at, close_deadline_at, started_at, agent_id, lease_expires_at, lease_cap_at, lease_ttl_ms, \
     last_event_seq) VALUES ("; id, ", "; tenant_id, ", "; lane_id, ", "; state, ", "; priority, ", "; attempt,
    ", "; failures, ", "; attempts_max, ", "; eligible_at, ", "; wait_deadline_at, ", "; close_deadline_at,
    ", "; started_at, ", "; agent_id, ", "; lease_expires_at, ", "; lease_cap_at, ", "; lease_ttl_ms,
    ", "; last_event_seq, ") ON CONFLICT (id) DO NOTHING"
}
