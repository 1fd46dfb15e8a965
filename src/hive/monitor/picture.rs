//! What the monitor knows: folded from the news, in their order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use domain::Timestamp;
use protocol::live::frame::{AlertView, Body, Told};
use protocol::live::totals::{AgentTotals, CoordinationTotals, SystemTotals, TaskTotals};
use protocol::{AgentView, StateCountsView, SystemView, TaskView};
use serde::Deserialize;
use serde_json::Value;

use super::rates::Rates;
use super::source::{News, place};
use crate::cli::one_line;

/// Events that are kept.
pub const EVENTS_MAX: usize = 200;

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// None was made yet.
    Connecting,
    /// What is shown is what is.
    Live,
    /// It broke; what is shown is what was.
    Away {
        /// Since when.
        since: Instant,
        /// What broke it last.
        why: String,
    },
}

/// A line among the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A committed fact.
    Event {
        /// Its place in the log.
        seq: i64,
        /// When.
        at: Timestamp,
        /// What.
        kind: String,
        /// The task, the agent and the queue, as far as there are any.
        about: Vec<String>,
    },
    /// Something about the watching itself.
    Note(String),
}

/// All that is known.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Where the hive answers.
    pub url: String,
    /// How it was when the session began.
    pub system: SystemView,
    /// How the connection is.
    pub connection: Connection,
    /// `epoch:offset` up to which everything was heard.
    pub place: Option<(String, i64)>,
    /// Totals of agents.
    pub agent_totals: Option<AgentTotals>,
    /// Totals over all.
    pub coordination: Option<CoordinationTotals>,
    /// Totals of tasks.
    pub task_totals: Option<TaskTotals>,
    /// How the hive is.
    pub health: Option<SystemTotals>,
    /// Stored tasks by state.
    pub counts: StateCountsView,
    /// Agents, by name.
    pub agents: Vec<AgentView>,
    /// How many agents there are.
    pub agents_total: u64,
    /// Tasks that are worked on.
    pub working: Vec<TaskView>,
    /// Newest first.
    pub events: VecDeque<Line>,
    /// By cause.
    pub alerts: BTreeMap<String, AlertView>,
    /// What happened how often.
    pub rates: Rates,
    names: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct AgentStatus {
    agents: Vec<AgentView>,
    total: u64,
}

#[derive(Deserialize)]
struct CoordinationMetrics {
    tasks: StateCountsView,
}

#[derive(Deserialize)]
struct TaskList {
    items: Vec<TaskView>,
}

impl Picture {
    /// Of a hive that answered.
    #[must_use]
    pub fn new(url: &str, system: SystemView) -> Self {
        Self {
            url: url.to_owned(),
            counts: system.tasks,
            rates: Rates::from(Timestamp::from_micros(0)),
            connection: Connection::Connecting,
            place: None,
            agent_totals: None,
            coordination: None,
            task_totals: None,
            health: None,
            agents: Vec::new(),
            agents_total: system.agents.total,
            working: Vec::new(),
            events: VecDeque::new(),
            alerts: BTreeMap::new(),
            names: BTreeMap::new(),
            system,
        }
    }

    /// Takes in what was heard.
    pub fn hear(&mut self, news: News, now: Timestamp) {
        match news {
            News::Connected(system) => {
                // Of the first session everything is heard from now on; of a later one also what was between.
                if self.connection == Connection::Connecting {
                    self.rates = Rates::from(now);
                }
                self.connection = Connection::Live;
                self.system = *system;
                // Whoever begins to hear alerts is told what is raised.
                self.alerts.clear();
            }
            News::Away(why) => {
                let since = match &self.connection {
                    Connection::Away { since, .. } => *since,
                    Connection::Connecting | Connection::Live => Instant::now(),
                };
                self.connection = Connection::Away { since, why: one_line(&why) };
            }
            News::Frame(frame) => {
                if let Some(place) = place(&frame.body) {
                    self.place = Some((place.epoch, place.offset));
                }
                self.frame(frame.body);
            }
        }
    }

