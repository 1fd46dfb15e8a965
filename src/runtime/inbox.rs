//! News from other threads for one actor: nothing is lost, and any number of news makes one wake-up.
//!
//! Invariant: what is pushed stays until it is taken, also while the actor restarts; the order is kept.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{AgentId, TaskId};
use parking_lot::Mutex;
use store::outcome::ClaimedTask;
use store::writer::CommitNotice;

use crate::coordinator::Origin;

/// One piece of news.
#[derive(Debug)]
pub enum News {
    /// A batch was committed.
    Committed(Arc<CommitNotice>),
    /// Claims of a plan came back.
    Claimed(ClaimsBack),
    /// An attempt whose end was under way has not ended by it.
    NotEnded(TaskId, u32),
    /// Commits may be missing: the writer has opened the database again, or the feed has begun anew.
    Rebuilt,
}

/// What became of planned slots.
#[derive(Debug)]
pub struct ClaimsBack {
    /// For whom they were.
    pub agent: AgentId,
    /// Where they come from.
    pub from: Origin,
    /// How many slots were planned.
    pub planned: u32,
    /// What was claimed; `None` when nobody knows, because the store did not answer.
    pub claimed: Option<Vec<ClaimedTask>>,
}

/// The news of one actor.
#[derive(Debug, Default)]
pub struct Inbox {
    news: Mutex<VecDeque<News>>,
    is_woken: AtomicBool,
}

impl Inbox {
    /// Adds news, unless it says once more what is already the last word; `wake` is called when nobody has woken the actor
    /// since it last took its news, and says whether that worked.
    pub fn push(&self, news: News, wake: impl FnOnce() -> bool) {
        {
            let mut all = self.news.lock();
            if !matches!((&news, all.back()), (News::Rebuilt, Some(News::Rebuilt))) {
                all.push_back(news);
            }
        }
        if !self.is_woken.swap(true, Ordering::AcqRel) && !wake() {
            // The mailbox is full: the actor's own tick will find the news.
            self.is_woken.store(false, Ordering::Release);
        }
    }

    /// From here on, new news wake the actor again. To be called before the news are popped.
    pub fn open(&self) {
        self.is_woken.store(false, Ordering::Release);
    }

    /// Takes the oldest news.
    pub fn pop(&self) -> Option<News> {
        self.news.lock().pop_front()
    }
}

#[cfg(test)]
mod tests {
    use domain::LaneId;

    use super::*;

    const FROM: Origin = Origin { lane: LaneId(1), head: None };

    fn take(inbox: &Inbox) -> usize {
        inbox.open();
        std::iter::from_fn(|| inbox.pop()).count()
    }

    fn news() -> News {
        News::Claimed(ClaimsBack {
            agent: AgentId::from_raw(1),
            from: FROM,
            planned: 1,
            claimed: Some(vec![]),
        })
    }

    #[test]
    fn many_news_make_one_wake_up_until_they_are_taken() {
        let (inbox, mut wakes) = (Inbox::default(), 0);
        for _ in 0..3 {
            inbox.push(news(), || {
                wakes += 1;
                true
            });
        }
        assert_eq!((wakes, take(&inbox)), (1, 3));
        inbox.push(news(), || {
            wakes += 1;
            true
        });
        assert_eq!((wakes, take(&inbox)), (2, 1));
    }

    #[test]
    fn that_commits_may_be_missing_is_said_once_in_a_row() {
        let inbox = Inbox::default();
        for news in [News::Rebuilt, News::Rebuilt, news(), News::Rebuilt, News::Rebuilt] {
            inbox.push(news, || true);
        }
        assert_eq!(take(&inbox), 3);
    }

    #[test]
    fn a_wake_up_that_failed_is_tried_again_with_the_next_news() {
        let (inbox, mut wakes) = (Inbox::default(), 0);
        for _ in 0..2 {
            inbox.push(news(), || {
                wakes += 1;
                false
            });
        }
        assert_eq!((wakes, take(&inbox)), (2, 2));
    }
}
