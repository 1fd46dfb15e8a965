//! `hive queue limit`: how many tasks of a queue may be worked on at a time.

use clap::Args;
use domain::Name;
use protocol::PutQueue;

use super::Context;
use super::words::{count, counted};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::QUEUE_LIMIT)]
pub struct QueueLimit {
    /// The queue; it need not exist yet
    #[arg(value_name = "NAME")]
    queue: Name,
    /// Most tasks of it that are worked on at a time, 1 to 100000, or none
    #[arg(value_name = "N|none", value_parser = limit)]
    limit: Limit,
}

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy)]
struct Limit(Option<u32>);

fn limit(text: &str) -> Result<Limit, &'static str> {
    if text == "none" {
        return Ok(Limit(None));
    }
    text.parse().map(|limit| Limit(Some(limit))).map_err(|_| "must be a whole number, or none")
}

impl QueueLimit {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let asked = PutQueue { concurrency_limit: Some(self.limit.0) };
        let queue = context.client.put_queue(&self.queue, &asked).await?;
        if context.screen.is_json() {
            context.screen.line(queue.text())?;
            return Ok(Exit::Fine);
        }
        let name = &queue.name;
        let Some(limit) = queue.concurrency_limit.map(u64::from) else {
            context.screen.note(&format!("the queue {name} has no limit now"));
            return Ok(Exit::Fine);
        };
        let working = queue.tasks.working;
        let more = if working > limit {
            format!(
                "; {} are worked on and go on, and nothing more begins until enough have ended",
                count(working)
            )
        } else {
            String::new()
        };
        let limit = counted(limit, "task");
        context.screen.note(&format!("{limit} of the queue {name} may be worked on at a time now{more}"));
        Ok(Exit::Fine)
    }
}
