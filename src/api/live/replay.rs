//! Resuming: whether the log still has everything after a place, and the replay of topics that are taken up later.

use feed::Cursor;
use protocol::live::client::Place;

use super::subscriptions::Subscriptions;
use crate::state::Hive;

/// Topics that are to be taken up at a place.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) place: Place,
    pub(crate) joined: Subscriptions,
    /// Of the frame that asked for it.
    pub(crate) correlation_id: Option<String>,
}

/// How far a place reaches.
#[derive(Debug)]
pub(crate) struct Reach {
    /// Whether everything after the place is there.
    pub(crate) is_whole: bool,
    /// The place.
    pub(crate) from: i64,
    /// The end of the log.
    pub(crate) head: i64,
    /// Who asked; nothing: the session, on connecting.
    pub(crate) wish: Option<Wish>,
}

/// What topics missed between a place and where they began, before the stream goes on.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) cursor: Cursor,
    pub(crate) joined: Subscriptions,
    /// The place.
    pub(crate) from: i64,
    /// The last event that is replayed.
    pub(crate) until: i64,
}

/// Looks whether the log reaches back to a place.
pub(crate) async fn reach(hive: Hive, place: Place, wish: Option<Wish>) -> Reach {
    // Whoever has seen an event may be ahead of our projection by a moment.
    hive.runtime.settled().await;
    let head = hive.feed.seq();
    let from = place.offset;
    let is_of_this_log = place.epoch == hive.facts.epoch && from <= head;
    let is_whole = is_of_this_log
        && match hive.readers.log_range().await {
            Ok((first, _)) => from == head || first <= from.saturating_add(1),
            Err(error) => {
                tracing::warn!(%error, "the store does not say how far back the log reaches");
                false
            }
        };
    Reach { is_whole, from, head, wish }
}
