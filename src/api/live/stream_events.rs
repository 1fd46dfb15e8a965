//! `GET /api/v2/events/stream`: the log as server-sent events, on the same cursor as sessions.
//!
//! Invariant: a look takes 64 KiB of events, and at most one event more.
//!
//! Invariant: what is not sent is told: what is not stored any more, and a place that this log does not have.

use actix_web::HttpRequest;
use actix_web::web::Bytes;
use feed::{Cursor, Entry, HistoryError, Look};
use protocol::live::limits::WAKE_BYTES;
use protocol::query::EventStreamQuery;
use tokio::sync::watch;

use crate::allowed::{Allowed, ReadHive};
use crate::answer::Answer;
use crate::problem::Problem;
use crate::query::Given;
use crate::sse::{self, Listener, Source};
use crate::state::Hive;

/// Follow the log.
#[utoipa::path(get, path = "/api/v2/events/stream", tag = "events",
    params(EventStreamQuery, ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that came", minimum = 0)),
    responses((status = 200, description = "Server-sent events: `id` is the `seq`, `data` the event as `GET /api/v2/events` \
        shows it. `event: skipped` with `{from, to}` says which events are not kept any more; after a place beyond the end of the log, \
        which is one of another log, that none of this one was told", body = String,
        content_type = "text/event-stream")))]
pub(crate) async fn stream_events(
    hive: Hive,
    principal: Allowed<ReadHive>,
    http: HttpRequest,
    given: Given,
) -> Answer {
    let asked = EventStreamQuery::read(given.0)?;
    let last = sse::last_event::<u64>(&http)?.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX));
    let after = last.or(asked.after);
    hive.runtime.settled().await;
    let (log, head) = (hive.feed.log(), hive.feed.seq());
    let place = after.unwrap_or(head);
    let source = Events {
        growth: log.growth(),
        cursor: log.follow(place.min(head)),
        skipped: (place > head).then(|| skipped(1, head)),
    };
    sse::answer(&hive, &principal, &http, source)
}

/// The log behind a place.
struct Events {
    cursor: Cursor,
    growth: watch::Receiver<i64>,
    /// What is to be told first.
    skipped: Option<String>,
}

impl Source for Events {
    async fn look(&mut self, listener: &Listener) -> Result<Option<Bytes>, Problem> {
        let tenant = listener.principal.tenant();
        let mut bytes = self.skipped.take().unwrap_or_default().into_bytes();
        while listener.is_there() {
            self.growth.mark_unchanged();
            let look = self.cursor.look(i64::MAX, |entry| {
                if entry.tenant == tenant {
                    write(entry, &mut bytes);
                }
                bytes.len() < WAKE_BYTES
            });
            if look == Look::Older {
                self.older(listener, &mut bytes).await?;
            }
            if !bytes.is_empty() {
                return Ok(Some(bytes.into()));
            }
            if look == Look::Done {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn news(&mut self, _: &Listener) {
        // The sender lives as long as the log.
        let _ = self.growth.changed().await;
    }
}

impl Events {
    /// Events that the ring does not have.
    async fn older(&mut self, listener: &Listener, bytes: &mut Vec<u8>) -> Result<(), Problem> {
        let (hive, tenant) = (&listener.hive, listener.principal.tenant());
        let head = hive.feed.log().head();
        match hive.feed.history(&self.cursor, &hive.readers).await {
            Ok(entries) => {
                entries.iter().filter(|entry| entry.tenant == tenant).for_each(|entry| write(entry, bytes));
                if let Some(last) = entries.last() {
                    self.cursor.jump(last.seq);
                }
            }
            Err(HistoryError::Gone { after }) => {
                let next = hive.readers.events_raw(after, 1).await?;
                let to = next.first().map_or(head, |event| event.seq.saturating_sub(1));
                bytes.extend_from_slice(skipped(after.saturating_add(1), to).as_bytes());
                self.cursor.jump(to);
            }
            Err(HistoryError::Read(error)) => return Err(error.into()),
        }
        Ok(())
    }
}

fn skipped(from: i64, to: i64) -> String {
    format!("event: skipped\nid: {to}\ndata: {{\"from\":{from},\"to\":{to}}}\n\n")
}

fn write(entry: &Entry, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("id: {}\ndata: ", entry.seq).as_bytes());
    // JSON has no line breaks of its own.
    bytes.extend_from_slice(entry.event_json().as_bytes());
    bytes.extend_from_slice(b"\n\n");
}
