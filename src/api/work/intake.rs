//! How a session comes by work: it opens its slots at the agent's actor and pushes what is granted.

use std::time::Duration;

use domain::TaskId;
use protocol::AssignmentView;
use protocol::live::limits::Ending;
use protocol::worker_session::{Assignments, HiveSays, ITEMS_MAX, SIGN_OF_LIFE_MS};
use runtime::{Consumer, Error, LeaseGrant};
use store::outcome::ClaimedTask;
use tokio::sync::{mpsc, oneshot};

use super::session::{WorkNews, WorkSession};
use crate::live::outbox::Outbox;
use crate::views;

/// How often the agent's actor is told that a session is still there that waits for assignments.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// How long it rests when the agent's actor takes no messages.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes of assignments in one frame at most, unless one alone is larger.
const FRAME_BYTES: usize = 256 << 10;

/// Where grants come in.
pub(super) type Granted = mpsc::UnboundedReceiver<LeaseGrant>;
/// Counts beginnings: what an earlier one brings goes back.
pub(super) type Taking = u64;

/// Whether assignments are taken now.
#[derive(Default)]
pub(super) struct Intake {
    taking: Taking,
    state: State,
}

#[derive(Default)]
enum State {
    /// No: no slot was opened.
    #[default]
    Shut,
    /// The agent's actor is being asked.
    Asked,
    /// Yes; what is beside it ends the timer when it is dropped.
    Open(Consumer, oneshot::Sender<()>),
    /// A little later.
    Resting { _timer: oneshot::Sender<()> },
}

impl Intake {
    /// Takes nothing from here on; what was granted and has not been heard of goes back.
    pub(super) fn end(&mut self) {
        self.turn(State::Shut);
    }

    fn turn(&mut self, state: State) -> Taking {
        self.taking += 1;
        self.state = state;
        self.taking
    }
}

impl WorkSession {
    /// So many more slots are open.
    pub(super) fn take(&mut self, more: u32, out: &mut Outbox<WorkNews>) {
        match &self.intake.state {
            State::Shut => self.begin(out),
            // Then all that are open by then are told.
            State::Asked | State::Resting { .. } => {}
            State::Open(consumer, _) => {
                if let Err(error) = consumer.open(more) {
                    self.rest(&error, out);
                }
            }
        }
    }

    fn begin(&mut self, out: &mut Outbox<WorkNews>) {
        if self.slots == 0 {
            return self.intake.end();
        }
        let taking = self.intake.turn(State::Asked);
        let (hive, caller, agent) =
            (self.hive.clone(), self.begun.principal.caller.clone(), self.begun.agent);
        out.errand(async move { WorkNews::Consuming(taking, hive.runtime.consume(&caller, agent).await) });
    }

    pub(super) fn consuming(
        &mut self,
        taking: Taking,
        answer: Result<Option<(Consumer, Granted)>, Error>,
        out: &mut Outbox<WorkNews>,
    ) {
        if taking != self.intake.taking {
            return;
        }
        match answer {
            Ok(Some((consumer, granted))) => match consumer.open(self.slots) {
                Ok(()) => {
                    self.intake.state = State::Open(consumer, Self::come_back(taking, SIGN_OF_LIFE, out));
                    Self::await_grants(taking, granted, out);
                }
                Err(error) => self.rest(&error, out),
            },
            // It will not come back: the agent was removed.
            Ok(None) => self.close(Ending::Removed, out),
            Err(error) => self.rest(&error, out),
        }
    }

    fn await_grants(taking: Taking, granted: Granted, out: &mut Outbox<WorkNews>) {
        let mut granted = granted;
        out.errand(async move {
            let mut grants = Vec::new();
            granted.recv_many(&mut grants, ITEMS_MAX).await;
            WorkNews::Granted(taking, grants, granted)
        });
    }

