//! `hive task submit`: hands in a task.

use std::io::IsTerminal;

use clap::Args;
use domain::AgentId;
use protocol::page::LIMIT_MAX;
use protocol::query::PageQuery;
use protocol::{BackoffView, SubmitTask, TaskView, TimeoutsView, UniqueView};

use super::Context;
use super::input;
use super::task_wait::{Patience, wait_for};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::span::Span;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::SUBMIT)]
pub struct TaskSubmit {
    /// What people call it
    title: String,
    /// JSON for the agent: as it stands, @FILE, or - for stdin
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    input: Option<String>,
    /// Queue to wait in [default: default]
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// What sort of work it is
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// 0 to 9, 9 goes first [default: 5]
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u32).range(0..=9))]
    priority: Option<u32>,
    /// Capabilities the agent must have
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    requires: Vec<String>,
    /// Label for filters; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = input::label)]
    label: Vec<(String, String)>,
    /// The one agent that may take it
    #[arg(long, value_name = "ID|NAME")]
    agent: Option<String>,
    /// Not before this span from now
    #[arg(long, value_name = "SPAN")]
    delay: Option<Span>,
    /// The same key twice makes one task
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    unique: Uniqueness,
    #[command(flatten)]
    tries: Tries,
    /// Wait for the end and print the result
    #[arg(long, help_heading = "Waiting")]
    wait: bool,
    /// Wait this long at most; the task goes on
    #[arg(long, value_name = "SPAN", requires = "wait", help_heading = "Waiting")]
    timeout: Option<Span>,
}

/// The key that no other task may have at the same time.
#[derive(Debug, Args)]
struct Uniqueness {
    /// One task at a time has this key; while one does, a submit gets that task
    #[arg(long, value_name = "KEY")]
    unique: Option<String>,
    /// How long it has the key: terminal, forever, or a span from now [default: terminal]
    #[arg(long, value_name = "UNTIL", requires = "unique", value_parser = until)]
    unique_until: Option<Until>,
    /// Refuse (exit 6) in place of naming the task that has the key
    #[arg(long, requires = "unique")]
    unique_reject: bool,
}

/// How long a task has its key.
#[derive(Debug, Clone)]
enum Until {
    Word(&'static str),
    Span(Span),
}

fn until(text: &str) -> Result<Until, String> {
    match text {
        "terminal" => Ok(Until::Word("terminal")),
        "forever" => Ok(Until::Word("forever")),
        span => span.parse().map(Until::Span).map_err(|error| format!("{error}; or say terminal or forever")),
    }
}

impl Uniqueness {
    fn view(self) -> Option<UniqueView> {
        let (until, ttl_ms) = match self.unique_until {
            None => (None, None),
            Some(Until::Word(word)) => (Some(word.to_owned()), None),
            Some(Until::Span(span)) => (None, Some(span.ms)),
        };
        let on_conflict = self.unique_reject.then(|| "reject".to_owned());
        self.unique.map(|key| UniqueView { key, on_conflict, until, ttl_ms })
    }
}

/// How often and how long it is tried.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attempts and timeouts")]
struct Tries {
    /// Failures that make it a dead letter, 1 to 100 [default: 3]
    #[arg(long, value_name = "N")]
    attempts_max: Option<u32>,
    /// Wait after the first failure [default: 1s]
    #[arg(long, value_name = "SPAN")]
    backoff_initial: Option<Span>,
    /// Growth of the wait from failure to failure [default: 2]
    #[arg(long, value_name = "FACTOR")]
    backoff_factor: Option<f64>,
    /// Longest wait [default: 5m]
    #[arg(long, value_name = "SPAN")]
    backoff_max: Option<Span>,
    /// Share of the wait that is random, 0 to 1 [default: 0.2]
    #[arg(long, value_name = "SHARE")]
    backoff_jitter: Option<f64>,
    /// From ready to claimed
    #[arg(long, value_name = "SPAN")]
    timeout_schedule_to_start: Option<Span>,
    /// From claim to end of one attempt
    #[arg(long, value_name = "SPAN")]
    timeout_start_to_close: Option<Span>,
    /// Between two heartbeats of an attempt
    #[arg(long, value_name = "SPAN")]
    timeout_heartbeat: Option<Span>,
    /// From submit to the end of the last attempt
    #[arg(long, value_name = "SPAN")]
    timeout_schedule_to_close: Option<Span>,
}

impl Tries {
    fn backoff(&self) -> Option<BackoffView> {
        let default = BackoffView::default();
        let backoff = BackoffView {
            initial_ms: self.backoff_initial.map_or(default.initial_ms, |span| span.ms),
            factor: self.backoff_factor.unwrap_or(default.factor),
            max_ms: self.backoff_max.map_or(default.max_ms, |span| span.ms),
            jitter: self.backoff_jitter.unwrap_or(default.jitter),
        };
        (backoff != default).then_some(backoff)
    }

