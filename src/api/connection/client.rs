//! What an endpoint knows of the connection that its request came over.

use std::convert::Infallible;
use std::future::{Ready, pending, poll_fn};
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::{Stream, StreamExt};

use super::{Traffic, UnderWay};

/// The connection that a request came over, as its endpoint sees it.
#[derive(Clone)]
pub(crate) struct Client(pub(super) Option<Rc<Traffic>>);

impl Client {
    /// Of a request. A request that came over no connection of ours has a client that never goes.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self(request.conn_data::<Rc<Traffic>>().cloned())
    }

    /// Of a session that stands on no connection.
    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Comes when the client has closed its side, see [`Traffic::closed`].
    pub(crate) async fn closed(&self) {
        match &self.0 {
            Some(traffic) => traffic.closed().await,
            None => pending().await,
        }
    }

    /// Whether the client has closed its side.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.as_ref().is_some_and(|traffic| traffic.is_closed())
    }

    /// The next piece of a body. Tells the connection whether one is waited for.
    pub(crate) async fn next_piece<S: Stream + Unpin>(&self, body: &mut S) -> Option<S::Item> {
        poll_fn(|cx| {
            let piece = body.poll_next_unpin(cx);
            self.reads(piece.is_pending(), cx);
            piece
        })
        .await
    }

    /// Tells the connection whether everything of a body that has arrived is taken.
    pub(crate) fn reads(&self, starves: bool, cx: &Context<'_>) {
        let Some(traffic) = &self.0 else { return };
        traffic.starves.set(starves);
        if starves && traffic.is_closed() {
            // Nothing more comes: the connection is to say so now.
            cx.waker().wake_by_ref();
        }
    }

    /// From now on the client may take nothing for this long only.
    pub(crate) fn limit_writes(&self, limit: Duration) {
        if let Some(traffic) = &self.0 {
            traffic.write_limit.set(Some(limit));
        }
    }

    /// For how long there has been something for the client and it has taken nothing.
    pub(crate) fn takes_nothing_for(&self) -> Duration {
        let since = self.0.as_ref().and_then(|traffic| traffic.waits_since.get());
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether the connection was ended because the client took nothing.
    pub(crate) fn is_stalled(&self) -> bool {
        self.0.as_ref().is_some_and(|traffic| traffic.is_stalled.get())
    }

    /// Keeps the connection under way for as long as an answer goes on.
    pub(crate) fn begin(&self) -> Option<UnderWay> {
        self.0.as_ref().map(Traffic::begin)
    }
}

impl FromRequest for Client {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request)))
    }
}
