//! What a session wants done: the port between it and the library that carries it.

use actix_web::web::Bytes;
use bytestring::ByteString;
use feed::{Entry, HistoryError};
use futures_util::future::LocalBoxFuture;
use protocol::live::frame::Body;
use protocol::live::limits::Ending;

use super::replay::Reach;

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
pub(crate) type Errand = LocalBoxFuture<'static, News>;

/// One thing to do.
pub(crate) enum Out {
    /// A text frame.
    Text(ByteString),
    /// A ping.
    Ping,
    /// The answer to a ping.
    Pong(Bytes),
    /// The closing frame of the hive, with its reason. The client's closing frame is awaited for a moment.
    Close(Ending),
    /// Work.
    Errand(Errand),
}

/// What is to be done, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) out: Vec<Out>,
}

impl Outbox {
    pub(crate) fn push(&mut self, out: Out) {
        self.out.push(out);
    }

    pub(crate) fn errand(&mut self, errand: impl Future<Output = News> + 'static) {
        self.push(Out::Errand(Box::pin(errand)));
    }
}
