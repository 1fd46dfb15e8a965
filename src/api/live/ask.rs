//! What a client says, and what it is answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use feed::figures::RATE_SECONDS;
use protocol::live::client::{Ask, ClientFrame, Refused};
use protocol::live::frame::{Body, ErrorCode};
use protocol::live::limits::Ending;
use protocol::query::ActorQuery;
use protocol::{RatesView, TaskQuery};
use serde_json::{Value, json};

use super::bucket::Verdict;
use super::measure;
use super::outbox::{Heard, News, Out, Outbox};
use super::replay::Wish;
use super::session::Session;
use crate::problem::Problem;
use crate::state::Hive;
use crate::{health, list_actors, list_tasks, views};

/// How long a question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Questions that wait for the one before.
const QUESTIONS_MAX: usize = 32;
/// Items of a list, where the client names no number: it must not hold up the stream.
const ITEMS_DEFAULT: u32 = 50;
const ITEMS_MAX: u32 = 100;

/// Questions that wait, while one is answered.
#[derive(Default)]
pub(crate) struct Questions {
    is_asking: bool,
    waiting: VecDeque<Question>,
}

/// One question.
struct Question {
    data_type: String,
    params: Value,
    correlation_id: Option<String>,
}

impl Session {
    /// Takes a message of the client.
    pub(crate) fn heard(&mut self, heard: Heard, out: &mut Outbox) {
        self.seat.heard_at.set(Instant::now());
        if self.ending.is_some() {
            return;
        }
        let metrics = &self.hive.live.metrics;
        let bytes = metrics.count_received(&heard);
        if matches!(heard, Heard::Pong) {
            return;
        }
        match self.bucket.take(Instant::now()) {
            Verdict::Pass => {}
            Verdict::Flood => return self.end(Ending::Flood, out),
            verdict @ (Verdict::Drop | Verdict::DropAndTell) => {
                metrics.drops.with_label_values(&["rate_limit"]).inc();
                if verdict == Verdict::DropAndTell {
                    self.refuse(Body::error(ErrorCode::RateLimited, "Rate limit exceeded"), None, out);
                }
                return;
            }
        }
        if bytes > self.hive.live.settings.message_bytes_max {
            self.hive.live.metrics.drops.with_label_values(&["too_large"]).inc();
            return self.refuse(Body::error(ErrorCode::MessageTooLarge, "Message too large"), None, out);
        }
        match heard {
            Heard::Text(text) => self.read(&text, out),
            Heard::Binary(_) => {
                let refused = Refused::Malformed { correlation_id: None };
                self.refuse(Body::error(ErrorCode::InvalidJson, refused.to_string()), None, out);
            }
            Heard::Ping(bytes) => out.push(Out::Pong(bytes)),
            Heard::Pong => {}
        }
    }

    fn read(&mut self, text: &str, out: &mut Outbox) {
        let frame = match ClientFrame::read(text) {
            Ok(frame) => frame,
            Err(refused) => {
                let message = refused.to_string();
                let (code, correlation_id) = match refused {
                    Refused::Malformed { correlation_id } => (ErrorCode::InvalidJson, correlation_id),
                    Refused::UnknownType { correlation_id, .. } => {
                        (ErrorCode::UnknownMessageType, correlation_id)
                    }
                };
                return self.refuse(Body::error(code, message), correlation_id, out);
            }
        };
        let correlation_id = frame.correlation_id;
        match frame.ask {
            Ask::Ping => self.say(Body::Pong {}, correlation_id, out),
            Ask::Subscribe { topics, resume } => {
                // What was committed before belongs to the subscriptions of before.
                self.pump(out);
                let max = self.hive.live.settings.subscriptions_max;
                if resume.is_some() && self.wishes.len() >= max {
                    let refusal =
                        Body::error(ErrorCode::TooManySubscriptions, "Too many subscriptions requested");
                    self.refuse(refusal, correlation_id.clone(), out);
                    return self.told_subscriptions(correlation_id, out);
                }
                let since = self.cursor.place();
                let added = self.subscriptions.add(&topics, &self.watcher, max, since);
                for refusal in added.refusals {
                    self.refuse(refusal, correlation_id.clone(), out);
                }
                self.told_subscriptions(correlation_id.clone(), out);
                self.tell_alerts(&added.topics, out);
                if let Some(place) = resume {
                    let joined = self.subscriptions.named(&topics);
                    self.wishes.push_back(Wish { place, joined, correlation_id });
                    self.pump(out);
                }
            }
            Ask::Unsubscribe { topics } => {
                self.pump(out);
                if let Some(refusal) = self.subscriptions.remove(&topics) {
                    self.refuse(refusal, correlation_id.clone(), out);
                }
                self.forget();
                self.told_subscriptions(correlation_id, out);
            }
            Ask::RequestData { data_type, params } => {
                self.question(Question { data_type, params, correlation_id }, out);
            }
        }
    }

    fn told_subscriptions(&self, correlation_id: Option<String>, out: &mut Outbox) {
        self.subscribed();
        let subscriptions = self.subscriptions.texts();
        self.say(Body::SubscriptionUpdated { subscriptions }, correlation_id, out);
    }

