//! The projection as everybody reads it, and how it is rebuilt from the store.

use std::sync::Arc;
use std::time::Duration;

use domain::{Event, LaneId, LaneSpec, Name};
use parking_lot::RwLock;
use store::command::SaveCheckpoint;
use store::error::ReadError;
use tokio::sync::Notify;

use crate::log::{Cursor, Encode, Entry, HistoryError, Log, RING_EVENTS};
use crate::projection::{Gap, Projection, Stored};

/// Events that are read at a time while the projection is rebuilt.
const REBUILD_EVENTS: u32 = 5_000;

/// The one projection of this process. Cheap to clone; reading takes a short lock.
#[derive(Debug, Clone)]
pub struct FeedHandle {
    projection: Arc<RwLock<Projection>>,
    /// Told after each fold.
    folded: Arc<Notify>,
    log: Log,
}

impl FeedHandle {
    /// An empty one; `encode` makes the wire form of events for those who follow the log.
    #[must_use]
    pub fn new(encode: Encode) -> Self {
        Self { projection: Arc::default(), folded: Arc::default(), log: Log::new(encode, RING_EVENTS) }
    }

    /// The end of the log.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The next events behind a cursor that the ring does not have, see [`crate::log::History::read`].
    pub fn history(
        &self,
        cursor: &Cursor,
        readers: &store::Readers,
    ) -> impl Future<Output = Result<Vec<Entry>, HistoryError>> + 'static {
        let (history, feed, readers) = (cursor.history(), self.clone(), readers.clone());
        async move { history.read(&readers, |event| feed.queue_of(event)).await }
    }

    fn queue_of(&self, event: &Event) -> Option<Name> {
        self.projection.read().queue_of(event)
    }

    /// Looks at the projection; do little, the fold waits meanwhile.
    pub fn read<R>(&self, look: impl FnOnce(&Projection) -> R) -> R {
        look(&self.projection.read())
    }

    /// The last event that is folded in.
    #[must_use]
    pub fn seq(&self) -> i64 {
        self.projection.read().seq()
    }

    /// Folds what a commit left behind.
    ///
    /// # Errors
    /// [`Gap`] when events are missing in between; [`FeedHandle::rebuild`] mends that.
    pub fn fold(&self, new_lanes: &[(LaneId, Arc<LaneSpec>)], events: &[Event]) -> Result<(), Gap> {
        let mut projection = self.projection.write();
        for (id, spec) in new_lanes {
            projection.learn_lane(*id, Arc::clone(spec));
        }
        let folded = events.iter().try_for_each(|event| projection.fold(event));
        let queues: Vec<Option<Name>> = if self.log.is_followed() {
            events.iter().map(|event| projection.queue_of(event)).collect()
        } else {
            Vec::new()
        };
        drop(projection);
        if folded.is_ok() {
            // Encoding takes its time, and readers of the projection need not wait for it.
            self.log.append(events, queues);
        }
        self.folded.notify_waiters();
        folded
    }

    /// Waits until the projection has event `seq`, at most for `patience`: what a caller was answered, it then also
    /// reads. A projection that lags longer is read as it is.
    pub async fn caught_up(&self, seq: i64, patience: Duration) {
        let wait = async {
            loop {
                let folded = self.folded.notified();
                if self.seq() >= seq {
                    break;
                }
                folded.await;
            }
        };
        // Late is as good as it gets.
        let _ = tokio::time::timeout(patience, wait).await;
    }

    /// Builds the projection anew: the last checkpoint, the lanes, then the log after it. Readers see the old one until
    /// the new one is whole. Answers how many events were folded.
    ///
    /// # Errors
    /// When the store cannot be read, or the log has a hole.
    pub async fn rebuild(&self, readers: &store::Readers) -> Result<u64, RebuildError> {
        let mut fresh = begin(readers).await?;
        // Of a moment at or after the checkpoint's; the events since say the same again, in order.
        for agent in readers.all_agents().await? {
            fresh.learn_agent(&agent);
        }
        for (id, spec) in readers.lanes().await? {
            fresh.learn_lane(id, Arc::new(spec));
        }
        let mut folded = 0;
        loop {
            let events = readers.events_raw(fresh.seq(), REBUILD_EVENTS).await?;
            for event in &events {
                fresh.fold(event)?;
            }
            folded += u64::try_from(events.len()).unwrap_or(0);
            if events.len() < usize::try_from(REBUILD_EVENTS).unwrap_or(0) {
                break;
            }
        }
        let mut projection = self.projection.write();
        self.log.restart_after(fresh.seq());
        *projection = fresh;
        drop(projection);
        self.folded.notify_waiters();
        Ok(folded)
    }

    /// The projection as the store keeps it, to spare the next start most of the fold.
    ///
    /// # Errors
    /// Never with the types as they are; the serializer's word is passed on.
    pub fn checkpoint(&self) -> Result<SaveCheckpoint, serde_json::Error> {
        let projection = self.projection.read();
        let bytes = serde_json::to_vec(&projection.stored())?;
        Ok(SaveCheckpoint { seq: projection.seq(), projection: bytes.into() })
    }
}

/// Why the projection cannot be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log has a hole.
    #[error(transparent)]
    Gap(#[from] Gap),
}

/// Where the fold begins: at the last checkpoint, else at the first event, else, when neither is there or can be
/// understood, at a count of what is stored.
async fn begin(readers: &store::Readers) -> Result<Projection, ReadError> {
    if let Some(record) = readers.checkpoint().await? {
        match serde_json::from_slice::<Stored>(&record.projection) {
            Ok(stored) => return Ok(Projection::restored(stored)),
            Err(error) => tracing::warn!(%error, "the stored projection cannot be understood"),
        }
    }
    let (first_seq, _) = readers.log_range().await?;
    if first_seq <= 1 {
        return Ok(Projection::default());
    }
    tracing::warn!(first_seq, "the log begins later than the hive; counting what is stored");
    Ok(Projection::counted(&readers.census().await?))
}
