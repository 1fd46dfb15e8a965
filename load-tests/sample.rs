//! Some of what was acknowledged, evenly over the whole run, to be compared with what is stored.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::server::Server;

/// Tasks that are compared at least, where there are so many.
const COMPARED_MIN: usize = 1_000;

/// See the module. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sample(Rc<RefCell<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// How many were offered.
    offered: u64,
    /// Of how many one is kept, as a power of two.
    stride: u32,
    /// The number in a task's title, and what the hive answered.
    answers: Vec<(u64, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Shown {
    id: String,
    title: String,
    state: String,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// The title of a task, which names it.
pub fn title(number: u64) -> String {
    format!("load {number:010}")
}

impl Sample {
    /// Offers an acknowledged task; `answer` is JSON that has its `id`.
    pub fn offer(&self, number: u64, answer: &[u8]) {
        let mut kept = self.0.borrow_mut();
        let place = kept.offered;
        kept.offered += 1;
        if !place.is_multiple_of(1 << kept.stride) {
            return;
        }
        kept.answers.push((number, answer.to_vec()));
        if kept.answers.len() >= 2 * COMPARED_MIN {
            kept.stride += 1;
            let mut is_kept = false;
            kept.answers.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
    }

    /// Compares what was kept with what the hive shows now; answers how many there were.
    ///
    /// # Errors
    /// When a task is missing, has another title, or is in a state other than these.
    pub async fn compare(&self, server: &Server, states: &[&str]) -> Result<u64> {
        let answers = std::mem::take(&mut self.0.borrow_mut().answers);
        let mut wire = server.place().connect().await?;
        let mut compared = 0;
        for (number, answer) in answers {
            let Named { id } = serde_json::from_slice(&answer).context("an acknowledgement without an id")?;
            let answer = wire.ask(&server.place().get(&format!("/api/v2/tasks/{id}"))).await?;
            let shown: Shown = answer.json(200)?;
            let is_it = shown.id == id && shown.title == title(number);
            ensure!(
                is_it && states.contains(&&*shown.state),
                "task {id}, number {number}: {}",
                answer.text()
            );
            compared += 1;
        }
        Ok(compared)
    }
}