    fn frame(&mut self, body: Body) {
        match body {
            Body::DashboardInitialized { snapshot, .. } => {
                self.agent_totals = snapshot.agents.or(self.agent_totals.take());
                self.coordination = snapshot.coordination.or(self.coordination.take());
                self.task_totals = snapshot.tasks.or(self.task_totals.take());
                self.health = snapshot.system.or(self.health.take());
            }
            Body::AgentUpdate(update) => self.agent_totals = Some(update.data),
            Body::CoordinationUpdate(update) => self.coordination = Some(update.data),
            Body::TaskUpdate(update) => self.task_totals = Some(update.data),
            Body::SystemUpdate(update) => self.health = Some(update.data),
            Body::AgentEvent(told)
            | Body::TaskEvent(told)
            | Body::CoordinationEvent(told)
            | Body::SystemEvent(told)
            | Body::ProjectIndexEvent(told) => self.event(&told),
            Body::CriticalAlert { data, .. } => data.alerts.into_iter().for_each(|alert| self.alert(alert)),
            Body::OperatorMessage { data, .. } => {
                let said = data
                    .get("message")
                    .and_then(Value::as_str)
                    .map_or_else(|| data.to_string(), str::to_owned);
                self.note(&format!("operator: {said}"));
            }
            Body::DataResponse { data_type, data } => self.answer(&data_type, data),
            Body::DataError { error, .. } => self.note(&format!("the hive refused: {error}")),
            Body::Error { message, .. } => self.note(&format!("the hive refused: {message}")),
            Body::Resumed { recovered: false, .. } => {
                self.note("the log does not reach back to what was seen last: what was between is not shown");
            }
            Body::EventsSkipped { from, to } => {
                self.note(&format!("events {from} to {to} were left out: the monitor did not keep up"));
            }
            Body::Resumed { .. }
            | Body::ConnectionEstablished { .. }
            | Body::SubscriptionUpdated { .. }
            | Body::Pong {}
            | Body::DisconnectNotice { .. } => {}
        }
    }

    fn event(&mut self, told: &Told) {
        let text = |member: &str| told.data.get(member).and_then(Value::as_str);
        let kind = text("kind").unwrap_or_default();
        let at = text("at").and_then(|at| protocol::time::read(at).ok());
        let at = at.unwrap_or_else(|| Timestamp::from_micros(0));
        self.rates.count(kind, at);
        let about = [text("task_id"), text("agent_id"), text("queue")].into_iter().flatten();
        let about = about.map(str::to_owned).collect();
        self.add(Line::Event { seq: told.offset, at, kind: one_line(kind), about });
    }

    fn alert(&mut self, alert: AlertView) {
        // A message begins with its cause; the figures behind it change.
        let cause = alert.message.split(':').next().unwrap_or_default().to_owned();
        if alert.level == "resolved" {
            self.alerts.remove(&cause);
            self.note(&format!("over: {}", alert.message));
        } else {
            self.alerts.insert(cause, alert);
        }
    }

    fn answer(&mut self, data_type: &str, data: Value) {
        let read = match data_type {
            "agent_status" => serde_json::from_value(data).map(|AgentStatus { mut agents, total }| {
                agents.sort_unstable_by(|one, other| one.name.cmp(&other.name));
                self.names = agents.iter().map(|agent| (agent.id.to_string(), agent.name.clone())).collect();
                (self.agents, self.agents_total) = (agents, total);
            }),
            "coordination_metrics" => {
                serde_json::from_value(data).map(|metrics: CoordinationMetrics| self.counts = metrics.tasks)
            }
            "task_list" => serde_json::from_value(data).map(|list: TaskList| self.working = list.items),
            _ => Ok(()),
        };
        if let Err(error) = read {
            self.note(&format!("the hive answered in an unknown form: {error}"));
        }
    }

    fn note(&mut self, words: &str) {
        self.add(Line::Note(one_line(words)));
    }

    fn add(&mut self, line: Line) {
        self.events.push_front(line);
        self.events.truncate(EVENTS_MAX);
    }

    /// What an event is about; the name of an agent, once it is known, stands for its id.
    #[must_use]
    pub fn named(&self, about: &[String]) -> String {
        let shown = about.iter().map(|part| one_line(self.names.get(part).unwrap_or(part)));
        shown.collect::<Vec<_>>().join("  ")
    }

    /// The titles of what an agent works on.
    #[must_use]
    pub fn at_work(&self, agent: &AgentView) -> String {
        let mine = self.working.iter().filter(|task| task.agent_id == Some(agent.id));
        mine.map(|task| one_line(&task.title)).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
pub(super) mod tests;
