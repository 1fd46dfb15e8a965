//! Rows as commands read and write them: in the unit of work, and from the database where it does not hold them yet.

use std::sync::Arc;

use domain::{AcceptedTask, AgentId, LaneId, TaskId, TenantId, Timestamp};

use super::fetch::{RawHead, RawKey, learn_heads};
use super::loads::{LoadKeys, LoadSpecs, LoadStandings, LoadUniques, LockHeads, LockTasks};
use super::session::PgSession;
use super::unit::{KeyRow, NewUnique, SpecSlot};
use crate::sql::agent_row::Standing;
use crate::sql::attempt_row::AttemptColumns;
use crate::sql::commands::claim_tasks::understood;
use crate::sql::failure::Failure;
use crate::sql::queries::tasks::LoadInput;
use crate::sql::spec_row::{RawSpec, Spec, SpecColumns};
use crate::sql::task_row::{RawTask, TaskRow};

/// Heads that are read at a time where a claim finds fewer than it may take.
const BLOCK: i64 = 64;

/// A queued task, what it asks for, and its input.
pub(crate) type Head = (TaskRow, Spec, Option<Arc<str>>);
/// A task's id, and the task or why it cannot be understood.
pub(crate) type Looked = (i64, Result<Head, Failure>);

/// Tasks.
impl PgSession {
    /// A task, locked, if there is one.
    pub(crate) fn task(&mut self, id: TaskId) -> Result<Option<TaskRow>, Failure> {
        if let Some(known) = self.unit.task(id) {
            return Ok(known.cloned());
        }
        let raw = self.peek_optional::<RawTask, _>(LockTasks { id: vec![id.raw()] })?;
        let row = raw.map(TaskRow::try_from).transpose()?;
        self.unit.learn_task(id.raw(), row.clone());
        Ok(row)
    }

    /// A task changes.
    pub(crate) fn change_task(&mut self, row: TaskRow) {
        self.unit.change_task(row);
    }

    /// A new task; `false` when one of this id is there already, which is left as it is.
    pub(crate) fn add_task(&mut self, row: TaskRow) -> Result<bool, Failure> {
        if self.task(row.id)?.is_some() {
            return Ok(false);
        }
        self.unit.add_task(row);
        Ok(true)
    }

    /// At most `count` of the oldest queued tasks of one lane and priority above an id.
    pub(crate) fn heads(
        &mut self,
        (lane, priority): (LaneId, u8),
        after: i64,
        count: usize,
    ) -> Result<Vec<Looked>, Failure> {
        let run = (lane.0, priority);
        loop {
            let (ids, may_be_more) = self.unit.queued(run, after, count);
            if may_be_more {
                self.more_heads(run, count)?;
                continue;
            }
            let mut heads = Vec::with_capacity(ids.len());
            for id in ids {
                if let Some(head) = self.head(id).transpose() {
                    heads.push((id.raw(), head));
                }
            }
            return Ok(heads);
        }
    }

    fn head(&mut self, id: TaskId) -> Result<Option<Head>, Failure> {
        let Some(row) = self.task(id)? else { return Ok(None) };
        let (spec, input) = self.spec_and_input(id)?;
        Ok(Some((row, spec, input)))
    }

    /// Reads on where what is known of a run ends.
    fn more_heads(&mut self, run: (i64, u8), count: usize) -> Result<(), Failure> {
        let asked = i64::try_from(count).unwrap_or(BLOCK).max(BLOCK);
        let heads = LockHeads::of(std::iter::once((run.0, run.1, self.unit.known_to(run), asked)));
        let rows = self.peek_all::<RawHead, _>(heads)?;
        learn_heads(&mut self.unit, rows, &[(run, asked)]);
        Ok(())
    }
}

/// What was asked for.
impl PgSession {
    /// The spec of a task that has one.
    pub(crate) fn spec(&mut self, task: TaskId) -> Result<Spec, Failure> {
        if let Some(known) = self.unit.specs.get(&task.raw()) {
            return Ok(known.spec.clone());
        }
        let (_, raw) = self.peek::<(i64, RawSpec), _>(LoadSpecs { task: vec![task.raw()] })?;
        let spec = Spec::try_from(raw)?;
        self.unit.specs.insert(task.raw(), SpecSlot { spec: spec.clone(), input: None });
        Ok(spec)
    }

    /// The spec of a task that is being accepted.
    pub(crate) fn add_spec(&mut self, task: &AcceptedTask, now: Timestamp) -> Result<(), Failure> {
        let columns = SpecColumns::of(task, now)?;
        let slot = SpecSlot { spec: Spec::of(task, now), input: Some(columns.input.clone()) };
        self.unit.specs.insert(columns.task, slot);
        self.unit.new_specs.push(columns);
        Ok(())
    }

