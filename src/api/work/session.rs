//! One session: the slots that are open, the attempts that its worker holds, and the frames both ways.
//!
//! Started by [`super::open`], owned by its socket, temporary under the session supervisor. It decides; what is to be done goes
//! into the [`Outbox`].

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use domain::{AgentId, TaskId};
use protocol::ProblemCode;
use protocol::live::limits::Ending;
use protocol::worker_session::{
    Ack, Cancel, CancelItem, CancelReason, ENVELOPE_BYTES, Established, HiveFrame, HiveSays, ITEMS_MAX,
    Nothing, Notice, REPORTS_MAX, ReportKind, SIGN_OF_LIFE_MS, SLOTS_MAX, SessionLimits, WorkerError,
    WorkerErrorCode, WorkerFrame, WorkerSays,
};
use runtime::{AttemptEvent, AttemptNews, Attendance, Consumer, Error, LeaseGrant};
use store::outcome::ClaimedTask;
use tokio::sync::mpsc;

use super::intake::{Granted, Intake, Taking};
use super::report::{self, Item};
use super::roll::{Enrolled, Roll};
use crate::live::admission::tell_end;
use crate::live::greeting::Endpoint;
use crate::live::guard::Valve;
use crate::live::outbox::{Heard, Out, Outbox, Party};
use crate::live::roster::{Key, Roster};
use crate::live::seat::Seat;
use crate::principal::Principal;
use crate::state::Hive;

/// How much a message may be above what is answered until it closes the connection, in bytes.
const HARD_BYTES: usize = 1 << 20;

/// Who begins a session.
pub(super) struct Begun {
    pub(super) principal: Principal,
    pub(super) agent: AgentId,
    pub(super) instance: Arc<str>,
    pub(super) id: Arc<str>,
}

/// What comes back of an errand.
pub(crate) enum WorkNews {
    /// The agent's actor has answered whether it is taken from.
    Consuming(Taking, Result<Option<(Consumer, Granted)>, Error>),
    /// Assignments came; none when the agent's actor has gone.
    Granted(Taking, Vec<LeaseGrant>, Granted),
    /// Time to begin again, or to give a sign of life.
    IntakeDue(Taking),
    /// What the earlier session of this worker was given.
    Held(Result<Vec<ClaimedTask>, Error>),
    /// Something happened to attempts that the worker holds.
    Happened(Vec<AttemptNews>, mpsc::UnboundedReceiver<AttemptNews>),
    /// A report was answered; which one it was.
    Answered(u64, Ack, Option<String>),
}

/// See the module.
pub(crate) struct WorkSession {
    pub(super) hive: Hive,
    pub(super) begun: Begun,
    pub(super) seat: Rc<Seat>,
    pub(super) key: Key,
    pub(super) attendance: Attendance,
    pub(super) news: Option<mpsc::UnboundedReceiver<AttemptNews>>,
    /// How many assignments the worker takes beyond those it was sent.
    pub(super) slots: u32,
    /// How it comes by assignments.
    pub(super) intake: Intake,
    /// Attempts that the worker holds, as far as this session knows, and has not reported the end of.
    pub(super) held: HashSet<(TaskId, u32)>,
    /// Attempts whose end was reported and is not answered yet.
    pub(super) finishing: HashSet<(TaskId, u32)>,
    /// How many reports came, and how many of them were answered.
    pub(super) reported: u64,
    pub(super) acknowledged: u64,
    /// Answers that wait for the one before.
    pub(super) answers: BTreeMap<u64, (Ack, Option<String>)>,
    pub(super) valve: Rc<Valve>,
    pub(super) ending: Option<Ending>,
    _enrolled: Enrolled,
}

