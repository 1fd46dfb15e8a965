//! Assignments on their way to a worker. Whoever drops them untaken hands them back.

use store::outcome::ClaimedTask;
use supervision::ActorRef;

use crate::coordinator::Coordinator;
use crate::metrics::Metrics;
use crate::task::attend::hand_back;

/// What a lease call or a session gets. Dropped without [`LeaseGrant::accept`], because the client went away, everything in it
/// goes back to the queue, uncharged.
pub struct LeaseGrant {
    claimed: Vec<ClaimedTask>,
    coordinator: ActorRef<Coordinator>,
    metrics: Metrics,
    /// Why what is not taken goes back.
    reason: &'static str,
}

impl std::fmt::Debug for LeaseGrant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.claimed.iter().map(|claimed| claimed.task)).finish()
    }
}

/// Of an assignment whose lease call or session ended before it was sent.
const CLIENT_GONE: &str = "the worker went away before it was sent";
/// Of an assignment whose process could not be started now.
const NOT_LAUNCHED: &str = "the agent did not take it";

impl LeaseGrant {
    pub(crate) fn new(
        claimed: Vec<ClaimedTask>,
        coordinator: ActorRef<Coordinator>,
        metrics: Metrics,
    ) -> Self {
        Self { claimed, coordinator, metrics, reason: CLIENT_GONE }
    }

    /// What is in it.
    pub(crate) fn claimed(&self) -> &[ClaimedTask] {
        &self.claimed
    }

    /// How many assignments are in it, and how many bytes of input they have together.
    pub(crate) fn size(&self) -> (usize, usize) {
        let bytes =
            self.claimed.iter().filter_map(|claimed| claimed.input.as_ref()).map(|input| input.len()).sum();
        (self.claimed.len(), bytes)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claimed.is_empty()
    }

    /// Takes the assignments: from here on, their leases run for the worker.
    #[must_use]
    pub fn accept(mut self) -> Vec<ClaimedTask> {
        let claimed = std::mem::take(&mut self.claimed);
        let count = u64::try_from(claimed.len()).unwrap_or(0);
        self.metrics.assignments.with_label_values(&["granted"]).inc_by(count);
        claimed
    }

    /// Takes the assignments as the answer of a lease call.
    #[must_use]
    pub fn accept_call(self) -> Vec<ClaimedTask> {
        let word = if self.is_empty() { "empty" } else { "granted" };
        self.metrics.leases.with_label_values(&[word]).inc();
        self.accept()
    }

    /// The first `most` assignments, as a grant of their own.
    pub(crate) fn split(&mut self, most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.claimed.len());
        let claimed = self.claimed.drain(..most).collect();
        Self {
            claimed,
            coordinator: self.coordinator.clone(),
            metrics: self.metrics.clone(),
            reason: self.reason,
        }
    }

    /// Offers each assignment to `take`; what it does not take goes back. Answers whether it took all.
    pub(crate) fn launch(mut self, mut take: impl FnMut(&ClaimedTask) -> bool) -> bool {
        self.reason = NOT_LAUNCHED;
        let launched = self.claimed.extract_if(.., |claimed| take(claimed)).count();
        let count = u64::try_from(launched).unwrap_or(0);
        self.metrics.assignments.with_label_values(&["granted"]).inc_by(count);
        self.is_empty()
    }

    /// Puts a part in front again.
    pub(crate) fn join(&mut self, mut part: Self) {
        self.claimed.splice(..0, std::mem::take(&mut part.claimed));
    }
}

impl Drop for LeaseGrant {
    fn drop(&mut self) {
        for claimed in self.claimed.drain(..) {
            self.metrics.assignments.with_label_values(&["handed_back"]).inc();
            let attempt = (claimed.task, claimed.attempt);
            hand_back(&self.coordinator, attempt, self.reason, &claimed.correlation_id);
        }
    }
}
