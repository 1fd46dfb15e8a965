//! Sessions: the hive as it happens, over WebSocket and server-sent events.
//!
//! ```text
//!   commit -> FeedActor -> feed::Log (each event encoded once) --growth--> hub (one a web thread)
//!                                                                            | rings whom it concerns, after 0-30 ms
//!   client <- socket (actix-web-actors) <- session <- seat <-----------------'
//!                                           | reads the log from its cursor: ring, or history from the store
//! ```
//!
//! One event, from its commit to two sessions: the writer's notice reaches the feed's actor, which folds it and appends
//! it, encoded, to the log. Each hub wakes, sees in the new entries whom they concern, and rings those seats. A live
//! session's cursor stands right before the event: it takes the frame from the ring and writes it. One that resumes
//! has its cursor far back: it reads pages from the store until the ring has the next event, and then does the same.
//!
//! A connect: the gate checks the token, [`admission`] the origin and the limits, [`connect`] the topics. The session takes a snapshot
//! from the projection, which is exact at its `seq`, and puts its cursor there: what follows is everything after it.
//!
//! A slow consumer: while its socket takes nothing, the library does not poll the session, and the seat stays rung. The
//! hub counts the rings that were not taken; nobody else waits. When the socket takes again, the session skips to the
//! end of the log and says so, or is closed; when it does not for 20 s, `connection` ends it.
//!
//! Invariant: a session's frames of one topic come in commit order, each once; where some are left out, it is told which.
//!
//! Invariant: what is buffered for a session is bounded: 64 KiB of events a poll of its body, and no poll while its socket
//! is blocked.
//!
//! Invariant: every connect, denial, drop, error and end is counted with its reason and logged with the session's id.
//!
//! Reading order: [`admission`], [`connect`], [`session`] and [`pump`] with [`orders`] and [`bucket`], [`socket`], [`seat`], [`roster`], [`hub`], [`book`],
//! [`measure`], [`lookout`], [`metrics`]; then the routes.

pub(crate) mod admission;
pub(crate) mod ask;
pub(crate) mod book;
pub(crate) mod broadcast;
pub(crate) mod bucket;
pub(crate) mod connect;
pub(crate) mod disconnect;
pub(crate) mod greeting;
pub(crate) mod guard;
pub(crate) mod hub;
pub(crate) mod lookout;
pub(crate) mod measure;
pub(crate) mod metrics;
pub(crate) mod outbox;
pub(crate) mod pump;
pub(crate) mod replay;
pub(crate) mod roster;
pub(crate) mod seat;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod show_contract;
pub(crate) mod show_health;
pub(crate) mod show_limits;
pub(crate) mod show_metrics;
pub(crate) mod show_stats;
pub(crate) mod socket;
pub(crate) mod stream_events;
pub(crate) mod subscriptions;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use domain::{Event, Name};
use feed::{Encode, Encoded};
use futures_util::future::join_all;
use parking_lot::Mutex;
use protocol::EventView;
use protocol::live::event_frame;
use protocol::live::limits::Ending;
use protocol::live::topic::Root;
use serde_json::value::RawValue;
use supervision::{ActorRef, SupervisorRef};

use book::Book;
use hub::Hub;
use lookout::Lookout;
use metrics::LiveMetrics;
pub use settings::LiveSettings;

use crate::work::roll::Roll;

/// How long a hub may take to answer.
const HUB_WITHIN: Duration = Duration::from_millis(900);

/// What all sessions of this process share.
pub(crate) struct Live {
    pub(crate) settings: LiveSettings,
    pub(crate) metrics: LiveMetrics,
    /// Over hubs and sessions.
    pub(crate) supervisor: SupervisorRef,
    /// Who is connected.
    pub(crate) book: Book,
    /// Which sessions speak for which workers.
    pub(crate) workers: Roll,
    pub(crate) lookout: Lookout,
    hubs: Mutex<Vec<ActorRef<Hub>>>,
    hub_count: AtomicUsize,
}

