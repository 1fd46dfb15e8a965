//! What people outside were told, and hold the hive to.

use std::collections::{BTreeMap, BTreeSet};

use domain::{TaskId, TaskState};

/// See the module.
#[derive(Debug, Default)]
pub struct Promises {
    /// The task that a key was given.
    keys: BTreeMap<String, TaskId>,
    /// Tasks that were acknowledged.
    pub accepted: BTreeSet<TaskId>,
    /// Attempts that somebody was handed.
    granted: BTreeSet<(TaskId, u32)>,
    /// The attempt whose success was acknowledged, with its result.
    pub completed: BTreeMap<TaskId, (u32, String)>,
    /// Ends that were acknowledged, by attempt.
    pub ended: BTreeMap<(TaskId, u32), TaskState>,
}

impl Promises {
    /// A submit was acknowledged.
    pub fn accepted(&mut self, key: Option<&str>, task: TaskId) -> Result<(), String> {
        let is_new = self.accepted.insert(task);
        let Some(key) = key else {
            return if is_new { Ok(()) } else { Err(format!("{task} is the id of two requests")) };
        };
        match self.keys.insert(key.to_owned(), task) {
            Some(before) if before != task => Err(format!("key {key} gave {before} and then {task}")),
            Some(_) => Ok(()),
            None if is_new => Ok(()),
            None => Err(format!("{task} is the id of two keys")),
        }
    }

    /// An attempt was handed to somebody.
    pub fn granted(&mut self, task: TaskId, attempt: u32) -> Result<(), String> {
        if self.granted.insert((task, attempt)) {
            Ok(())
        } else {
            Err(format!("{task}:{attempt} was handed out twice"))
        }
    }

    /// The end of an attempt was acknowledged, by its first report or a repeated one.
    pub fn ended(
        &mut self,
        task: TaskId,
        attempt: u32,
        state: TaskState,
        result: Option<String>,
    ) -> Result<(), String> {
        let is_success = result.is_some();
        if let Some(result) = result {
            match self.completed.get(&task) {
                Some((first, _)) if *first != attempt => {
                    return Err(format!("{task} was accepted as completed by {first} and by {attempt}"));
                }
                _ => {
                    self.completed.insert(task, (attempt, result));
                }
            }
        }
        if is_success && state != TaskState::Completed {
            return Err(format!("{task}:{attempt} succeeded and is {state:?}"));
        }
        self.ended.insert((task, attempt), state);
        Ok(())
    }
}