    fn spec_and_input(&mut self, task: TaskId) -> Result<(Spec, Option<Arc<str>>), Failure> {
        let spec = self.spec(task)?;
        if let Some(SpecSlot { input: Some(input), .. }) = self.unit.specs.get(&task.raw()) {
            return Ok((spec, input.clone()));
        }
        let (input,) = self.peek::<(Option<String>,), _>(LoadInput { task: task.raw() })?;
        let input = understood(input)?;
        if let Some(slot) = self.unit.specs.get_mut(&task.raw()) {
            slot.input = Some(input.clone());
        }
        Ok((spec, input))
    }
}

/// Attempts and agents.
impl PgSession {
    /// An attempt has ended.
    pub(crate) fn add_attempt(&mut self, attempt: AttemptColumns) {
        self.unit.new_attempts.insert((attempt.task, attempt.attempt), attempt);
    }

    /// An attempt that ended in this transaction and is not written yet.
    pub(crate) fn attempt(&self, task: TaskId, attempt: i32) -> Option<&AttemptColumns> {
        self.unit.new_attempts.get(&(task.raw(), attempt))
    }

    /// The newest attempt of a task that ended in this transaction and is not written yet.
    pub(crate) fn last_attempt(&self, task: TaskId) -> Option<&AttemptColumns> {
        self.unit.last_attempt(task.raw())
    }

    /// What a claim asks of an agent that is there.
    pub(crate) fn standing(&mut self, id: AgentId) -> Result<Option<Standing>, Failure> {
        if let Some(known) = self.unit.standings.get(&id.raw()) {
            return Ok(known.clone());
        }
        let found =
            self.peek_optional::<(i64, i64, String, bool), _>(LoadStandings { id: vec![id.raw()] })?;
        let standing = found.map(|(_, tenant, capabilities, is_draining)| Standing {
            tenant: TenantId(tenant),
            capabilities,
            is_draining,
        });
        self.unit.standings.insert(id.raw(), standing.clone());
        Ok(standing)
    }
}

/// Keys.
impl PgSession {
    /// An idempotency key: what it names, the fingerprint of its request, and until when.
    pub(crate) fn key(
        &mut self,
        tenant: TenantId,
        hash: &[u8; 32],
        kind: i16,
    ) -> Result<Option<(i64, Vec<u8>, i64)>, Failure> {
        let id = (tenant.0, *hash, kind);
        if self.unit.key(&id).is_none() {
            let rows = LoadKeys { tenant: vec![tenant.0], hash: vec![hash], kind: vec![kind] };
            let found = self.peek_optional::<RawKey, _>(rows)?;
            let row = found.map(|(_, _, _, subject, fingerprint, expires_at)| KeyRow {
                subject,
                fingerprint,
                expires_at,
            });
            self.unit.learn_key(id, row);
        }
        let known = self.unit.key(&id).flatten();
        Ok(known.map(|row| (row.subject, row.fingerprint.clone(), row.expires_at)))
    }

    /// Writes an idempotency key, in place of the one before.
    pub(crate) fn put_key(
        &mut self,
        (tenant, hash, kind): (TenantId, &[u8; 32], i16),
        subject: i64,
        fingerprint: &[u8; 32],
        expires_at: i64,
    ) {
        let row = KeyRow { subject, fingerprint: fingerprint.to_vec(), expires_at };
        self.unit.put_key((tenant.0, *hash, kind), row);
    }

    /// The newest row of a unique key: which task, and until when.
    pub(crate) fn newest_of_key(
        &mut self,
        tenant: TenantId,
        key: &str,
    ) -> Result<Option<(i64, Option<i64>)>, Failure> {
        let id = (tenant.0, key.to_owned());
        if let Some(known) = self.unit.uniques.get(&id) {
            return Ok(*known);
        }
        let rows = LoadUniques { tenant: vec![tenant.0], key: vec![key] };
        let found = self.peek_optional::<(i64, String, i64, Option<i64>), _>(rows)?;
        let holder = found.map(|(_, _, task, expires_at)| (task, expires_at));
        self.unit.uniques.insert(id, holder);
        Ok(holder)
    }

    /// A task takes a unique key.
    pub(crate) fn take_key(
        &mut self,
        (tenant, key): (TenantId, &str),
        task: TaskId,
        since_seq: i64,
        expires_at: Option<i64>,
    ) {
        let (tenant, task) = (tenant.0, task.raw());
        self.unit.uniques.insert((tenant, key.to_owned()), Some((task, expires_at)));
        self.unit.new_uniques.push(NewUnique { tenant, key: key.to_owned(), since_seq, task, expires_at });
    }
}
