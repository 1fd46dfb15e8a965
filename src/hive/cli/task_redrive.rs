//! `hive task redrive`: puts many dead letters back into their queues, by id or by what fits.

use std::collections::BTreeMap;

use clap::Args;
use domain::{TaskId, Timestamp, limits};
use protocol::{ProblemCode, Redrive, RedriveAnswer, RedriveFilter, time};

use super::words::{counted, one_line, refusal};
use super::{Context, input};
use crate::exit::Exit;
use crate::failure::{Failure, exit_of};

/// The flags.
#[derive(Debug, Args)]
#[command(
    after_help = super::help::REDRIVE,
    group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "all", "queue", "kind",
        "label", "agent", "created_after", "created_before"]),
    group = clap::ArgGroup::new("fitting").multiple(true).args(["queue", "kind", "label", "agent", "created_after",
        "created_before"]),
)]
pub struct TaskRedrive {
    /// These tasks
    #[arg(value_name = "ID", conflicts_with_all = ["all", "fitting"])]
    ids: Vec<TaskId>,
    /// Every dead letter there is
    #[arg(long, conflicts_with = "fitting")]
    all: bool,
    /// Those of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Those of this kind
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Those with this label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = input::label)]
    label: Vec<(String, String)>,
    /// Those that this agent held last
    #[arg(long, value_name = "ID|NAME")]
    agent: Option<String>,
    /// Those handed in after this moment: RFC 3339, or a span before now like 2h
    #[arg(long, value_name = "MOMENT", value_parser = input::moment)]
    created_after: Option<Timestamp>,
    /// Those handed in before this moment
    #[arg(long, value_name = "MOMENT", value_parser = input::moment)]
    created_before: Option<Timestamp>,
    /// At most so many, the newest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "ids")]
    limit: Option<u64>,
}

/// What became of them.
#[derive(Default)]
struct Tally {
    put_back: u64,
    /// How many were refused, by the reason.
    refused: BTreeMap<&'static str, u64>,
    /// Of the first one that was refused.
    exit: Option<Exit>,
}

impl TaskRedrive {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut tally = Tally::default();
        if self.ids.is_empty() {
            self.fitting(context, &mut tally).await?;
        } else {
            for ids in self.ids.chunks(limits::BULK_ITEMS_MAX) {
                let task_ids = Some(ids.iter().map(ToString::to_string).collect());
                let asked = Redrive { task_ids, ..Redrive::default() };
                let answer = context.client.redrive(&asked).await?;
                tally.take(context, answer.text(), &answer)?;
            }
        }
        context.screen.note(&tally.in_words());
        Ok(tally.exit.unwrap_or(Exit::Fine))
    }

    /// Those that fit, call by call until there are no older ones.
    async fn fitting(self, context: &mut Context, tally: &mut Tally) -> Result<(), Failure> {
        let agent_id = match &self.agent {
            Some(asked) => Some(input::agent(&context.client, asked).await?.to_string()),
            None => None,
        };
        let filter = RedriveFilter {
            queue: self.queue,
            kind: self.kind,
            labels: input::labels(self.label)?,
            agent_id,
            created_after: self.created_after.map(time::show),
            created_before: self.created_before.map(time::show),
        };
        let mut cursor = None;
        loop {
            let left = self.limit.map(|limit| limit.saturating_sub(tally.count()));
            if left == Some(0) {
                return Ok(());
            }
            let at_once = u64::try_from(limits::BULK_ITEMS_MAX).unwrap_or(u64::MAX);
            let limit = left.and_then(|left| u32::try_from(left.min(at_once)).ok());
            let asked = Redrive { task_ids: None, filter: Some(filter.clone()), limit, cursor };
            let answer = context.client.redrive(&asked).await?;
            tally.take(context, answer.text(), &answer)?;
            cursor = answer.into_value().next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}

impl Tally {
    /// Prints what became of each, and counts it.
    fn take(&mut self, context: &mut Context, raw: &str, answer: &RedriveAnswer) -> Result<(), Failure> {
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(raw)?;
        }
        for item in &answer.items {
            if item.task.is_some() {
                self.put_back = self.put_back.saturating_add(1);
                if !screen.is_json() {
                    screen.line(&one_line(&item.task_id))?;
                }
                continue;
            }
            let code = item.problem.as_ref().map_or(ProblemCode::Internal, |problem| problem.code);
            let count = self.refused.entry(code.as_str()).or_default();
            *count = count.saturating_add(1);
            self.exit.get_or_insert(exit_of(code));
            screen.note(&format!("{}: {}", one_line(&item.task_id), refusal(item.problem.as_ref())));
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        self.refused.values().fold(self.put_back, |sum, count| sum.saturating_add(*count))
    }

    fn in_words(&self) -> String {
        if self.count() == 0 {
            return "no dead letter fits; `hive task list --state failed` shows all".to_owned();
        }
        let put_back = format!("{} put back", counted(self.put_back, "task"));
        let refused = self.refused.iter().map(|(code, count)| format!("{count} refused ({code})"));
        std::iter::once(put_back).chain(refused).collect::<Vec<_>>().join(", ")
    }
}
