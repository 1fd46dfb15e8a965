//! `GET /api/v2/events/stream`: the log as server-sent events, on the same cursor as sessions.
//!
//! Invariant: what is sent next is made when the client has taken what was sent before; a client that does not read costs
//! 64 KiB and nothing more.

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use feed::{Cursor, Entry, HistoryError, Look};
use futures_util::Stream;
use futures_util::stream::unfold;
use protocol::live::limits::WAKE_BYTES;
use protocol::output_stream::{BEAT, MEDIA_TYPE};
use protocol::query::EventStreamQuery;
use runtime::Phase;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::Answer;
use crate::connection::{Client, UnderWay};
use crate::in_flight::Streaming;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;

/// Where a client that lost its stream goes on, source:
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id>.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// Tells nginx to hand on every event at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How often a stream that waits looks whether the hive drains.
const PHASE_LOOK: Duration = Duration::from_millis(100);

/// Follow the log.
#[utoipa::path(get, path = "/api/v2/events/stream", tag = "events",
    params(EventStreamQuery, ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event that came", minimum = 0)),
    responses((status = 200, description = "Server-sent events: `id` is the `seq`, `data` the event as `GET /api/v2/events` \
        shows it. `event: skipped` with `{from, to}` says which events are not kept any more", body = String,
        content_type = "text/event-stream")))]
pub(crate) async fn stream_events(
    hive: Hive,
    principal: Allowed<ReadHive>,
    http: HttpRequest,
    given: Given,
) -> Answer {
    let asked = EventStreamQuery::read(given.0)?;
    let after = last_event(&http)?.or(asked.after);
    let streaming = hive.in_flight.begin_stream(hive.settings.follows_max).ok_or(Problem::Overloaded)?;
    let mut answer = HttpResponse::Ok();
    answer.content_type(MEDIA_TYPE);
    answer.insert_header((CACHE_CONTROL, "no-store"));
    answer.insert_header((ACCEL_BUFFERING, "no"));
    if http.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    hive.runtime.settled().await;
    let head = hive.feed.seq();
    let client = Client::of(&http);
    let stream = EventStream {
        growth: hive.feed.log().growth(),
        cursor: hive.feed.log().follow(after.unwrap_or(head).min(head)),
        hive,
        principal: (*principal).clone(),
        spoke_at: Instant::now(),
        _under_way: client.begin(),
        client,
        _streaming: streaming,
    };
    Ok(answer.streaming(stream.into_stream()))
}

fn last_event(http: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(value) = http.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let seq = value.to_str().ok().and_then(|text| text.parse::<i64>().ok()).filter(|seq| *seq >= 0);
    seq.map(Some).ok_or_else(|| Problem::invalid(LAST_EVENT_ID, "is not the id of an event of this stream"))
}

/// One stream.
struct EventStream {
    hive: Hive,
    principal: Principal,
    cursor: Cursor,
    growth: watch::Receiver<i64>,
    /// When something was sent last.
    spoke_at: Instant,
    client: Client,
    _streaming: Streaming,
    _under_way: Option<UnderWay>,
}

impl EventStream {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Problem>> {
        unfold(self, async |mut stream| {
            let bytes = stream.next().await?;
            stream.spoke_at = Instant::now();
            Some((Ok(bytes), stream))
        })
    }

    /// What is sent next; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.client.is_closed()
            && self.hive.runtime.phase() != Phase::Draining
            && self.principal.still_opens(&self.hive)
        {
            self.growth.mark_unchanged();
            let mut bytes = Vec::new();
            let tenant = self.principal.tenant();
            let look = self.cursor.look(i64::MAX, |entry| {
                if entry.tenant == tenant {
                    write(entry, &mut bytes);
                }
                bytes.len() < WAKE_BYTES
            });
            if look == Look::Older {
                match self.older(&mut bytes).await {
                    Ok(()) => {}
                    Err(error) => {
                        // The head is sent: all that can be done is to end; the client asks again and is told then.
                        tracing::warn!(%error, "a stream of events ended early");
                        return None;
                    }
                }
            }
            if !bytes.is_empty() {
                return Some(bytes.into());
            }
            if look == Look::Done
                && let Some(beat) = self.wait().await
            {
                return Some(beat);
            }
        }
        None
    }

    /// Events that the ring does not have.
    async fn older(&mut self, bytes: &mut Vec<u8>) -> Result<(), HistoryError> {
        match self.hive.feed.history(&self.cursor, &self.hive.readers).await {
            Ok(entries) => {
                let tenant = self.principal.tenant();
                entries.iter().filter(|entry| entry.tenant == tenant).for_each(|entry| write(entry, bytes));
                if let Some(last) = entries.last() {
                    self.cursor.jump(last.seq);
                }
                Ok(())
            }
            Err(HistoryError::Gone { after }) => {
                let (first, _) = self.hive.readers.log_range().await?;
                let (from, to) = (after.saturating_add(1), first.saturating_sub(1));
                if to >= from {
                    let told = format!("event: skipped\nid: {to}\ndata: {{\"from\":{from},\"to\":{to}}}\n\n");
                    bytes.extend_from_slice(told.as_bytes());
                    self.cursor.jump(to);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the log to grow, or for the drain; a beat when it was silent for long.
    async fn wait(&mut self) -> Option<Bytes> {
        loop {
            if self.spoke_at.elapsed() >= self.hive.settings.follow_beat {
                return Some(Bytes::from_static(BEAT.as_bytes()));
            }
            tokio::select! {
                _ = self.growth.changed() => return None,
                () = self.client.closed() => return None,
                () = sleep(PHASE_LOOK) => {
                    if self.hive.runtime.phase() == Phase::Draining || !self.principal.still_opens(&self.hive) {
                        return None;
                    }
                }
            }
        }
    }
}

fn write(entry: &Entry, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("id: {}\ndata: ", entry.seq).as_bytes());
    // JSON has no line breaks of its own.
    bytes.extend_from_slice(entry.event_json().as_bytes());
    bytes.extend_from_slice(b"\n\n");
}
