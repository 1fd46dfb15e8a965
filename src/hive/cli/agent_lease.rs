//! `hive agent lease`: takes assignments for an agent, for workers written in shell.

use clap::Args;
use protocol::{AssignmentView, LeaseRequest};

use super::screen::Screen;
use super::table::{Table, nothing, number, text};
use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::Span;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::AGENT_LEASE)]
pub struct AgentLease {
    /// The agent; with an API key of the role agent only its id
    #[arg(value_name = "ID|NAME")]
    agent: String,
    /// Most assignments, 1 to 1000 [default: 1]; never more than the agent's capacity leaves free
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// While there are none, wait this long, at most 30s [default: 0s]
    #[arg(long, value_name = "SPAN")]
    wait: Option<Span>,
    /// Name of this worker; a newer call of the same name ends an older one that still waits
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
}

impl AgentLease {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::agent(&context.client, &self.agent).await.map_err(|failure| match failure.exit {
            // the role agent leases and may not look for a name
            Exit::Denied => failure
                .hint("is the token right? a key of the role agent names its agent by id, like agent_…"),
            _ => failure,
        })?;
        let asked = LeaseRequest {
            max: self.max,
            wait_ms: self.wait.map(|span| span.ms),
            worker_instance: self.instance,
        };
        let answer = context.client.lease(id, &asked).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(answer.text())?;
        } else if answer.assignments.is_empty() {
            screen.note("nothing to do now; --wait 30s waits for it");
        } else {
            let table = table(&answer.assignments, screen);
            screen.table(&table)?;
        }
        Ok(Exit::Fine)
    }
}

fn table(assignments: &[AssignmentView], screen: &Screen) -> Table {
    let mut table = Table::new(&["TASK", "ATTEMPT", "QUEUE", "KIND", "LEASE ENDS", "TITLE"], "TITLE");
    for held in assignments {
        table.row([
            text(held.task_id.to_string()),
            number(u64::from(held.attempt)),
            text(&held.queue),
            held.kind.as_ref().map_or_else(nothing, text),
            screen.moment(held.lease_expires_at),
            text(&held.title),
        ]);
    }
    table
}
