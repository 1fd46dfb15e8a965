//! Reads of the store that follow a change, one at a time for each subject.
//!
//! Invariant: of one subject, at most one read is under way, and one that begins after the last change is applied last.
//! So what the actors know is never older than what an answered call has changed.

use supervision::Promise;

/// A read that is under way, or none.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    is_under_way: bool,
    /// Who waits for the read that is under way.
    waiting: Vec<Promise<()>>,
    /// Who waits for the one after it, when something has changed since it began.
    next: Option<Vec<Promise<()>>>,
}

impl Refresh {
    /// Somebody wants a read that begins from now on. Whether to begin one.
    pub(crate) fn ask(&mut self, promise: Option<Promise<()>>) -> bool {
        if self.is_under_way {
            self.next.get_or_insert_default().extend(promise);
            return false;
        }
        self.is_under_way = true;
        self.waiting.extend(promise);
        true
    }

    /// The read has ended and is applied. Whether to begin another one.
    pub(crate) fn end(&mut self) -> bool {
        for promise in std::mem::take(&mut self.waiting) {
            promise.fulfil(());
        }
        self.is_under_way = self.next.is_some();
        self.waiting = self.next.take().unwrap_or_default();
        self.is_under_way
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supervision::Reply;

    #[test]
    fn changes_during_a_read_lead_to_one_more_read_and_who_came_then_waits_for_that() {
        let mut refresh = Refresh::default();
        let (early, Reply::Promised(mut early_told)) = Reply::promise() else { panic!() };
        let (late, Reply::Promised(mut late_told)) = Reply::promise() else { panic!() };
        assert!(refresh.ask(Some(early)), "the first read begins at once");
        assert!(!refresh.ask(Some(late)), "the second waits for the first");
        assert!(!refresh.ask(None), "and any number share it");
        assert!(refresh.end(), "another read begins");
        assert!(early_told.try_recv().is_ok());
        assert!(late_told.try_recv().is_err());
        assert!(!refresh.end(), "and that is the last");
        assert!(late_told.try_recv().is_ok());
        assert!(refresh.ask(None), "from here on it begins anew");
    }
}
