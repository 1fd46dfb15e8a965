//! `hive task show`: one task with everything that is known of it.

use clap::Args;
use domain::TaskId;
use protocol::page::LIMIT_MAX;
use protocol::query::PageQuery;
use protocol::{AttemptView, TaskView};

use super::Context;
use super::screen::Screen;
use super::table::{Facts, number, state, text};
use super::task_attempts::{tables, usage};
use super::words::{counted, one_line};
use crate::exit::Exit;
use crate::failure::Failure;

/// Most lines of a diff on the screen.
const DIFF_LINES_MAX: usize = 200;

/// The flags.
#[derive(Debug, Args)]
pub struct TaskShow {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
}

impl TaskShow {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let task = context.client.task(self.id).await?;
        if context.screen.is_json() {
            context.screen.line(task.text())?;
            return Ok(Exit::Fine);
        }
        let attempts =
            context.client.attempts(self.id, &PageQuery { limit: Some(LIMIT_MAX), cursor: None }).await?;
        let screen = &mut context.screen;
        screen.facts(&facts(&task, screen))?;
        for (name, json) in [("input", &task.input), ("result", &task.result)] {
            if let Some(json) = json {
                screen.line(&format!("\n{name}\n{}", json.get()))?;
            }
        }
        for table in tables(&attempts.items, screen) {
            screen.line("")?;
            screen.table(&table)?;
        }
        if let Some((number, diff)) = last_diff(&attempts.items) {
            screen.line(&format!("\ndiff of attempt {number}\n{}", shortened(diff, self.id)))?;
        }
        Ok(Exit::Fine)
    }
}

/// The diff of the newest attempt that has one.
fn last_diff(attempts: &[AttemptView]) -> Option<(u32, &str)> {
    let diffs = attempts.iter().filter_map(|attempt| {
        let diff = attempt.workspace.as_ref()?.diff.as_deref()?;
        (!diff.is_empty()).then_some((attempt.attempt, diff))
    });
    diffs.max_by_key(|(number, _)| *number)
}

/// The first lines of a diff, safe for a terminal, and how many more there are.
fn shortened(diff: &str, id: TaskId) -> String {
    let mut lines: Vec<String> =
        diff.lines().take(DIFF_LINES_MAX).map(|line| one_line(&line.replace('\t', "    "))).collect();
    let more = diff.lines().count().saturating_sub(lines.len());
    if more > 0 {
        let more = counted(u64::try_from(more).unwrap_or(u64::MAX), "more line");
        lines.push(format!("({more}: `hive task attempts {id} --json` has them)"));
    }
    lines.join("\n")
}

fn facts(task: &TaskView, screen: &Screen) -> Facts {
    let mut facts = Facts::default();
    let moment = |at| screen.moment(at);
    facts.add("id", text(task.id.to_string()));
    facts.add("title", text(&task.title));
    facts.add("state", state(task.state.as_str()));
    if task.cancel_requested && !task.state.is_terminal() {
        facts.add("canceling", text("asked; its holder is to end it"));
    }
    facts.add("queue", text(&task.queue));
    facts.add_some("kind", task.kind.as_ref().map(text));
    facts.add("priority", number(u64::from(task.priority)));
    facts.add_some("requires", (!task.requires.is_empty()).then(|| text(task.requires.join(", "))));
    let labels: Vec<String> = task.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    facts.add_some("labels", (!labels.is_empty()).then(|| text(labels.join(", "))));
    facts.add("attempt", number(u64::from(task.attempt)));
    facts.add("failures", text(format!("{} of {}", task.failures, task.attempts_max)));
    let crashes = (task.crashes > 0).then(|| counted(u64::from(task.crashes), "attempt"));
    facts.add_some("crashes", crashes.map(|tries| text(format!("{tries} ended with the hive"))));
    facts.add_some("agent", task.agent_id.map(|id| text(id.to_string())));
    facts.add_some(
        "progress",
        task.progress.as_ref().map(|progress| {
            let share =
                progress.fraction.map(|fraction| format!("{:.0} % ", fraction * 100.0)).unwrap_or_default();
            text(format!("{share}{}", progress.message.as_deref().unwrap_or_default()))
        }),
    );
    facts.add("created", moment(task.created_at));
    facts.add_some("ready", task.eligible_at.map(moment));
    facts.add_some("started", task.started_at.map(moment));
    facts.add_some("finished", task.finished_at.map(moment));
    facts.add_some("lease ends", task.lease_expires_at.map(moment));
    facts.add_some(
        "error",
        task.error.as_ref().map(|error| text(format!("{}: {}", error.kind, error.message))),
    );
    facts.add_some("usage", task.usage.as_ref().and_then(usage).map(text));
    facts.add("created by", text(&task.created_by));
    facts.add("correlation", text(&task.correlation_id));
    facts
}
