//! The feed's actor: folds commits into the projection and passes them on to the coordinator.
//!
//! Started by the root supervisor, permanent. A restart rebuilds the projection from the store, since nobody knows what
//! the incarnation before had taken from the inbox.
//!
//! Invariant: the coordinator hears of a commit only after the projection has it.

use std::sync::Arc;
use std::time::Duration;

use store::writer::CommitNotice;
use supervision::{ActorRef, Behaviour, Context, Handle, Reply};

use crate::coordinator::{Coordinator, push_news};
use crate::inbox::News;
use crate::shared::SharedRef;

/// How often it looks at its inbox even when nobody woke it.
const TICK: Duration = Duration::from_millis(100);
/// How long it waits before it asks a store again that does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// Commits wait in the inbox.
pub struct Fold {
    /// Whether this is the regular look that is set again.
    pub is_tick: bool,
}

impl actix::Message for Fold {
    type Result = ();
}

/// See the module.
pub struct FeedActor {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    is_whole: bool,
}

impl FeedActor {
    /// One whose projection was just built.
    #[must_use]
    pub fn new(shared: SharedRef, coordinator: ActorRef<Coordinator>) -> Self {
        Self { shared, coordinator, is_whole: true }
    }

    fn fold(&mut self, notice: Arc<CommitNotice>, cx: &mut Context<Self>) {
        let folded = self.shared.feed.fold(&notice.new_lanes, &notice.events);
        push_news(&self.shared, &self.coordinator, News::Committed(notice));
        if let Err(gap) = folded
            && self.is_whole
        {
            tracing::warn!(%gap, "the feed missed commits; rebuilding");
            self.rebuild(cx);
        }
    }

    fn rebuild(&mut self, cx: &mut Context<Self>) {
        self.is_whole = false;
        self.shared.metrics.rebuilds.with_label_values(&["feed"]).inc();
        let shared = Arc::clone(&self.shared);
        let build = async move { shared.feed.rebuild(&shared.readers).await };
        cx.spawn(build, |feed, built, cx| match built {
            Ok(_) => {
                feed.is_whole = true;
                push_news(&feed.shared, &feed.coordinator, News::Rebuilt);
                feed.fold_all(cx);
            }
            Err(error) => {
                tracing::warn!(%error, "the feed cannot be rebuilt; trying again");
                cx.spawn(tokio::time::sleep(RETRY), |feed, (), cx| feed.rebuild(cx));
            }
        });
    }

    fn fold_all(&mut self, cx: &mut Context<Self>) {
        self.shared.feed_inbox.open();
        while self.is_whole
            && let Some(news) = self.shared.feed_inbox.pop()
        {
            match news {
                News::Committed(notice) => self.fold(notice, cx),
                // The writer opened the database again: a commit may have been left without its notice.
                News::Rebuilt => self.rebuild(cx),
                News::Claimed(_) | News::NotEnded(..) => {}
            }
        }
    }
}

impl Behaviour for FeedActor {
    const KIND: &'static str = "feed";
    /// Wake-ups only, and they are merged.
    const MAILBOX_CAPACITY: usize = 16;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify_later(Fold { is_tick: true }, TICK);
        if cx.incarnation() > 1 {
            self.rebuild(cx);
        }
    }
}

impl Handle<Fold> for FeedActor {
    fn handle(&mut self, message: Fold, cx: &mut Context<Self>) -> Reply<()> {
        if message.is_tick {
            cx.notify_later(message, TICK);
        }
        if self.is_whole {
            self.fold_all(cx);
        }
        Reply::Now(())
    }
}
