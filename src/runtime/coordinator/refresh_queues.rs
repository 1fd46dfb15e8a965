//! A queue was paused or resumed, or has another limit: the books learn how all of them stand.

use std::time::Duration;

use supervision::{Context, Handle, Promise, Reply};

use super::Coordinator;

/// How long it waits before it asks a store again that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Read how the queues stand. Done when the answer comes.
pub struct RefreshQueues;

impl actix::Message for RefreshQueues {
    type Result = ();
}

impl Handle<RefreshQueues> for Coordinator {
    fn handle(&mut self, _: RefreshQueues, cx: &mut Context<Self>) -> Reply<()> {
        let (promise, reply) = Reply::promise();
        self.refresh_queues(Some(promise), cx);
        reply
    }
}

impl Coordinator {
    /// Reads the queues, now or once the read that is under way has ended.
    pub(crate) fn refresh_queues(&mut self, promise: Option<Promise<()>>, cx: &mut Context<Self>) {
        if self.queue_refresh.ask(promise) {
            self.read_queues(cx);
        }
    }

    fn read_queues(&mut self, cx: &mut Context<Self>) {
        let shared = self.shared.clone();
        cx.spawn(async move { shared.readers.all_queues().await }, |coordinator, queues, cx| match queues {
            Ok(queues) => {
                coordinator.books.set_queues(&queues);
                if coordinator.queue_refresh.end() {
                    coordinator.read_queues(cx);
                }
                coordinator.dispatch(cx);
            }
            Err(error) => {
                tracing::warn!(%error, "the coordinator cannot read the queues; trying again");
                cx.spawn(tokio::time::sleep(RETRY), |coordinator, (), cx| coordinator.read_queues(cx));
            }
        });
    }
}
