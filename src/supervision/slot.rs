//! A place that outlives what is in it: references stay good when a child is started anew.

use std::sync::Arc;

use parking_lot::RwLock;

/// Where a child spec keeps what it started last.
pub(crate) struct Slot<T> {
    pub(crate) id: Arc<str>,
    current: RwLock<Option<Arc<T>>>,
}

impl<T> Slot<T> {
    pub(crate) fn new(id: Arc<str>) -> Arc<Self> {
        Arc::new(Self { id, current: RwLock::new(None) })
    }

    pub(crate) fn put(&self, value: Arc<T>) {
        *self.current.write() = Some(value);
    }

    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.current.read().clone()
    }

    /// Looks at the value without cloning its `Arc`.
    pub(crate) fn look<R>(&self, look: impl FnOnce(Option<&Arc<T>>) -> R) -> R {
        look(self.current.read().as_ref())
    }
}