    fn question(&mut self, question: Question, out: &mut Outbox) {
        let Question { data_type, correlation_id, .. } = &question;
        let refusal = if !is_known(data_type) {
            Some(format!("Unknown data type: {}", data_type.chars().take(64).collect::<String>()))
        } else if !self.watcher.may_ask() {
            Some("Not permitted to your role".to_owned())
        } else if self.questions.waiting.len() >= QUESTIONS_MAX {
            Some("Too many requests wait for their answers".to_owned())
        } else {
            None
        };
        if let Some(error) = refusal {
            self.hive.live.metrics.errors.with_label_values(&["data_error"]).inc();
            let data_type = data_type.chars().take(64).collect();
            let correlation_id = correlation_id.clone();
            return self.say(Body::DataError { data_type, error }, correlation_id, out);
        }
        self.questions.waiting.push_back(question);
        if !self.questions.is_asking {
            self.next_question(out);
        }
    }

    /// Answers the next question, if one waits.
    pub(crate) fn next_question(&mut self, out: &mut Outbox) {
        let Some(question) = self.questions.waiting.pop_front() else {
            self.questions.is_asking = false;
            return;
        };
        self.questions.is_asking = true;
        let (hive, tenant) = (self.hive.clone(), self.watcher.tenant);
        let own = self.principal.caller.correlation_id.to_string();
        out.errand(async move {
            let Question { data_type, params, correlation_id } = question;
            let answer = answer(&hive, tenant, &data_type, &params);
            let error = match tokio::time::timeout(ANSWER_WITHIN, answer).await {
                Ok(Ok(data)) => {
                    let body = Body::DataResponse { data_type, data };
                    return News::Data(Box::new(body), correlation_id.unwrap_or(own));
                }
                Ok(Err(problem)) => told(&problem),
                Err(_) => "No answer in time; ask again".to_owned(),
            };
            hive.live.metrics.errors.with_label_values(&["data_error"]).inc();
            News::Data(Box::new(Body::DataError { data_type, error }), correlation_id.unwrap_or(own))
        });
    }
}

/// What the client may read of a problem.
fn told(problem: &Problem) -> String {
    if let Some(cause) = problem.cause() {
        tracing::warn!(error = cause, "a request for data failed");
    }
    let broken: Vec<String> = problem
        .details("", "")
        .errors
        .into_iter()
        .map(|error| format!("{} {}", error.field, error.message))
        .collect();
    if broken.is_empty() { problem.to_string() } else { broken.join("; ") }
}

fn is_known(data_type: &str) -> bool {
    matches!(
        data_type,
        "agent_status" | "coordination_metrics" | "system_health" | "task_list" | "actor_tree"
    )
}

async fn answer(
    hive: &Hive,
    tenant: domain::TenantId,
    data_type: &str,
    params: &Value,
) -> Result<Value, Problem> {
    let pairs = pairs(params)?;
    match data_type {
        "agent_status" => {
            protocol::query::read_none(pairs)?;
            let mut agents = hive.readers.agents(tenant).await?;
            agents.sort_unstable_by_key(|agent| std::cmp::Reverse(agent.id));
            let total = agents.len();
            let shown = agents.into_iter().take(usize::try_from(ITEMS_MAX).unwrap_or(usize::MAX));
            let agents: Vec<_> = shown.map(|agent| views::agent(agent, hive)).collect();
            Ok(json!({"agents": agents, "total": total}))
        }
        "coordination_metrics" => {
            protocol::query::read_none(pairs)?;
            let now = hive.clock.now();
            let (totals, counts, rates) = hive.feed.read(|projection| {
                let counts = views::counts(&projection.totals());
                (measure::coordination(projection, now), counts, projection.rates(now))
            });
            let rates = RatesView {
                window_seconds: u32::try_from(RATE_SECONDS).unwrap_or(u32::MAX),
                submitted_per_second: rates.submitted_per_second,
                started_per_second: rates.started_per_second,
                completed_per_second: rates.completed_per_second,
                failed_per_second: rates.failed_per_second,
            };
            Ok(json!({"totals": totals, "tasks": counts, "rates": rates}))
        }
        "system_health" => {
            protocol::query::read_none(pairs)?;
            Ok(serde_json::to_value(health::whole(hive).await)?)
        }
        "task_list" => {
            let mut query = TaskQuery::read(pairs)?;
            query.limit = Some(query.limit.unwrap_or(ITEMS_DEFAULT).min(ITEMS_MAX));
            Ok(serde_json::to_value(list_tasks::list(hive, tenant, query).await?)?)
        }
        _ => {
            let mut query = ActorQuery::read(pairs)?;
            query.limit = Some(query.limit.unwrap_or(ITEMS_MAX).min(1_000));
            Ok(serde_json::to_value(list_actors::tree(hive, &query))?)
        }
    }
}

/// Parameters as the routes know them.
fn pairs(params: &Value) -> Result<protocol::query::Pairs, Problem> {
    let refused = || Problem::invalid("params", "is an object of texts, numbers and truth values");
    match params {
        Value::Null => Ok(Vec::new()),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name.clone(), text.clone())),
                Value::Number(number) => Ok((name.clone(), number.to_string())),
                Value::Bool(truth) => Ok((name.clone(), truth.to_string())),
                Value::Null | Value::Array(_) | Value::Object(_) => Err(refused()),
            })
            .collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(refused()),
    }
}
