//! `hive system actors`: the live supervision tree, and what failed lately.

use clap::Args;
use protocol::query::ActorQuery;
use protocol::{ActorView, ActorsView, FailureView};

use super::Context;
use super::screen::Screen;
use super::table::{Field, Table, nothing, number, state, text};
use super::words::{count, counted};
use crate::exit::Exit;
use crate::failure::Failure;

/// Failures shown; the API has up to 256.
const FAILURES_SHOWN: usize = 10;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::ACTORS)]
pub struct SystemActors {
    /// Only paths that begin with this, like hive/agents
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
    /// Only actors of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// At most so many, 1 to 10000 [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: Option<u32>,
}

impl SystemActors {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let query = ActorQuery { prefix: self.prefix, kind: self.kind, limit: self.limit };
        let tree = context.client.actors(&query).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(tree.text())?;
            return Ok(Exit::Fine);
        }
        screen.table(&actors(&tree.items, screen))?;
        if !tree.recent_failures.is_empty() {
            screen.line("")?;
            screen.table(&failures(&tree.recent_failures, screen))?;
        }
        screen.note(&summary(&tree));
        Ok(Exit::Fine)
    }
}

/// The tree, each actor indented below the nearest one above it that is shown.
fn actors(items: &[ActorView], screen: &Screen) -> Table {
    let mut table =
        Table::new(&["ACTOR", "KIND", "STATE", "RESTARTS", "MAILBOX", "FAILED", "LAST ERROR"], "LAST ERROR");
    let mut items: Vec<&ActorView> = items.iter().collect();
    items.sort_by(|one, other| one.path.split('/').cmp(other.path.split('/')));
    let mut above: Vec<&str> = Vec::new();
    for actor in items {
        while above.pop_if(|path| !is_below(&actor.path, path)).is_some() {}
        let name = above.last().and_then(|path| actor.path.get(path.len() + 1..)).unwrap_or(&actor.path);
        let error = actor.last_error.as_ref();
        table.row([
            text(format!("{}{name}", "  ".repeat(above.len()))),
            text(&actor.kind),
            state(&actor.state),
            number(actor.restarts),
            mailbox(actor),
            error.map_or_else(nothing, |error| screen.moment(error.at)),
            error.map_or_else(nothing, |error| text(&error.text)),
        ]);
        above.push(&actor.path);
    }
    table
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn mailbox(actor: &ActorView) -> Field {
    if actor.mailbox_capacity == 0 {
        return nothing();
    }
    text(format!("{}/{}", count(actor.mailbox_depth), count(actor.mailbox_capacity)))
}

fn failures(failures: &[FailureView], screen: &Screen) -> Table {
    let mut table = Table::new(&["FAILED", "ACTOR", "LIFE", "THEN", "WHY"], "WHY");
    for failure in failures.iter().take(FAILURES_SHOWN) {
        table.row([
            screen.moment(failure.at),
            text(&failure.path),
            number(failure.incarnation),
            text(&failure.consequence),
            text(&failure.text),
        ]);
    }
    table
}

fn summary(tree: &ActorsView) -> String {
    let shown = u64::try_from(tree.items.len()).unwrap_or(u64::MAX);
    let mut told = format!(
        "{}, {} since the start",
        counted(tree.total, "actor"),
        counted(tree.restarts_total, "restart")
    );
    if shown < tree.total {
        told = format!("{told}; {} shown", count(shown));
    }
    let stalled: Vec<&str> =
        tree.arbiters.iter().filter(|arbiter| arbiter.stalled).map(|arbiter| arbiter.name.as_str()).collect();
    if !stalled.is_empty() {
        told = format!("{told}; stalled now: {}", stalled.join(", "));
    }
    super::words::one_line(&told)
}

#[cfg(test)]
mod tests {
    use super::super::table::Look;
    use super::*;

    fn actor(path: &str) -> ActorView {
        ActorView {
            path: path.to_owned(),
            kind: "kind".to_owned(),
            state: "running".to_owned(),
            arbiter: None,
            incarnation: 1,
            restarts: 0,
            mailbox_depth: 3,
            mailbox_capacity: 1_024,
            last_error: None,
        }
    }

    #[test]
    fn children_stand_indented_below_their_own_parent() {
        let items =
            ["hive/agents-x", "hive/agents/b", "hive", "hive/agents", "hive/agents/b/links/1"].map(actor);
        let screen = Screen::into(Box::new(std::io::sink()), Box::new(std::io::sink()), false);
        let shown = actors(&items, &screen).render(Look { width: None, has_color: false });
        let first: Vec<&str> =
            shown.lines().map(|line| line.split("  kind").next().unwrap().trim_end()).collect();
        assert_eq!(first[1..], ["hive", "  agents", "    b", "      links/1", "  agents-x"]);
        assert!(shown.contains("3/1,024"), "{shown}");
    }
}