impl WorkSession {
    /// One that has not said anything yet.
    pub(super) fn new(hive: Hive, begun: Begun, seat: Rc<Seat>) -> Self {
        let (told, news) = mpsc::unbounded_channel();
        let attendance = Attendance { agent: begun.agent, instance: Arc::clone(&begun.instance), told };
        Self {
            key: Roster::here().join(Rc::clone(&seat)),
            attendance,
            news: Some(news),
            slots: 0,
            intake: Intake::default(),
            held: HashSet::new(),
            finishing: HashSet::new(),
            reported: 0,
            acknowledged: 0,
            answers: BTreeMap::new(),
            valve: Rc::default(),
            ending: None,
            _enrolled: Roll::enter(&hive, begun.agent, &begun.instance, &begun.id),
            hive,
            begun,
            seat,
        }
    }

    /// A message above this is refused, in bytes.
    fn message_bytes_max(&self) -> usize {
        self.hive.runtime.limits().result_bytes_max.saturating_add(ENVELOPE_BYTES)
    }

    fn read(&mut self, text: &str, out: &mut Outbox<WorkNews>) {
        let frame = match WorkerFrame::read(text) {
            Ok(frame) => frame,
            Err(refused) => return self.refuse(refused.code, refused.message, refused.correlation_id, out),
        };
        let correlation_id = frame.correlation_id;
        match frame.said {
            WorkerSays::Ping => self.say(HiveSays::Pong(Nothing {}), correlation_id, out),
            WorkerSays::Ready(0) => {
                self.slots = 0;
                self.intake.end();
            }
            WorkerSays::Ready(slots) => {
                let open = self.slots.saturating_add(slots);
                if open > SLOTS_MAX {
                    let (code, open) = (WorkerErrorCode::InvalidValue, self.slots);
                    let message = format!("slots: at most {SLOTS_MAX} may be open, and {open} are");
                    return self.refuse(code, message, correlation_id, out);
                }
                self.slots = open;
                self.take(slots, out);
            }
            WorkerSays::Report(kind, items) => {
                let limits = self.hive.runtime.limits();
                let items: Vec<Item> = items.iter().map(|item| Item::read(kind, item, limits)).collect();
                if matches!(kind, ReportKind::Complete | ReportKind::Fail) {
                    // Its end is no news to the worker.
                    for attempt in items.iter().filter_map(Item::about) {
                        self.held.remove(&attempt);
                        self.finishing.insert(attempt);
                    }
                }
                self.report(kind, items, correlation_id, out);
            }
        }
    }

    fn report(
        &mut self,
        kind: ReportKind,
        items: Vec<Item>,
        correlation_id: Option<String>,
        out: &mut Outbox<WorkNews>,
    ) {
        let number = self.reported;
        self.reported = number.saturating_add(1);
        self.regulate();
        let place = format!("/api/v2/agents/{}/session", self.begun.agent).into();
        let answer = report::answer(&self.hive, &self.begun.principal, &place, (kind, items));
        out.errand(async move { WorkNews::Answered(number, answer.await, correlation_id) });
    }

    /// Reads on only while there are few reports without an answer.
    fn regulate(&self) {
        self.valve.shut(self.reported.saturating_sub(self.acknowledged) >= REPORTS_MAX);
    }

    /// Says the answers that have come, in the order of the reports.
    fn answered(&mut self, out: &mut Outbox<WorkNews>) {
        while let Some((ack, correlation_id)) = self.answers.remove(&self.acknowledged) {
            self.acknowledged = self.acknowledged.saturating_add(1);
            self.acknowledge(ack, correlation_id, out);
        }
        self.regulate();
    }

    fn acknowledge(&mut self, ack: Ack, correlation_id: Option<String>, out: &mut Outbox<WorkNews>) {
        for item in &ack.items {
            let task = item.task_id.as_deref().and_then(|id| id.parse::<TaskId>().ok());
            let Some(about) = task.zip(item.attempt) else { continue };
            let is_end = matches!(ack.of, ReportKind::Complete | ReportKind::Fail);
            if is_end {
                self.finishing.remove(&about);
            }
            let code = item.problem.as_ref().map(|problem| problem.code);
            if matches!(code, Some(ProblemCode::StaleLease | ProblemCode::NotFound)) {
                self.held.remove(&about);
            } else if is_end == (item.status != 200) && !self.finishing.contains(&about) {
                // It goes on. Perhaps it was taken before this session began, or before the hive did.
                if !self.held.contains(&about) && self.attend(about) {
                    self.held.insert(about);
                }
            }
        }
        self.say(HiveSays::Ack(ack), correlation_id, out);
    }

