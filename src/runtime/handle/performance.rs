//! What the hive did over a range of time, from the store and from memory.

use std::time::Duration;

use store::error::ReadError;

use super::RuntimeHandle;
use crate::performance::{PerformanceSeries, Slice, begin, resolution, series};

impl RuntimeHandle {
    /// A request was answered. `took` is `None` for one that waits on purpose, like a lease call.
    pub fn answered(&self, took: Option<Duration>, is_error: bool) {
        self.shared.performance.answered(self.shared.clock.now(), took, is_error);
    }

    /// What the hive did in the last `range_s` seconds, which are at most 30 days.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn performance(&self, range_s: u32) -> Result<PerformanceSeries, ReadError> {
        self.settled().await;
        let now = self.shared.clock.now();
        let (_, span_s) = resolution(range_s);
        // Memory first: what is stored meanwhile is then found twice, and what is in memory counts.
        let mut slices = self.shared.performance.in_memory(now, span_s);
        let stored = self.shared.readers.performance(span_s, begin(range_s, now)).await?;
        let node = self.shared.node;
        let folded = tokio::task::spawn_blocking(move || {
            let known: Vec<_> = slices.iter().map(Slice::key).collect();
            let news =
                stored.iter().filter(|row| row.node != node || !known.contains(&(row.span_s, row.since)));
            slices.extend(news.map(Slice::from));
            series(range_s, now, &slices)
        });
        folded.await.map_err(|error| ReadError::Unavailable(error.to_string()))
    }
}
