//! `hive monitor`: the hive as it works, on a terminal; with `--once` one picture as plain text.

use std::io::IsTerminal;

use clap::Args;
use protocol::page::LIMIT_MAX;
use protocol::query::{EventQuery, PageQuery};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Context;
use super::screen::wants_color;
use super::table::{Table, number, state, text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::monitor;

/// Events that `--once` shows.
const EVENTS: i64 = 10;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::MONITOR)]
pub struct Monitor {
    /// Print one picture as plain text and end; with --json as one object
    #[arg(long)]
    once: bool,
}

impl Monitor {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        if self.once {
            return once(context).await;
        }
        if context.screen.is_json() {
            return Err(Failure::usage("--json goes with --once: a picture that moves is for people")
                .hint("`hive events --follow --json` tells programs what happens"));
        }
        if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            return Err(Failure::usage("this is no terminal, and a picture that moves needs one")
                .hint("`hive monitor --once` prints one picture, `hive events --follow` what happens"));
        }
        monitor::run(&context.client, wants_color()).await
    }
}

/// A picture: what each route answered.
#[derive(Serialize)]
struct Parts {
    system: Box<RawValue>,
    health: Box<RawValue>,
    agents: Box<RawValue>,
    events: Box<RawValue>,
}

async fn once(context: &mut Context) -> Result<Exit, Failure> {
    let Context { client, screen } = context;
    let system = client.system().await?;
    let health = client.health().await?;
    let agents = client.agents(&PageQuery { limit: Some(LIMIT_MAX), cursor: None }).await?;
    let after = system.log.last_seq.saturating_sub(EVENTS).max(0);
    let newest = EventQuery { after: Some(after), limit: u32::try_from(EVENTS).ok(), cursor: None };
    let events = client.events(&newest).await?;
    if screen.is_json() {
        let odd =
            |error: serde_json::Error| Failure::new(Exit::Internal, format!("an answer is no JSON: {error}"));
        let raw = |text: &str| RawValue::from_string(text.to_owned()).map_err(odd);
        let parts = Parts {
            system: raw(system.text())?,
            health: raw(health.text())?,
            agents: raw(agents.text())?,
            events: raw(events.text())?,
        };
        screen.line(&serde_json::to_string(&parts).map_err(odd)?)?;
        return Ok(Exit::Fine);
    }
    let mut shown = super::system::facts(&system, client.base_url());
    shown.add("place", text(format!("{}:{}", system.epoch, system.log.last_seq)));
    shown.add("health", state(super::system_health::word(health.status)));
    screen.facts(&shown)?;
    screen.line("")?;
    if agents.items.is_empty() {
        screen.line("no agents")?;
    } else {
        let mut table = Table::new(&["AGENT", "STATE", "WORKING", "CAPACITY", "DONE", "FAILED"], "AGENT");
        for agent in &agents.items {
            table.row([
                text(&agent.name),
                state(&agent.state),
                number(agent.working),
                number(u64::from(agent.capacity)),
                number(agent.completed),
                number(agent.failed),
            ]);
        }
        screen.table(&table)?;
    }
    screen.line("")?;
    screen.table(&super::events::table(&events.items, screen))?;
    if agents.next_cursor.is_some() {
        screen.note("there are more agents; `hive agent list` shows them page by page");
    }
    Ok(Exit::Fine)
}