    fn happened(&mut self, news: &[AttemptNews], out: &mut Outbox<WorkNews>) {
        let mut items = Vec::new();
        for AttemptNews { task, attempt, event } in news {
            let (is_its, reason) = match event {
                AttemptEvent::CancelRequested => {
                    (self.held.contains(&(*task, *attempt)), CancelReason::CancelRequested)
                }
                AttemptEvent::Over => (self.held.remove(&(*task, *attempt)), CancelReason::Lost),
            };
            if is_its {
                items.push(CancelItem { task_id: *task, attempt: *attempt, reason });
            }
        }
        for items in items.chunks(ITEMS_MAX) {
            self.say(HiveSays::Cancel(Cancel { items: items.to_vec() }), None, out);
        }
    }

    /// Waits for what happens to attempts.
    fn listen(news: mpsc::UnboundedReceiver<AttemptNews>, out: &mut Outbox<WorkNews>) {
        let mut news = news;
        out.errand(async move {
            let mut heard = Vec::new();
            // The session holds a sender: this ends only with news.
            news.recv_many(&mut heard, ITEMS_MAX).await;
            WorkNews::Happened(heard, news)
        });
    }

    pub(super) fn close(&mut self, ending: Ending, out: &mut Outbox<WorkNews>) {
        if self.ending.is_some() {
            return;
        }
        self.say(HiveSays::DisconnectNotice(Notice { reason: ending.reason().to_owned() }), None, out);
        self.ending = Some(ending);
        // What is granted from here on goes back.
        self.intake.end();
        out.push(Out::Close(ending));
    }

    fn refuse(
        &self,
        code: WorkerErrorCode,
        message: String,
        correlation_id: Option<String>,
        out: &mut Outbox<WorkNews>,
    ) {
        self.hive.live.metrics.errors.with_label_values(&[code.as_str()]).inc();
        tracing::debug!(
            session.id = &*self.begun.id,
            correlation_id = correlation_id.as_deref().unwrap_or(&self.begun.principal.caller.correlation_id),
            reason = code.as_str(),
            "session refused"
        );
        self.say(HiveSays::Error(WorkerError { code, message }), correlation_id, out);
    }

    pub(super) fn say(&self, body: HiveSays, correlation_id: Option<String>, out: &mut Outbox<WorkNews>) {
        let metrics = &self.hive.live.metrics;
        metrics.sent_messages.with_label_values(&[body.kind()]).inc();
        let own = || self.begun.principal.caller.correlation_id.to_string();
        let correlation_id = correlation_id.unwrap_or_else(own);
        match (HiveFrame { body, timestamp: self.hive.clock.now(), correlation_id }).text() {
            Ok(text) => {
                metrics.sent_bytes.inc_by(u64::try_from(text.len()).unwrap_or(u64::MAX));
                out.push(Out::Text(text.into()));
            }
            Err(error) => {
                tracing::error!(session.id = &*self.begun.id, %error, "a frame cannot be written");
            }
        }
    }
}

impl Party for WorkSession {
    type News = WorkNews;

    fn seat(&self) -> &Rc<Seat> {
        &self.seat
    }

    fn valve(&self) -> Rc<Valve> {
        Rc::clone(&self.valve)
    }

    fn message_bytes_hard_max(&self) -> usize {
        self.message_bytes_max().saturating_add(HARD_BYTES)
    }

