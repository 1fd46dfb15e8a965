//! `hive task bulk`: hands in many tasks, a JSON object a line, up to 1,000 in one commit.

use std::io::{BufRead, BufReader, IsTerminal};

use clap::Args;
use domain::limits;
use protocol::{SubmitMany, SubmitTask, SubmittedItem};

use super::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Bytes of one request; the server takes 16 MiB, and what is written anew may be a little longer than it was read.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::BULK)]
pub struct TaskBulk {
    /// File with a JSON object a line, or - for stdin
    #[arg(value_name = "FILE|-")]
    file: String,
    /// The same key with the same file twice makes each task once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// Lines that go into one request.
#[derive(Debug, Default)]
struct Part {
    tasks: Vec<SubmitTask>,
    /// Where each stands in the file, 1-based.
    lines: Vec<usize>,
    bytes: usize,
}

impl TaskBulk {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let reader = self.open(context)?;
        let (mut part, mut parts, mut exit) = (Part::default(), 0, Exit::Fine);
        for (place, line) in reader.lines().enumerate() {
            let number = place.saturating_add(1);
            let line = line.map_err(|error| Failure::usage(format!("cannot read {}: {error}", self.file)))?;
            if line.trim().is_empty() {
                continue;
            }
            if part.tasks.len() >= limits::BULK_ITEMS_MAX || part.bytes + line.len() > REQUEST_BYTES_MAX {
                exit = self.hand_in(context, std::mem::take(&mut part), &mut parts).await?.unwrap_or(exit);
            }
            let task = serde_json::from_str(&line).map_err(|error| {
                Failure::usage(format!("line {number} of {} is no task: {error}", self.file))
                    .hint("each line is an object like {\"title\":\"Say hello\",\"queue\":\"default\"}")
            })?;
            part.tasks.push(task);
            part.lines.push(number);
            part.bytes += line.len();
        }
        exit = self.hand_in(context, part, &mut parts).await?.unwrap_or(exit);
        Ok(exit)
    }

    fn open(&self, context: &mut Context) -> Result<Box<dyn BufRead>, Failure> {
        if self.file != "-" {
            let file = std::fs::File::open(&self.file)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", self.file)))?;
            return Ok(Box::new(BufReader::new(file)));
        }
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            context.screen.note("reading tasks from the terminal, one a line; Ctrl-D ends it");
        }
        Ok(Box::new(BufReader::new(stdin)))
    }

    /// Hands a part in and prints what became of it; answers how to end when some of it was refused.
    async fn hand_in(
        &self,
        context: &mut Context,
        part: Part,
        parts: &mut u32,
    ) -> Result<Option<Exit>, Failure> {
        if part.tasks.is_empty() {
            return Ok(None);
        }
        let key = self.idempotency_key.as_ref().map(|key| format!("{key}.{parts}"));
        *parts = parts.saturating_add(1);
        let asked = SubmitMany { tasks: part.tasks };
        let answer = context.client.submit_many(&asked, key.as_deref()).await?;
        if context.screen.is_json() {
            context.screen.line(answer.text())?;
        }
        let mut exit = None;
        for (item, line) in answer.items.iter().zip(part.lines) {
            match item {
                SubmittedItem { task: Some(task), .. } if !context.screen.is_json() => {
                    context.screen.line(&task.id.to_string())?;
                }
                SubmittedItem { task: Some(_), .. } => {}
                SubmittedItem { problem, .. } => {
                    exit = Some(Exit::Refused);
                    let why = problem.as_ref().map_or_else(String::new, |problem| {
                        let fields = problem
                            .errors
                            .iter()
                            .map(|error| format!("; {}: {}", error.field, error.message));
                        format!("{}{}", problem.detail, fields.collect::<String>())
                    });
                    context.screen.note(&format!("line {line}: {}", super::words::one_line(&why)));
                }
            }
        }
        Ok(exit)
    }
}
