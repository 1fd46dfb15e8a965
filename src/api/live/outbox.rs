//! What a session hears and wants done: the port between it and the library that carries it.

use std::rc::Rc;

use actix_web::web::Bytes;
use bytestring::ByteString;
use feed::{Entry, HistoryError};
use futures_util::future::LocalBoxFuture;
use protocol::live::frame::Body;
use protocol::live::limits::Ending;

use super::guard::Valve;
use super::replay::Reach;
use super::seat::Seat;

/// What comes back of an errand.
pub(crate) enum News {
    /// Events from the store.
    History(Result<Vec<Entry>, HistoryError>),
    /// How far a place to resume at reaches.
    Reach(Reach),
    /// The answer to a request for data.
    Data(Box<Body>, String),
}

/// Work that a session waits for without holding up its thread.
pub(crate) type Errand<N> = LocalBoxFuture<'static, N>;

/// What came from the client.
pub(crate) enum Heard {
    /// A whole text message.
    Text(String),
    /// A whole binary message, which no type of frame is.
    Binary(usize),
    /// A ping of the protocol.
    Ping(Bytes),
    /// An answer to a ping.
    Pong,
}

impl Heard {
    /// What sort it is, in metrics, and how many bytes it has.
    pub(crate) const fn size(&self) -> (&'static str, usize) {
        match self {
            Self::Text(text) => ("text", text.len()),
            Self::Binary(bytes) => ("binary", *bytes),
            Self::Ping(bytes) => ("ping", bytes.len()),
            Self::Pong => ("pong", 0),
        }
    }
}

/// Whoever sits on a socket. It decides; the socket carries.
pub(crate) trait Party: Unpin + 'static {
    /// What comes back of its errands.
    type News: 'static;

    /// Its place at the hub.
    fn seat(&self) -> &Rc<Seat>;
    /// What holds up the client's messages while it has enough of them.
    fn valve(&self) -> Rc<Valve>;
    /// A message above this is not read, and closes the connection, in bytes.
    fn message_bytes_hard_max(&self) -> usize;
    /// Says the first frames.
    fn open(&mut self, out: &mut Outbox<Self::News>);
    /// The bell was heard.
    fn wake(&mut self, out: &mut Outbox<Self::News>);
    /// The client said something.
    fn heard(&mut self, heard: Heard, out: &mut Outbox<Self::News>);
    /// An errand came back.
    fn hear(&mut self, news: Self::News, out: &mut Outbox<Self::News>);
    /// It has to end, and says why.
    fn end(&mut self, ending: Ending, out: &mut Outbox<Self::News>);
    /// Why it ends, once it does.
    fn ending(&self) -> Option<Ending>;
    /// It is over: counts and logs it.
    fn ended(&self, reason: &'static str, is_stalled: bool);
}

/// One thing to do.
pub(crate) enum Out<N> {
    /// A text frame.
    Text(ByteString),
    /// A ping.
    Ping,
    /// The answer to a ping.
    Pong(Bytes),
    /// The closing frame of the hive, with its reason. The client's closing frame is awaited for a moment.
    Close(Ending),
    /// Work.
    Errand(Errand<N>),
}

/// What is to be done, in order.
pub(crate) struct Outbox<N = News> {
    pub(crate) out: Vec<Out<N>>,
}

impl<N> Default for Outbox<N> {
    fn default() -> Self {
        Self { out: Vec::new() }
    }
}

impl<N> Outbox<N> {
    pub(crate) fn push(&mut self, out: Out<N>) {
        self.out.push(out);
    }

    pub(crate) fn errand(&mut self, errand: impl Future<Output = N> + 'static) {
        self.push(Out::Errand(Box::pin(errand)));
    }
}
