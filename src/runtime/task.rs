//! A task's actor: one for each attempt that runs. It knows what the store said of the lease and answers heartbeats.
//!
//! Started by the coordinator under the task supervisor when an attempt is claimed (or found running after a start),
//! transient; it ends with the attempt. A restart forgets only how old the lease is, and renews it at the next heartbeat.
//!
//! Invariant: it never decides that a lease has expired; it answers only with an expiry that is stored.
//!
//! Of a process agent, it owns the process too: see [`launch`].
//!
//! Messages: [`Beat`], [`CancelAsked`], [`Ended`], [`Launch`], [`EndForDrain`], [`Attend`]. Told upward: renewals, output and reports, as
//! writes, to the coordinator; what happens to the attempt, to the session that attends it.

pub mod attend;
pub mod launch;

use std::sync::Arc;

use domain::{AgentId, TaskId, Timestamp};
use links::Why;
use store::command::RenewLease;
use store::outcome::{ClaimedTask, Renewed};
use store::record::LeaseRecord;
use supervision::{ActorRef, Behaviour, CancelHandle, Context, Handle, Reply};
use tokio::sync::{mpsc, oneshot};

use crate::caller::Caller;
use crate::coordinator::Coordinator;
use crate::error::Error;
use crate::janitor::apply;
use crate::shared::SharedRef;
pub use attend::{AttemptEvent, AttemptNews, Attend};
pub use launch::{EndForDrain, Launch, ProcessCount};
pub(crate) use launch::{Launched, Process};

/// A lease as the store gave it.
#[derive(Debug, Clone)]
pub struct TaskLease {
    /// Of which task.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// Who holds it.
    pub agent: AgentId,
    /// How long it lasts without a heartbeat, in milliseconds.
    pub ttl_ms: u64,
    /// When it expires.
    pub expires_at: Timestamp,
    /// When it was stored so.
    pub renewed_at: Timestamp,
    /// Whether the holder should end.
    pub is_cancel_requested: bool,
}

impl TaskLease {
    /// The lease of a claim.
    #[must_use]
    pub fn of(claimed: &ClaimedTask) -> Self {
        Self {
            task: claimed.task,
            attempt: claimed.attempt,
            agent: claimed.agent,
            ttl_ms: claimed.lease_ttl_ms,
            expires_at: claimed.lease_expires_at,
            renewed_at: claimed.started_at,
            is_cancel_requested: false,
        }
    }
}

impl From<&LeaseRecord> for TaskLease {
    fn from(record: &LeaseRecord) -> Self {
        Self {
            task: record.task,
            attempt: record.attempt,
            agent: record.agent,
            ttl_ms: record.lease_ttl_ms,
            expires_at: record.lease_expires_at,
            // Old enough for the next heartbeat to renew it.
            renewed_at: Timestamp::ZERO,
            is_cancel_requested: record.is_cancel_requested,
        }
    }
}

/// The holder is alive; the answer is the stored expiry.
pub struct Beat {
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<Renewed, Error>>,
}

impl actix::Message for Beat {
    type Result = ();
}

/// Somebody asked to cancel the task; the cap of the lease has changed.
pub struct CancelAsked;

impl actix::Message for CancelAsked {
    type Result = ();
}

/// The attempt has ended.
pub struct Ended;

impl actix::Message for Ended {
    type Result = ();
}

/// See the module.
pub struct TaskActor {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    lease: TaskLease,
    launched: Launched,
    process: Option<Process>,
    /// The session of the worker that holds it, where there is one.
    attendant: Option<mpsc::UnboundedSender<AttemptNews>>,
    /// When it must have shown a sign of life; set by who attends.
    sign_due: Option<CancelHandle>,
    /// Of the request that submitted the task, once that is known.
    correlation_id: Arc<str>,
}

impl TaskActor {
    /// For an attempt under this lease.
    #[must_use]
    pub(crate) fn new(
        shared: SharedRef,
        coordinator: ActorRef<Coordinator>,
        lease: TaskLease,
        launched: Launched,
    ) -> Self {
        let correlation_id = Caller::hive().correlation_id;
        Self {
            shared,
            coordinator,
            lease,
            launched,
            process: None,
            attendant: None,
            sign_due: None,
            correlation_id,
        }
    }

    fn renewed(&mut self, now: Timestamp, renewed: &Result<Renewed, Error>) {
        let word = match renewed {
            Ok(Renewed::Until { lease_expires_at, is_cancel_requested }) => {
                self.lease.renewed_at = now;
                self.lease.expires_at = *lease_expires_at;
                self.lease.is_cancel_requested |= is_cancel_requested;
                "renewed"
            }
            Ok(Renewed::Stale | Renewed::NotFound) | Err(_) => "stale",
        };
        self.shared.metrics.heartbeats.with_label_values(&[word]).inc();
    }

    /// Renewing more often than each third of its time would only cost writes.
    fn is_young(&self, now: Timestamp) -> bool {
        now < self.lease.renewed_at.plus_ms(self.lease.ttl_ms / 3)
    }
}

impl Behaviour for TaskActor {
    const KIND: &'static str = "task";
    /// One holder heartbeats; a few more for its retries and the end.
    const MAILBOX_CAPACITY: usize = 16;

    fn started(&mut self, cx: &mut Context<Self>) {
        self.report_lost(cx);
    }
}

impl Handle<Beat> for TaskActor {
    fn handle(&mut self, message: Beat, cx: &mut Context<Self>) -> Reply<()> {
        let now = self.shared.clock.now();
        if self.is_young(now) && !self.lease.is_cancel_requested {
            self.shared.metrics.heartbeats.with_label_values(&["fresh"]).inc();
            let _ = message.reply.send(Ok(Renewed::Until {
                lease_expires_at: self.lease.expires_at,
                is_cancel_requested: false,
            }));
            return Reply::Now(());
        }
        let command = RenewLease { task: self.lease.task, attempt: self.lease.attempt, reporter: None };
        cx.spawn(apply(self.coordinator.clone(), command), move |task, renewed, cx| {
            task.renewed(now, &renewed);
            if matches!(renewed, Ok(Renewed::Stale | Renewed::NotFound)) {
                cx.stop();
            }
            let _ = message.reply.send(renewed);
        });
        Reply::Now(())
    }
}

impl Handle<CancelAsked> for TaskActor {
    fn handle(&mut self, _: CancelAsked, _: &mut Context<Self>) -> Reply<()> {
        self.lease.is_cancel_requested = true;
        self.end_process(Why::Canceled);
        self.tell(AttemptEvent::CancelRequested);
        Reply::Now(())
    }
}

impl Handle<Ended> for TaskActor {
    fn handle(&mut self, _: Ended, cx: &mut Context<Self>) -> Reply<()> {
        self.tell(AttemptEvent::Over);
        cx.stop();
        Reply::Now(())
    }
}
