//! How a session comes by work: one lease call at a time for the slots that are open, and what it brings is pushed.

use std::time::{Duration, Instant};

use domain::TaskId;
use protocol::AssignmentView;
use protocol::live::limits::Ending;
use protocol::worker_session::{Assignments, HiveSays, ITEMS_MAX, SIGN_OF_LIFE_MS};
use runtime::{Error, LeaseCall, LeaseGrant};
use store::outcome::ClaimedTask;
use tokio::sync::oneshot;

use super::session::{WorkNews, WorkSession};
use crate::live::outbox::Outbox;
use crate::views;

/// How long one lease call waits; the next one follows at once.
const LEASE_WAIT: Duration = Duration::from_secs(30);
/// How long the next one waits when the last was ended early, with nothing: the agent drains, or there is an error.
const LEASE_AGAIN: Duration = Duration::from_secs(1);
/// Bytes of assignments in one frame at most, unless one alone is larger.
const FRAME_BYTES: usize = 256 << 10;

impl WorkSession {
    /// Asks for work, unless it does or nothing may come.
    pub(super) fn ask(&mut self, out: &mut Outbox<WorkNews>) {
        if self.slots == 0 || self.asking.is_some() || self.is_resting || self.ending.is_some() {
            return;
        }
        let (asking, called_off) = oneshot::channel::<()>();
        self.asking = Some(asking);
        let most = u32::try_from(ITEMS_MAX).unwrap_or(u32::MAX);
        let worker_instance = Some(self.begun.instance.to_string());
        let call = LeaseCall { max: self.slots.min(most), wait: LEASE_WAIT, worker_instance };
        let (hive, caller, agent) =
            (self.hive.clone(), self.begun.principal.caller.clone(), self.begun.agent);
        out.errand(async move {
            let began = Instant::now();
            tokio::select! {
                biased;
                _ = called_off => WorkNews::NotLeased,
                grant = hive.runtime.lease(&caller, agent, call) => WorkNews::Leased(began, grant),
            }
        });
    }

    pub(super) fn leased(
        &mut self,
        began: Instant,
        answer: Result<Option<LeaseGrant>, Error>,
        out: &mut Outbox<WorkNews>,
    ) {
        self.asking = None;
        let grant = match answer {
            Ok(Some(grant)) => grant,
            // Neither may come back: the agent was removed.
            Ok(None) => return self.close(Ending::Removed, out),
            Err(error) => {
                tracing::debug!(session.id = &*self.begun.id, %error, "a session's lease call failed");
                return self.rest(out);
            }
        };
        // What is dropped here goes back.
        if !self.begun.principal.still_opens(&self.hive) {
            return self.close(Ending::Credentials, out);
        }
        let claimed = grant.accept();
        if claimed.is_empty() && began.elapsed() < LEASE_AGAIN {
            return self.rest(out);
        }
        self.slots = self.slots.saturating_sub(u32::try_from(claimed.len()).unwrap_or(u32::MAX));
        self.push(claimed, false, out);
        self.ask(out);
    }

    /// Asks again a little later.
    fn rest(&mut self, out: &mut Outbox<WorkNews>) {
        self.is_resting = true;
        out.errand(async {
            tokio::time::sleep(LEASE_AGAIN).await;
            WorkNews::LeaseDue
        });
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
