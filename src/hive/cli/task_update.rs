//! `hive task update`: another priority or other labels.

use clap::Args;
use domain::TaskId;
use protocol::{PatchTask, TaskView};

use super::words::one_line;
use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(
    after_help = super::help::TASK_UPDATE,
    group = clap::ArgGroup::new("change").required(true).multiple(true).args(["priority", "label", "no_labels"]),
)]
pub struct TaskUpdate {
    /// The task
    #[arg(value_name = "ID")]
    id: TaskId,
    /// 0 to 9, 9 goes first
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u32).range(0..=9))]
    priority: Option<u32>,
    /// Label, in place of all that it has; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = input::label)]
    label: Vec<(String, String)>,
    /// Take all labels off
    #[arg(long, conflicts_with = "label")]
    no_labels: bool,
}

impl TaskUpdate {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let has_labels = self.no_labels || !self.label.is_empty();
        let labels = input::labels(self.label)?;
        let patch = PatchTask { priority: self.priority, labels: has_labels.then_some(labels) };
        let task = context.client.patch_task(self.id, &patch).await?;
        if context.screen.is_json() {
            context.screen.line(task.text())?;
        } else {
            context.screen.note(&one_line(&in_words(&task)));
        }
        Ok(Exit::Fine)
    }
}

fn in_words(task: &TaskView) -> String {
    let labels: Vec<String> = task.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let labels =
        if labels.is_empty() { "no labels".to_owned() } else { format!("the labels {}", labels.join(", ")) };
    format!("{} has the priority {} and {labels} now", task.id, task.priority)
}
