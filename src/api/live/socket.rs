//! The carrier of a session, a watcher's or a worker's: the only file that names `actix-web-actors`, which upstream keeps but does
//! not develop.
//!
//! The library polls the session as the body of the response that upgraded the connection, and not while its buffer for
//! the socket is full. [`Paced`] makes use of that: each poll lets the session read the log once.
//!
//! Invariant: an end is counted once, by the drop of the [`Socket`], with its reason.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, AsyncContext, StreamHandler, WrapFuture};
use actix_http::ws::{CloseCode, CloseReason, Codec, Item, ProtocolError};
use actix_web::web::{Bytes, Payload};
use actix_web::{Error, HttpRequest, HttpResponse, HttpResponseBuilder};
use actix_web_actors::ws::{Message, WebsocketContext, handshake_with_protocols};
use futures_util::Stream;
use protocol::live::limits::Ending;
use supervision::Guest;

use super::book::Listed;
use super::guard::{Guard, TooLarge};
use super::outbox::{Heard, Out, Outbox, Party};
use super::seat::{Rings, Rung, Seat};
use crate::connection::{Client, UnderWay};
use crate::in_flight::InSession;

/// How long a client has to answer a closing frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What lives as long as the session.
pub(crate) struct Holds {
    pub(crate) _guest: Guest,
    pub(crate) _listed: Listed,
    pub(crate) _in_session: InSession,
    pub(crate) _under_way: Option<UnderWay>,
}

/// A party and what carries it.
pub(crate) struct Socket<P: Party> {
    party: P,
    client: Client,
    too_large: TooLarge,
    /// The beginning of a message of many frames.
    parts: Option<Parts>,
    /// The client has said goodbye.
    is_closed: bool,
    _holds: Holds,
}

/// A message of many frames, as far as it has come.
struct Parts {
    bytes: Vec<u8>,
    is_text: bool,
    frames: usize,
}

/// The answer to a handshake, still without its body.
///
/// # Errors
/// What is wrong with the handshake.
pub(crate) fn shake_hands(http: &HttpRequest) -> Result<HttpResponseBuilder, String> {
    let offered = offered_protocol(http);
    let protocols: Vec<&str> = offered.as_deref().into_iter().collect();
    handshake_with_protocols(http, &protocols).map_err(|error| error.to_string())
}

/// Starts the session as the body of the answer.
pub(crate) fn open<P: Party>(
    mut answer: HttpResponseBuilder,
    http: &HttpRequest,
    payload: Payload,
    party: P,
    holds: Holds,
) -> HttpResponse {
    let seat = Rc::clone(party.seat());
    let too_large = TooLarge::default();
    let bytes_max = party.message_bytes_hard_max();
    let guard = Guard::new(payload, Client::of(http), Rc::clone(&too_large), (bytes_max, party.valve()));
    let client = Client::of(http);
    let socket = Socket { party, client, too_large, parts: None, is_closed: false, _holds: holds };
    let codec = Codec::new().max_size(bytes_max);
    let body = WebsocketContext::with_codec(socket, guard, codec);
    answer.streaming(Paced { body: Box::pin(body), seat })
}

/// A browser that offered protocols wants one of them back.
fn offered_protocol(http: &HttpRequest) -> Option<String> {
    let offered = http.headers().get("sec-websocket-protocol")?.to_str().ok()?;
    let mut names = offered.split(',').map(str::trim).filter(|name| !name.is_empty());
    let first = names.next()?;
    let plain = std::iter::once(first).chain(names).find(|name| !name.starts_with(super::admission::BEARER));
    Some(plain.unwrap_or(first).to_owned())
}

/// The body, polled with one look at the log each.
struct Paced<S> {
    body: Pin<Box<S>>,
    seat: Rc<Seat>,
}

impl<S: Stream<Item = Result<Bytes, Error>>> Stream for Paced<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.seat.begin_poll();
        let polled = this.body.as_mut().poll_next(cx);
        if polled.is_pending() && this.seat.wants_poll() {
            cx.waker().wake_by_ref();
        }
        polled
    }
}

impl<P: Party> Socket<P> {
    fn act(
        &mut self,
        context: &mut WebsocketContext<Self>,
        decide: impl FnOnce(&mut P, &mut Outbox<P::News>),
    ) {
        let mut outbox = Outbox::default();
        decide(&mut self.party, &mut outbox);
        self.carry(outbox, context);
    }

    fn carry(&mut self, outbox: Outbox<P::News>, context: &mut WebsocketContext<Self>) {
        for out in outbox.out {
            match out {
                Out::Text(text) => context.text(text),
                Out::Ping => context.ping(b""),
                Out::Pong(bytes) => context.pong(&bytes),
                Out::Close(ending) => {
                    context.close(Some(reason(CloseCode::from(ending.code()), ending.reason())));
                    context.run_later(CLOSE_WITHIN, |_, context| context.stop());
                }
                Out::Errand(errand) => {
                    context.spawn(errand.into_actor(self).map(Self::come_back));
                }
            }
        }
    }

    fn come_back(news: P::News, socket: &mut Self, context: &mut WebsocketContext<Self>) {
        let mut outbox = Outbox::default();
        socket.party.hear(news, &mut outbox);
        socket.carry(outbox, context);
    }