    fn timeouts(&self) -> Option<TimeoutsView> {
        let ms = |span: Option<Span>| span.map(|span| span.ms);
        let timeouts = TimeoutsView {
            schedule_to_start_ms: ms(self.timeout_schedule_to_start),
            start_to_close_ms: ms(self.timeout_start_to_close),
            heartbeat_ms: ms(self.timeout_heartbeat),
            schedule_to_close_ms: ms(self.timeout_schedule_to_close),
        };
        (timeouts != TimeoutsView::default()).then_some(timeouts)
    }
}

impl TaskSubmit {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let (key, wait, timeout) = (self.idempotency_key.clone(), self.wait, self.timeout);
        let agent = match &self.agent {
            Some(asked) => Some(input::agent(&context.client, asked).await?),
            None => None,
        };
        let task = self.into_request(agent, context)?;
        let answer = context.client.submit(&task, key.as_deref()).await?;
        if answer.is_replayed() {
            context.screen.note(&format!("this key was used before: {} is the task of then", answer.id));
        }
        if answer.status() == 200 {
            context.screen.note(&format!("{} has this unique key; nothing new was submitted", answer.id));
        }
        note_incapable(context, &answer).await;
        if wait {
            return wait_for(context, &[answer.id], Patience::of(timeout)).await;
        }
        if context.screen.is_json() {
            context.screen.line(answer.text())?;
        } else {
            context.screen.line(&answer.id.to_string())?;
        }
        Ok(Exit::Fine)
    }

    fn into_request(self, agent: Option<AgentId>, context: &mut Context) -> Result<SubmitTask, Failure> {
        let stdin = std::io::stdin();
        if self.input.as_deref() == Some("-") && stdin.is_terminal() {
            context.screen.note("reading JSON from the terminal; Ctrl-D ends it");
        }
        let (backoff, timeouts) = (self.tries.backoff(), self.tries.timeouts());
        Ok(SubmitTask {
            title: self.title,
            input: self.input.map(|asked| input::json("--input", &asked, stdin.lock())).transpose()?,
            queue: self.queue,
            kind: self.kind,
            priority: self.priority,
            requires: self.requires,
            labels: input::labels(self.label)?,
            agent_id: agent.map(|id| id.to_string()),
            delay_ms: self.delay.map(|span| span.ms),
            eligible_at: None,
            attempts_max: self.tries.attempts_max,
            backoff,
            timeouts,
            unique: self.unique.view(),
        })
    }
}

/// Says so when nobody who is registered can take the task. Only a note: when it cannot be found out, the task is
/// in all the same.
async fn note_incapable(context: &mut Context, task: &TaskView) {
    if task.state.is_terminal() || task.state == domain::TaskState::Working || task.agent_id.is_some() {
        return;
    }
    if let Ok(false) = has_capable_agent(context, task).await {
        let needs = if task.requires.is_empty() {
            "`hive agent add NAME` registers one".to_owned()
        } else {
            format!("it needs: {}", super::words::one_line(&task.requires.join(", ")))
        };
        context.screen.note(&format!(
            "note: no registered agent can take this yet, {needs}; it waits in the queue {}",
            super::words::one_line(&task.queue)
        ));
    }
}

async fn has_capable_agent(context: &Context, task: &TaskView) -> Result<bool, client::Error> {
    let mut query = PageQuery { limit: Some(LIMIT_MAX), cursor: None };
    loop {
        let page = context.client.agents(&query).await?.into_value();
        let can =
            page.items.iter().any(|agent| task.requires.iter().all(|need| agent.capabilities.contains(need)));
        if can || page.next_cursor.is_none() {
            return Ok(can);
        }
        query.cursor = page.next_cursor;
    }
}
