//! After a start or a gap: the books are built from the projection and the store, running work is taken up.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{Agent, AgentId, LaneId, LaneSpec};
use feed::QueueFigures;
use std::time::Duration;
use store::error::ReadError;
use store::record::{LeaseRecord, QueueRecord};
use supervision::Context;

use super::Coordinator;
use super::advance::end_actor;
use super::books::Books;
use crate::inbox::News;
use crate::task::TaskLease;

/// How long it waits before it asks a store again that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// All that the books are built from. The log's part is read first: what is read later may be newer, and folding the
/// events in between a second time changes nothing.
pub(crate) struct Snapshot {
    seq: i64,
    lanes: Vec<(LaneId, Arc<LaneSpec>, QueueFigures)>,
    agents: Vec<Agent>,
    queues: Vec<QueueRecord>,
    leases: Vec<LeaseRecord>,
}

impl Coordinator {
    /// Begins to build the books anew; plans wait until they are whole, submits do not.
    pub(crate) fn recover(&mut self, cx: &mut Context<Self>) {
        self.is_ready = false;
        self.recovery += 1;
        // Claims are handed on before the snapshot, so that it has them; commits are in it already.
        self.shared.coordinator_inbox.open();
        while let Some(news) = self.shared.coordinator_inbox.pop() {
            if let News::Claimed(back) = news {
                // What nobody knows of is found among the leases.
                let _is_known = self.deliver(back, cx);
            }
        }
        let (seq, lanes) = self.shared.feed.read(|projection| {
            let lanes =
                projection.lanes().map(|(id, spec, figures)| (id, Arc::clone(spec), *figures)).collect();
            (projection.seq(), lanes)
        });
        let (shared, recovery) = (self.shared.clone(), self.recovery);
        let read = async move {
            // Claims that are in the writer's queue have come to their end before the leases are read: the books begin
            // without anything under way, so whatever is held must be among them. While the writer does not commit, not
            // even a COMMIT whose answer was lost is known to be over.
            while shared.writer.passed().await.is_err() {
                tokio::time::sleep(RETRY).await;
            }
            // The answer to a removal may have been lost with the writer's thread.
            let held = shared.key_ring.held();
            shared.key_ring.forget_missing(&held, &shared.readers.all_api_keys().await?);
            Ok::<_, ReadError>(Snapshot {
                seq,
                lanes,
                agents: shared.readers.all_agents().await?,
                queues: shared.readers.all_queues().await?,
                leases: shared.readers.leases().await?,
            })
        };
        cx.spawn(read, move |coordinator, snapshot, cx| match snapshot {
            // A newer recovery is under way.
            _ if coordinator.recovery != recovery => {}
            Ok(snapshot) => coordinator.take_over(snapshot, cx),
            Err(error) => {
                tracing::warn!(%error, "the coordinator cannot read the store; trying again");
                cx.spawn(tokio::time::sleep(RETRY), |coordinator, (), cx| coordinator.recover(cx));
            }
        });
    }

    fn take_over(&mut self, snapshot: Snapshot, cx: &mut Context<Self>) {
        self.shared.metrics.rebuilds.with_label_values(&["coordinator"]).inc();
        self.books = Books::default();
        self.seq = snapshot.seq;
        for (id, spec, figures) in &snapshot.lanes {
            self.books.learn_lane(*id, spec, figures);
        }
        self.books.take_up(&snapshot.leases);
        self.books.set_queues(&snapshot.queues);
        let known: HashSet<AgentId> = snapshot.agents.iter().map(|agent| agent.id).collect();
        for seat in self.shared.directory.seats() {
            if !known.contains(&seat.agent.id) {
                self.drop_agent(seat.agent.id, cx);
            }
        }
        for agent in snapshot.agents {
            self.adopt(agent, cx);
        }
        let working = snapshot.leases.iter().map(|lease| lease.task).collect();
        for actor in self.shared.board.keep_only(&working) {
            end_actor(&actor);
        }
        for lease in &snapshot.leases {
            self.start_task(&TaskLease::from(lease), &cx.actor_ref());
        }
        self.is_ready = true;
        self.advance(cx);
    }
}