    fn hear(&mut self, heard: Heard, context: &mut WebsocketContext<Self>) {
        self.act(context, |party, outbox| party.heard(heard, outbox));
    }

    fn end(&mut self, ending: Ending, context: &mut WebsocketContext<Self>) {
        self.act(context, |party, outbox| party.end(ending, outbox));
    }

    fn part(&mut self, item: Item, context: &mut WebsocketContext<Self>) {
        // A long message is a sign of life before it is whole.
        self.party.seat().heard_at.set(Instant::now());
        let begun = |is_text| Some(Parts { bytes: Vec::new(), is_text, frames: 0 });
        let (piece, is_last) = match item {
            Item::FirstText(piece) => {
                self.parts = begun(true);
                (piece, false)
            }
            Item::FirstBinary(piece) => {
                self.parts = begun(false);
                (piece, false)
            }
            Item::Continue(piece) => (piece, false),
            Item::Last(piece) => (piece, true),
        };
        let Some(parts) = &mut self.parts else { return };
        parts.bytes.extend_from_slice(&piece);
        // A frame counts as a byte: frames of nothing do not go on for ever.
        parts.frames = parts.frames.saturating_add(1);
        let bytes_max = self.party.message_bytes_hard_max();
        if parts.bytes.len() > bytes_max || parts.frames > bytes_max {
            self.parts = None;
            return self.end(Ending::TooLarge, context);
        }
        if !is_last {
            return;
        }
        let Some(Parts { bytes: whole, is_text, .. }) = self.parts.take() else { return };
        if !is_text {
            return self.hear(Heard::Binary(whole.len()), context);
        }
        match String::from_utf8(whole) {
            Ok(text) => self.hear(Heard::Text(text), context),
            Err(_) => self.end(Ending::NotText, context),
        }
    }

    fn goodbye(&mut self, said: Option<CloseReason>, context: &mut WebsocketContext<Self>) {
        if self.party.ending().is_none() {
            let is_known = said.as_ref().is_none_or(|said| may_be_sent(u16::from(said.code)));
            if !is_known {
                return self.end(Ending::Protocol, context);
            }
            self.is_closed = true;
            context.close(said.map(|said| CloseReason { code: said.code, description: None }));
        }
        context.stop();
    }

    /// How it ended.
    fn reason(&self) -> &'static str {
        match self.party.ending() {
            Some(ending) => ending.reason(),
            None if self.client.is_stalled() => Ending::SlowConsumer.reason(),
            None if self.is_closed => "client_closed",
            None => "client_gone",
        }
    }
}

/// Codes that may stand in a closing frame, source: <https://www.rfc-editor.org/rfc/rfc6455#section-7.4>.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn reason(code: CloseCode, text: &str) -> CloseReason {
    CloseReason { code, description: Some(text.to_owned()) }
}

/// What the library says of a broken frame, as a reason to close.
fn broken(error: &ProtocolError) -> Ending {
    match error {
        ProtocolError::Overflow => Ending::TooLarge,
        ProtocolError::Io(error) if error.to_string().contains("utf-8") => Ending::NotText,
        _ => Ending::Protocol,
    }
}

impl<P: Party> Actor for Socket<P> {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Nobody sends it messages: what it is told stands on its seat.
        context.set_mailbox_capacity(1);
        context.add_stream(Rings(Rc::clone(self.party.seat())));
        self.act(context, |party, outbox| party.open(outbox));
    }
}

impl<P: Party> StreamHandler<Rung> for Socket<P> {
    fn handle(&mut self, _: Rung, context: &mut Self::Context) {
        self.act(context, |party, outbox| party.wake(outbox));
    }
}

impl<P: Party> StreamHandler<Result<Message, ProtocolError>> for Socket<P> {
    fn handle(&mut self, message: Result<Message, ProtocolError>, context: &mut Self::Context) {
        match message {
            Ok(Message::Close(said)) => self.goodbye(said, context),
            Ok(_) if self.party.ending().is_some() => {}
            Ok(Message::Text(text)) => self.hear(Heard::Text(text.into()), context),
            Ok(Message::Binary(bytes)) => self.hear(Heard::Binary(bytes.len()), context),
            Ok(Message::Ping(bytes)) => self.hear(Heard::Ping(bytes), context),
            Ok(Message::Pong(_)) => self.hear(Heard::Pong, context),
            Ok(Message::Continuation(item)) => self.part(item, context),
            Ok(Message::Nop) => {}
            Err(_) if self.too_large.get() => self.end(Ending::TooLarge, context),
            Err(error) => self.end(broken(&error), context),
        }
    }

    fn finished(&mut self, context: &mut Self::Context) {
        // The client's side is closed: nobody is left to answer.
        context.stop();
    }
}

impl<P: Party> Drop for Socket<P> {
    fn drop(&mut self) {
        self.party.ended(self.reason(), self.client.is_stalled());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_nobody_may_send_are_known() {
        for good in [1000, 1001, 1003, 1007, 1011, 3000, 4999] {
            assert!(may_be_sent(good), "{good}");
        }
        for bad in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            assert!(!may_be_sent(bad), "{bad}");
        }
    }
}