    pub(super) fn granted(
        &mut self,
        taking: Taking,
        grants: Vec<LeaseGrant>,
        more: Granted,
        out: &mut Outbox<WorkNews>,
    ) {
        // What is dropped here goes back.
        if taking != self.intake.taking {
            return;
        }
        if grants.is_empty() {
            return self.begin(out);
        }
        if !self.begun.principal.still_opens(&self.hive) {
            return self.close(Ending::Credentials, out);
        }
        let heard = match &self.intake.state {
            State::Open(consumer, _) => consumer.heard(&grants),
            State::Shut | State::Asked | State::Resting { .. } => Ok(()),
        };
        let claimed: Vec<_> = grants.into_iter().flat_map(LeaseGrant::accept).collect();
        self.slots = self.slots.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
        self.push(claimed, false, out);
        match heard {
            Ok(()) => Self::await_grants(taking, more, out),
            Err(error) => self.rest(&error, out),
        }
    }

    /// Begins again a little later.
    fn rest(&mut self, error: &Error, out: &mut Outbox<WorkNews>) {
        tracing::debug!(session.id = &*self.begun.id, %error, "a session takes nothing for a moment");
        let taking = self.intake.turn(State::Shut);
        self.intake.state = State::Resting { _timer: Self::come_back(taking, AGAIN, out) };
    }

    fn come_back(taking: Taking, after: Duration, out: &mut Outbox<WorkNews>) -> oneshot::Sender<()> {
        let (lives, called_off) = oneshot::channel();
        out.errand(async move {
            // Nothing is ever sent: it ends in time, or with what holds the other side.
            let _ = tokio::time::timeout(after, called_off).await;
            WorkNews::IntakeDue(taking)
        });
        lives
    }

    pub(super) fn intake_due(&mut self, taking: Taking, out: &mut Outbox<WorkNews>) {
        if taking != self.intake.taking {
            return;
        }
        match &mut self.intake.state {
            State::Shut | State::Asked => {}
            State::Resting { .. } => self.begin(out),
            State::Open(_, timer) => {
                *timer = Self::come_back(taking, SIGN_OF_LIFE, out);
                // One that has all it takes has to show by its reports that it lives.
                if self.slots > 0 {
                    self.take(0, out);
                }
            }
        }
    }

    /// Hears of an attempt from now on, whose worker has to show a sign of life unless it did. Answers whether the agent
    /// holds it.
    pub(super) fn attend(&self, about: (TaskId, u32)) -> bool {
        self.hive.runtime.attend(about, &self.attendance, Duration::from_millis(SIGN_OF_LIFE_MS))
    }

    /// Sends assignments, in as many frames as their size takes.
    pub(super) fn push(&mut self, claimed: Vec<ClaimedTask>, resumed: bool, out: &mut Outbox<WorkNews>) {
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        for claimed in claimed {
            let about = (claimed.task, claimed.attempt);
            let is_known = self.held.contains(&about) || self.finishing.contains(&about);
            // One that has ended meanwhile is nobody's to take up.
            if resumed && (is_known || !self.attend(about)) {
                continue;
            }
            let size = claimed.input.as_ref().map_or(0, |input| input.len());
            let view = match views::assignment(claimed) {
                Ok(view) => view,
                Err(problem) => {
                    tracing::error!(task.id = %about.0, error = problem.cause(), "an assignment cannot be shown");
                    continue;
                }
            };
            if !items.is_empty() && (bytes.saturating_add(size) > FRAME_BYTES || items.len() >= ITEMS_MAX) {
                self.say_assignments(std::mem::take(&mut items), resumed, out);
                bytes = 0;
            }
            bytes = bytes.saturating_add(size);
            items.push(view);
            self.held.insert(about);
            if !resumed {
                // An attempt that has ended meanwhile has nobody to attend; its worker hears so at its first report.
                let _ = self.attend(about);
            }
        }
        if !items.is_empty() {
            self.say_assignments(items, resumed, out);
        }
    }

    fn say_assignments(&self, items: Vec<AssignmentView>, resumed: bool, out: &mut Outbox<WorkNews>) {
        self.say(HiveSays::Assignments(Assignments { items, resumed }), None, out);
    }
}
