//! `hive queue show`.

use clap::Args;
use domain::Name;
use protocol::QueueView;

use super::Context;
use super::table::{Facts, number, state, text};
use super::words::count;
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct QueueShow {
    /// The queue
    #[arg(value_name = "NAME")]
    queue: Name,
}

impl QueueShow {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let queue = context.client.queue(&self.queue).await?;
        if context.screen.is_json() {
            context.screen.line(queue.text())?;
        } else {
            context.screen.facts(&facts(&queue))?;
        }
        Ok(Exit::Fine)
    }
}

fn facts(queue: &QueueView) -> Facts {
    let mut facts = Facts::default();
    facts.add("name", text(&queue.name));
    facts.add("state", state(if queue.paused { "paused" } else { "open" }));
    let limit = queue.concurrency_limit.map_or_else(
        || "none: as many at a time as agents take".to_owned(),
        |limit| format!("{} at a time", count(u64::from(limit))),
    );
    facts.add("limit", text(limit));
    let tasks = &queue.tasks;
    facts.add("queued", number(tasks.queued));
    let waiting = queue.queued_by_priority.iter().zip(0_u32..10).rev().filter(|(number, _)| **number > 0);
    let waiting: Vec<String> =
        waiting.map(|(number, priority)| format!("{} of priority {priority}", count(*number))).collect();
    facts.add_some("waiting", (!waiting.is_empty()).then(|| text(waiting.join(", "))));
    facts.add("scheduled", number(tasks.scheduled));
    facts.add("working", number(tasks.working));
    facts.add("completed", number(tasks.completed));
    facts.add("failed", number(tasks.failed));
    facts.add("canceled", number(tasks.canceled));
    facts
}
