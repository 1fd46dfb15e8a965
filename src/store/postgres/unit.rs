//! The rows that a transaction has read and is going to write, in memory: commands see each other's changes here, and
//! the database gets each row once, all rows of a table in one statement.
//!
//! Invariant: a row that is here was locked when it was read, or is new. What is here is what the transaction says,
//! whatever the database still holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::{TaskId, TaskState};

use crate::sql::agent_row::Standing;
use crate::sql::attempt_row::AttemptColumns;
use crate::sql::spec_row::{Spec, SpecColumns};
use crate::sql::task_row::TaskRow;

/// What becomes of a row when the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is as it was read.
    Kept,
    /// It is inserted.
    New,
    /// It is updated.
    Changed,
}

/// A task, or that there is none.
#[derive(Debug)]
struct TaskSlot {
    row: Option<TaskRow>,
    fate: Fate,
}

/// What was asked for; the input where it is known, too.
#[derive(Debug, Clone)]
pub(super) struct SpecSlot {
    pub spec: Spec,
    pub input: Option<Option<Arc<str>>>,
}

/// An idempotency key: tenant, hash and kind.
pub(super) type KeyId = (i64, [u8; 32], i16);

/// What an idempotency key names.
#[derive(Debug, Clone)]
pub(super) struct KeyRow {
    pub subject: i64,
    pub fingerprint: Vec<u8>,
    pub expires_at: i64,
}

/// A unique key: tenant and key.
pub(super) type UniqueId = (i64, String);

/// The newest row of a unique key: which task, and until when.
pub(super) type UniqueHolder = (i64, Option<i64>);

/// A task takes a unique key.
#[derive(Debug)]
pub(super) struct NewUnique {
    pub tenant: i64,
    pub key: String,
    pub since_seq: i64,
    pub task: i64,
    pub expires_at: Option<i64>,
}

/// A lane and priority.
pub(super) type Run = (i64, u8);

/// All that a transaction has in memory.
#[derive(Default)]
pub(super) struct Unit {
    tasks: BTreeMap<i64, TaskSlot>,
    /// Tasks whose rows are there and could not be understood.
    doubtful: BTreeSet<i64>,
    /// Ids of the tasks here that are queued, by lane and priority.
    queued: HashMap<Run, BTreeSet<i64>>,
    /// Up to which id every queued task of a lane and priority is here; `i64::MAX` once all are.
    known_to: HashMap<Run, i64>,
    pub(super) specs: HashMap<i64, SpecSlot>,
    pub(super) new_specs: Vec<SpecColumns>,
    /// Attempts that ended in this transaction, by task and number.
    pub(super) new_attempts: BTreeMap<(i64, i32), AttemptColumns>,
    pub(super) standings: HashMap<i64, Option<Standing>>,
    keys: BTreeMap<KeyId, (Option<KeyRow>, Fate)>,
    pub(super) uniques: HashMap<UniqueId, Option<UniqueHolder>>,
    pub(super) new_uniques: Vec<NewUnique>,
}

impl Unit {
    /// Whether it has something to write.
    pub(super) fn is_clean(&self) -> bool {
        self.new_specs.is_empty()
            && self.new_attempts.is_empty()
            && self.new_uniques.is_empty()
            && self.tasks.values().all(|slot| slot.fate == Fate::Kept)
            && self.keys.values().all(|(_, fate)| *fate == Fate::Kept)
    }

    /// What was to be written is written.
    pub(super) fn wash(&mut self) {
        self.new_specs.clear();
        self.new_attempts.clear();
        self.new_uniques.clear();
        for slot in self.tasks.values_mut() {
            slot.fate = Fate::Kept;
        }
        for (_, fate) in self.keys.values_mut() {
            *fate = Fate::Kept;
        }
    }

    /// A task that is known here; the inner `None` is one that is known not to be there.
    pub(super) fn task(&self, id: TaskId) -> Option<Option<&TaskRow>> {
        self.tasks.get(&id.raw()).map(|slot| slot.row.as_ref())
    }

    /// Notes a task as it was read, unless more is known of it already.
    pub(super) fn learn_task(&mut self, id: i64, row: Option<TaskRow>) {
        if self.tasks.contains_key(&id) {
            return;
        }
        if let Some(row) = &row {
            self.index(row);
        }
        self.tasks.insert(id, TaskSlot { row, fate: Fate::Kept });
    }

    /// A task is there, but its row cannot be understood.
    pub(super) fn doubt_task(&mut self, id: i64) {
        self.doubtful.insert(id);
    }

    /// Whether nothing can be said of a task here, not even that it is not there.
    pub(super) fn is_in_doubt(&self, id: i64) -> bool {
        self.doubtful.contains(&id)
    }

