//! The exact bound of a mailbox.
//!
//! actix gives every clone of an `Addr` a slot of its own above the capacity, so its bound grows with the number
//! of senders. A gate counts messages instead; the actix queue behind it is left unbounded.
//!
//! **Invariant:** a message in the queue holds one permit, which its taking out gives back.

use tokio::sync::{Semaphore, TryAcquireError};

/// Why a message was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
}

/// Lets at most `capacity` messages in until they are taken out.
pub(crate) struct Gate {
    room: Semaphore,
    capacity: usize,
}

impl Gate {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        Self { room: Semaphore::new(capacity), capacity }
    }

    pub(crate) fn try_enter(&self) -> Result<(), Refusal> {
        match self.room.try_acquire() {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(Refusal::Full),
            Err(TryAcquireError::Closed) => Err(Refusal::Closed),
        }
    }

    /// Waits for room, first come first served.
    pub(crate) async fn enter(&self) -> Result<(), Refusal> {
        match self.room.acquire().await {
            Ok(permit) => {
                permit.forget();
                Ok(())
            }
            Err(_) => Err(Refusal::Closed),
        }
    }

    /// A message was taken out of the queue.
    pub(crate) fn leave(&self) {
        self.room.add_permits(1);
    }

    /// Lets nothing in any more, and wakes who waits for room.
    pub(crate) fn close(&self) {
        self.room.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.room.is_closed()
    }

    pub(crate) fn depth(&self) -> usize {
        self.capacity.saturating_sub(self.room.available_permits())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
}
