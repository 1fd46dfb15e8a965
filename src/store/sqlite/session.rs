//! A connection to SQLite, and the tasks that a batch has accepted and not written yet: several rows by one statement cost
//! less than each by its own.
//!
//! Invariant: whoever reads or writes what tasks are about finds each that was added before. Rows are gathered only where a
//! batch is applied together; one that is there already fails the batch, which is then applied command by command.

use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;

use crate::sql::rows::{self, row};
use crate::sql::spec_row::{InsertSpec, SpecColumns};
use crate::sql::task_row::InsertTask;

/// The stored number of a task's state, as it stands in the statement for [`Ready`].
const QUEUED: i16 = domain::TaskState::Queued.code();

/// See the module.
pub(crate) struct SqliteSession {
    conn: SqliteConnection,
    is_gathering: bool,
    ready: Vec<Ready>,
    tasks: Vec<InsertTask>,
    specs: Vec<SpecColumns>,
}

/// A task that waits to begin and has no deadline, as most are: the rest of its row is the same for all of them.
struct Ready {
    id: i64,
    tenant_id: i64,
    lane_id: i64,
    priority: i16,
    attempts_max: i32,
    last_event_seq: i64,
}

impl SqliteSession {
    pub(crate) const fn new(conn: SqliteConnection) -> Self {
        Self { conn, is_gathering: false, ready: Vec::new(), tasks: Vec::new(), specs: Vec::new() }
    }

    /// The connection, for what is not about tasks.
    pub(crate) const fn aside(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    /// The connection, with everything written that was added.
    pub(crate) fn written(&mut self) -> QueryResult<&mut SqliteConnection> {
        if !self.specs.is_empty() || !self.ready.is_empty() || !self.tasks.is_empty() {
            self.write()?;
        }
        Ok(&mut self.conn)
    }

    /// Whether rows are gathered from now on.
    pub(crate) const fn gather(&mut self, is_gathering: bool) {
        self.is_gathering = is_gathering;
    }

    /// Whether rows are gathered.
    pub(crate) const fn is_gathering(&self) -> bool {
        self.is_gathering
    }

    /// Adds the row of a new task.
    pub(crate) fn add_task(&mut self, task: InsertTask) {
        match Ready::of(&task) {
            Some(ready) => self.ready.push(ready),
            None => self.tasks.push(task),
        }
    }

    /// Adds what was asked for.
    pub(crate) fn add_spec(&mut self, spec: SpecColumns) {
        self.specs.push(spec);
    }

    /// Forgets what was added and is not written: its transaction is taken back.
    pub(crate) fn forget(&mut self) {
        self.ready.clear();
        self.tasks.clear();
        self.specs.clear();
    }

    fn write(&mut self) -> QueryResult<()> {
        let Self { conn, ready, tasks, specs, .. } = self;
        rows::insert(conn, ready)?;
        rows::insert(conn, tasks)?;
        let specs: Vec<InsertSpec<'_>> = specs.iter().map(InsertSpec::from).collect();
        rows::insert(conn, &specs)?;
        drop(specs);
        self.forget();
        Ok(())
    }
}

impl Ready {
    /// The row of such a task; `None` where it is another one.
    const fn of(task: &InsertTask) -> Option<Self> {
        let InsertTask {
            id,
            tenant_id,
            lane_id,
            state: QUEUED,
            priority,
            attempt: 0,
            failures: 0,
            attempts_max,
            eligible_at: None,
            wait_deadline_at: None,
            close_deadline_at: None,
            started_at: None,
            agent_id: None,
            lease_expires_at: None,
            lease_cap_at: None,
            lease_ttl_ms: 0,
            last_event_seq,
        } = *task
        else {
            return None;
        };
        Some(Self { id, tenant_id, lane_id, priority, attempts_max, last_event_seq })
    }
}

row!(
    Ready,
    "INSERT INTO tasks (id, tenant_id, lane_id, priority, attempts_max, last_event_seq, state, attempt, failures, \
     lease_ttl_ms) VALUES ",
    [id, tenant_id, lane_id, priority, attempts_max, last_event_seq],
    ", 1, 0, 0, 0"
);

row!(
    InsertTask,
    "INSERT INTO tasks (id, tenant_id, lane_id, state, priority, attempt, failures, attempts_max, eligible_at, \
     wait_deadline_at, close_deadline_at, started_at, agent_id, lease_expires_at, lease_cap_at, lease_ttl_ms, \
     last_event_seq) VALUES ",
    [
        id,
        tenant_id,
        lane_id,
        state,
        priority,
        attempt,
        failures,
        attempts_max,
        eligible_at,
        wait_deadline_at,
        close_deadline_at,
        started_at,
        agent_id,
        lease_expires_at,
        lease_cap_at,
        lease_ttl_ms,
        last_event_seq,
    ],
    ""
);

row!(
    InsertSpec<'a>,
    "INSERT INTO task_specs (task_id, title, kind, labels, backoff, timeouts, correlation_id, created_by, created_at, \
     input) VALUES ",
    [task, title, kind, labels, backoff, timeouts, correlation_id, created_by, created_at, input],
    ""
);