    /// A task changes.
    pub(super) fn change_task(&mut self, row: TaskRow) {
        let id = row.id.raw();
        self.index(&row);
        match self.tasks.get_mut(&id) {
            Some(slot) => {
                if slot.fate != Fate::New {
                    slot.fate = Fate::Changed;
                }
                let before = slot.row.replace(row);
                self.unindex(before.as_ref(), id);
            }
            None => {
                self.tasks.insert(id, TaskSlot { row: Some(row), fate: Fate::Changed });
            }
        }
    }

    /// A task that is not there yet.
    pub(super) fn add_task(&mut self, row: TaskRow) {
        self.index(&row);
        self.tasks.insert(row.id.raw(), TaskSlot { row: Some(row), fate: Fate::New });
    }

    /// Tasks to insert, by id.
    pub(super) fn new_tasks(&self) -> impl Iterator<Item = &TaskRow> {
        self.of_fate(Fate::New)
    }

    /// Tasks to update, by id.
    pub(super) fn changed_tasks(&self) -> impl Iterator<Item = &TaskRow> {
        self.of_fate(Fate::Changed)
    }

    fn of_fate(&self, fate: Fate) -> impl Iterator<Item = &TaskRow> {
        self.tasks.values().filter(move |slot| slot.fate == fate).filter_map(|slot| slot.row.as_ref())
    }

    fn index(&mut self, row: &TaskRow) {
        if row.state == TaskState::Queued {
            self.queued.entry((row.lane.0, row.priority)).or_default().insert(row.id.raw());
        }
    }

    /// Takes a task out of where it stood before, if it does not stand there still.
    fn unindex(&mut self, before: Option<&TaskRow>, id: i64) {
        let Some(before) = before.filter(|row| row.state == TaskState::Queued) else { return };
        let run = (before.lane.0, before.priority);
        let now = self.tasks.get(&id).and_then(|slot| slot.row.as_ref());
        let stays =
            now.is_some_and(|row| row.state == TaskState::Queued && (row.lane.0, row.priority) == run);
        if !stays && let Some(ids) = self.queued.get_mut(&run) {
            ids.remove(&id);
        }
    }

    /// The next queued tasks of a run above `after`, as far as all are known; and whether there may be more that are not.
    pub(super) fn queued(&self, run: Run, after: i64, count: usize) -> (Vec<TaskId>, bool) {
        let known_to = self.known_to(run);
        let Some(first) = after.checked_add(1).filter(|first| *first <= known_to) else {
            return (Vec::new(), known_to < i64::MAX);
        };
        let ids: Vec<_> = self
            .queued
            .get(&run)
            .into_iter()
            .flat_map(|ids| ids.range(first..=known_to))
            .take(count)
            .map(|id| TaskId::from_raw(*id))
            .collect();
        let may_be_more = ids.len() < count && known_to < i64::MAX;
        (ids, may_be_more)
    }

    /// Up to which id every queued task of a run is here.
    pub(super) fn known_to(&self, run: Run) -> i64 {
        self.known_to.get(&run).copied().unwrap_or(i64::MIN)
    }

    /// Every queued task of a run up to this id is here.
    pub(super) fn knows_to(&mut self, run: Run, id: i64) {
        self.known_to.insert(run, id);
    }

    /// A key that is known here; the inner `None` is one that is known not to be there.
    pub(super) fn key(&self, id: &KeyId) -> Option<Option<&KeyRow>> {
        self.keys.get(id).map(|(row, _)| row.as_ref())
    }

    /// Notes a key as it was read.
    pub(super) fn learn_key(&mut self, id: KeyId, row: Option<KeyRow>) {
        self.keys.entry(id).or_insert((row, Fate::Kept));
    }

    /// Writes a key, in place of the one before.
    pub(super) fn put_key(&mut self, id: KeyId, row: KeyRow) {
        self.keys.insert(id, (Some(row), Fate::Changed));
    }

    /// Keys to write.
    pub(super) fn changed_keys(&self) -> impl Iterator<Item = (&KeyId, &KeyRow)> {
        let changed = self.keys.iter().filter(|(_, (_, fate))| *fate == Fate::Changed);
        changed.filter_map(|(id, (row, _))| row.as_ref().map(|row| (id, row)))
    }

    /// The newest attempt of a task that ended in this transaction.
    pub(super) fn last_attempt(&self, task: i64) -> Option<&AttemptColumns> {
        self.new_attempts.range((task, i32::MIN)..=(task, i32::MAX)).next_back().map(|(_, attempt)| attempt)
    }
}
