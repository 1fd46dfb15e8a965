//! Server-sent events: what streams have in common, whatever they tell, source:
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
//!
//! ```text
//!   look --something--> sent --taken by the client--> look …
//!     '----nothing----> wait for news (a beat when it was silent for long) --> look …
//! ```
//!
//! Invariant: what is sent next is made when the client has taken what was sent before; a client that does not read costs one
//! look's worth of memory and nothing more.
//!
//! Invariant: a drain ends every stream that is read; so does a client that closes its side, and a token that stands for
//! nobody any more.

use std::str::FromStr;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::unfold;
use protocol::output_stream::{BEAT, MEDIA_TYPE};
use runtime::Phase;
use tokio::time::{Instant, sleep};

use crate::answer::Answer;
use crate::connection::{Client, UnderWay};
use crate::in_flight::Streaming;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::state::Hive;

/// Where a client that lost its stream goes on, source:
/// <https://html.spec.whatwg.org/multipage/server-sent-events.html#last-event-id>.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// Tells nginx to hand on every event at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How often a stream that waits looks whether the hive drains; as long may it hold up a stop.
const PHASE_LOOK: Duration = Duration::from_millis(100);

/// What a stream tells.
pub(crate) trait Source: 'static {
    /// What is sent next; nothing while there is nothing new.
    async fn look(&mut self, listener: &Listener) -> Result<Option<Bytes>, Problem>;
    /// Comes when another look may find something. It is dropped and asked for again now and then.
    async fn news(&mut self, listener: &Listener);
    /// Whether everything is told.
    fn is_over(&self) -> bool {
        false
    }
}

/// Who listens to a stream.
pub(crate) struct Listener {
    pub(crate) hive: Hive,
    pub(crate) principal: Principal,
    client: Client,
    /// Counts it until it is dropped.
    _streaming: Streaming,
    _under_way: Option<UnderWay>,
}

impl Listener {
    /// Whether it may still be told something, and can be.
    pub(crate) fn is_there(&self) -> bool {
        !self.client.is_closed()
            && self.hive.runtime.phase() != Phase::Draining
            && self.principal.still_opens(&self.hive)
    }
}

/// A browser that lost its stream asks for the same address again, so this place is later than the address's.
///
/// # Errors
/// When it is not the id of an event.
pub(crate) fn last_event<T: FromStr>(http: &HttpRequest) -> Result<Option<T>, Problem> {
    let Some(value) = http.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let place = value.to_str().ok().and_then(|text| text.parse().ok());
    place.map(Some).ok_or_else(|| Problem::invalid(LAST_EVENT_ID, "is not the id of an event of this stream"))
}

/// Answers with a stream.
///
/// # Errors
/// There are as many streams as there may be.
pub(crate) fn answer<S: Source>(hive: &Hive, principal: &Principal, http: &HttpRequest, source: S) -> Answer {
    let streaming = hive.in_flight.begin_stream(hive.settings.follows_max).ok_or(Problem::Overloaded)?;
    let mut answer = HttpResponse::Ok();
    answer.content_type(MEDIA_TYPE);
    answer.insert_header((CACHE_CONTROL, "no-store"));
    answer.insert_header((ACCEL_BUFFERING, "no"));
    if http.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let client = Client::of(http);
    let listener = Listener {
        hive: hive.clone(),
        principal: principal.clone(),
        _under_way: client.begin(),
        client,
        _streaming: streaming,
    };
    let stream = Stream { source, listener, spoke_at: Instant::now() };
    Ok(answer.streaming(unfold(stream, async |mut stream| {
        let bytes = stream.next().await?;
        stream.spoke_at = Instant::now();
        Some((Ok::<_, Problem>(bytes), stream))
    })))
}

/// One stream.
struct Stream<S> {
    source: S,
    listener: Listener,
    /// When something was sent last.
    spoke_at: Instant,
}

impl<S: Source> Stream<S> {
    /// What is sent next; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.source.is_over() && self.listener.is_there() {
            match self.source.look(&self.listener).await {
                Ok(Some(bytes)) => return Some(bytes),
                Ok(None) => {
                    if let Some(beat) = self.wait().await {
                        return Some(beat);
                    }
                }
                Err(problem) => {
                    // The head is sent: all that can be done is to end; the client asks again and is told then.
                    tracing::warn!(
                        correlation_id = &*self.listener.principal.caller.correlation_id,
                        error = problem.cause(),
                        "a stream of events ended early"
                    );
                    return None;
                }
            }
        }
        None
    }

    /// Waits for news, or for the drain; a beat when it was silent for long.
    async fn wait(&mut self) -> Option<Bytes> {
        while self.listener.is_there() {
            if self.spoke_at.elapsed() >= self.listener.hive.settings.follow_beat {
                return Some(Bytes::from_static(BEAT.as_bytes()));
            }
            tokio::select! {
                () = self.source.news(&self.listener) => return None,
                () = self.listener.client.closed() => return None,
                () = sleep(PHASE_LOOK) => {}
            }
        }
        None
    }
}
