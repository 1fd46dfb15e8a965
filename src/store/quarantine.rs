//! Tasks whose rows cannot be understood: somebody wrote them past the hive, or the disk changed them. Each is named in the
//! log once, counted, and left as it is; whatever is asked of many tasks goes on without it.
//!
//! Invariant: nobody changes such a row but people. A read or a command that names its task is told why.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::TaskId;
use parking_lot::Mutex;
use prometheus::IntGauge;

use crate::sql::failure::Failure;

/// Most rows that are remembered by name; more are named again each time somebody meets them.
const NAMED_MAX: usize = 10_000;
/// Most rows that one read takes beyond what it was asked for, because so many cannot be understood.
const ALLOWANCE_MAX: u32 = 4_096;

/// See the module. Cheap to clone; all clones know the same rows.
#[derive(Debug, Clone)]
pub struct Quarantine {
    rows: Arc<Mutex<BTreeSet<i64>>>,
    count: IntGauge,
}

impl Quarantine {
    /// One that knows of no row.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let count = IntGauge::new(
            "hive_store_quarantined_tasks",
            "Tasks met since the start whose rows cannot be understood",
        )?;
        Ok(Self { rows: Arc::default(), count })
    }

    /// How many there are, as far as somebody met them.
    #[must_use]
    pub const fn count(&self) -> &IntGauge {
        &self.count
    }

    /// How many more rows than it wants a bounded read takes, so that what cannot be understood does not fill it: as many
    /// as are known, up to 4,096. More than that at the head of one queue or one janitor's work hold up what is behind them.
    pub(crate) fn allowance(&self) -> u32 {
        u32::try_from(self.count.get()).unwrap_or(0).min(ALLOWANCE_MAX)
    }

    /// All of one task among many, as a claim reads it; `None` where it cannot be understood.
    pub(crate) fn admit<T>(&self, task: i64, read: Result<T, Failure>) -> Result<Option<T>, Failure> {
        let row = self.pass(task, read)?;
        // Nearly always there is none, and then nobody waits for anybody here.
        if row.is_some() && self.count.get() > 0 {
            self.release(task);
        }
        Ok(row)
    }

    /// A part of one task among many, as a list or a janitor reads it: what is wrong may be in the rest, so that nothing is
    /// released.
    pub(crate) fn pass<T>(&self, task: i64, read: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match read {
            Ok(row) => Ok(Some(row)),
            Err(Failure::Corrupt { what, why }) => {
                self.note(task, &format!("{what}: {why}"));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    fn note(&self, task: i64, why: &str) {
        let mut rows = self.rows.lock();
        if rows.contains(&task) {
            return;
        }
        if rows.len() < NAMED_MAX {
            rows.insert(task);
        }
        self.count.set(i64::try_from(rows.len()).unwrap_or(i64::MAX));
        drop(rows);
        let id = TaskId::from_raw(task);
        tracing::error!(task.id = %id, why, "a stored task cannot be understood; it is left alone, and the others go on");
    }

    fn release(&self, task: i64) {
        let mut rows = self.rows.lock();
        if rows.remove(&task) {
            self.count.set(i64::try_from(rows.len()).unwrap_or(i64::MAX));
            tracing::info!(task.id = %TaskId::from_raw(task), "a stored task can be understood again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrupt() -> Result<(), Failure> {
        Err(Failure::corrupt("labels", "no JSON"))
    }

    #[test]
    fn a_row_is_counted_once_until_it_can_be_understood_again() {
        let quarantine = Quarantine::new().unwrap();
        for _ in 0..3 {
            assert!(quarantine.admit(1, corrupt()).unwrap().is_none());
        }
        assert!(quarantine.admit(2, corrupt()).unwrap().is_none());
        assert_eq!(quarantine.count().get(), 2);
        assert!(quarantine.admit(1, Ok(())).unwrap().is_some());
        assert_eq!(quarantine.count().get(), 1);
    }

    #[test]
    fn what_is_wrong_with_the_database_is_not_the_rows_fault() {
        let quarantine = Quarantine::new().unwrap();
        let lost = Failure::from(diesel::result::Error::BrokenTransactionManager);
        assert!(quarantine.admit::<()>(1, Err(lost)).is_err());
        assert_eq!(quarantine.count().get(), 0);
    }
}