    fn open(&mut self, out: &mut Outbox<WorkNews>) {
        let limits = SessionLimits {
            items_max: ITEMS_MAX,
            slots_max: SLOTS_MAX,
            message_bytes_max: self.message_bytes_max(),
            sign_of_life_ms: SIGN_OF_LIFE_MS,
        };
        let established = Established {
            session_id: self.begun.id.to_string(),
            agent_id: self.begun.agent,
            worker_instance: self.begun.instance.to_string(),
            server_time: self.hive.clock.now(),
            limits,
        };
        self.say(HiveSays::SessionEstablished(established), None, out);
        if let Some(news) = self.news.take() {
            Self::listen(news, out);
        }
        let hive = self.hive.clone();
        let (caller, agent, instance) =
            (self.begun.principal.caller.clone(), self.begun.agent, Arc::clone(&self.begun.instance));
        out.errand(async move { WorkNews::Held(hive.runtime.holdings(&caller, agent, &instance).await) });
    }

    fn wake(&mut self, out: &mut Outbox<WorkNews>) {
        let (orders, _) = self.seat.take();
        if self.ending.is_some() {
            return;
        }
        if let Some(ending) = orders.close {
            return self.close(ending, out);
        }
        if orders.ping {
            out.push(Out::Ping);
        }
    }

    fn heard(&mut self, heard: Heard, out: &mut Outbox<WorkNews>) {
        self.seat.heard_at.set(Instant::now());
        if self.ending.is_some() {
            return;
        }
        let metrics = &self.hive.live.metrics;
        let bytes = metrics.count_received(&heard);
        match heard {
            Heard::Pong => {}
            Heard::Ping(bytes) => out.push(Out::Pong(bytes)),
            Heard::Text(_) | Heard::Binary(_) if bytes > self.message_bytes_max() => {
                metrics.drops.with_label_values(&["too_large"]).inc();
                let max = self.message_bytes_max();
                let message = format!(
                    "a message may have at most {max} bytes; send fewer items in one, or a large result over POST /api/v2/tasks/{{id}}/complete"
                );
                self.refuse(WorkerErrorCode::MessageTooLarge, message, None, out);
            }
            Heard::Text(text) => self.read(&text, out),
            Heard::Binary(_) => {
                let message = "Invalid JSON message format".to_owned();
                self.refuse(WorkerErrorCode::InvalidJson, message, None, out);
            }
        }
    }

    fn hear(&mut self, news: WorkNews, out: &mut Outbox<WorkNews>) {
        if self.ending.is_some() {
            // A grant in it is dropped, which hands it back.
            return;
        }
        match news {
            WorkNews::Consuming(taking, answer) => self.consuming(taking, answer, out),
            WorkNews::Granted(taking, grants, more) => self.granted(taking, grants, more, out),
            WorkNews::IntakeDue(taking) => self.intake_due(taking, out),
            WorkNews::Held(Ok(claimed)) => self.push(claimed, true, out),
            WorkNews::Held(Err(error)) => {
                tracing::warn!(session.id = &*self.begun.id, %error, "what a worker holds cannot be read");
                // It reports about what it holds all the same; those reports make it known here.
            }
            WorkNews::Happened(heard, news) => {
                self.happened(&heard, out);
                Self::listen(news, out);
            }
            WorkNews::Answered(number, ack, correlation_id) => {
                self.answers.insert(number, (ack, correlation_id));
                self.answered(out);
            }
        }
    }

    fn end(&mut self, ending: Ending, out: &mut Outbox<WorkNews>) {
        self.close(ending, out);
    }

    fn ending(&self) -> Option<Ending> {
        self.ending
    }

    fn ended(&self, reason: &'static str, is_stalled: bool) {
        let correlation_id = &self.begun.principal.caller.correlation_id;
        tell_end(&self.hive, (&self.begun.id, Endpoint::Worker), correlation_id, (reason, is_stalled));
    }
}

impl Drop for WorkSession {
    fn drop(&mut self) {
        Roster::here().leave(self.key);
    }
}