impl Live {
    /// Without sessions and hubs.
    pub(crate) fn new(settings: LiveSettings, metrics: LiveMetrics, supervisor: SupervisorRef) -> Self {
        Self {
            settings,
            metrics,
            supervisor,
            book: Book::default(),
            workers: Roll::default(),
            lookout: Lookout::default(),
            hubs: Mutex::default(),
            hub_count: AtomicUsize::new(0),
        }
    }

    /// The number of a new hub.
    fn next_hub(&self) -> usize {
        self.hub_count.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    fn add_hub(&self, hub: ActorRef<Hub>) {
        self.hubs.lock().push(hub);
    }

    /// One a web thread.
    pub(crate) fn hubs(&self) -> Vec<ActorRef<Hub>> {
        self.hubs.lock().clone()
    }

    /// Asks a session to end, whichever thread it is on.
    pub(crate) fn close(&self, id: &Arc<str>, ending: Ending) {
        for hub in self.hubs() {
            // A hub that is gone has no sessions left.
            let _ = hub.tell(hub::CloseSession { id: Arc::clone(id), ending });
        }
    }

    /// Says something to every session that is subscribed to a topic; answers how many it was handed to. A hub that does
    /// not answer in time is counted, and not waited for.
    pub(crate) async fn say(&self, root: Root, text: &ByteString) -> usize {
        let hubs = self.hubs();
        let asked = hubs.iter().map(|hub| hub.ask_within(hub::Say { root, text: text.clone() }, HUB_WITHIN));
        let mut sessions = 0_usize;
        for answer in join_all(asked).await {
            match answer {
                Ok(took) => sessions = sessions.saturating_add(took),
                Err(error) => {
                    tracing::warn!(%error, "a hub did not take what an operator said");
                    self.metrics.drops.with_label_values(&["hub"]).inc();
                }
            }
        }
        sessions
    }
}

/// Makes the wire form of events of the log that `epoch` names.
#[must_use]
pub fn encoder(epoch: &str) -> Encode {
    let epoch: Arc<str> = Arc::from(epoch);
    Arc::new(move |event: &Event, queue: Option<&Name>| {
        encode(event, queue, &epoch).unwrap_or_else(|error| {
            // Numbers and texts: only what an event carries beside them could be broken, and that is seen to.
            tracing::error!(seq = event.seq, %error, "an event cannot be shown");
            Encoded { frame: ByteString::new(), event: 0..0 }
        })
    })
}

fn encode(event: &Event, queue: Option<&Name>, epoch: &str) -> Result<Encoded, serde_json::Error> {
    let data = RawValue::from_string(event.data.to_string()).unwrap_or_else(|error| {
        // It was JSON when it was stored. Without it the fact itself is still told.
        tracing::error!(seq = event.seq, %error, "the data of an event cannot be shown");
        RawValue::NULL.to_owned()
    });
    let view = EventView {
        seq: event.seq,
        at: event.at,
        kind: event.kind.as_str().to_owned(),
        task_id: event.task,
        agent_id: event.agent,
        attempt: event.attempt,
        queue: queue.map(Name::to_string),
        correlation_id: event.correlation_id.to_string(),
        data,
    };
    let (frame, alone) = event_frame::encode(&view, event.kind, epoch)?;
    Ok(Encoded { frame: frame.into(), event: alone })
}

#[cfg(test)]
mod tests {
    use domain::{EventKind, TenantId, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_event_whose_data_is_broken_is_told_without_it() {
        let event = Event {
            seq: 7,
            at: Timestamp::from_micros(0),
            tenant: TenantId::DEFAULT,
            kind: EventKind::TaskSubmitted,
            task: None,
            agent: None,
            attempt: None,
            lane: None,
            priority: None,
            correlation_id: "c".into(),
            moved: None,
            data: "{\"cut".into(),
        };
        let encoded = encoder("e")(&event, None);
        let frame: Value = serde_json::from_str(&encoded.frame).unwrap();
        assert_eq!((&frame["offset"], &frame["data"]["data"]), (&json!(7), &Value::Null));
        let alone: Value = serde_json::from_str(&encoded.frame[encoded.event]).unwrap();
        assert_eq!((&alone["seq"], &alone["kind"]), (&json!(7), &json!("task.submitted")));
    }
}
