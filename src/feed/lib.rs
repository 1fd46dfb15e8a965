//! The committed log as readers see it: one fold into one projection, never a `COUNT(*)`.
//!
//! ```text
//!   store --commit notice--> FeedHandle::fold --> Projection --read--> API, coordinator, janitors
//!         <--checkpoint----- (each minute and at the end)
//! ```
//!
//! Invariant: the projection equals the fold of the log from its first event; it is exact at its `seq`.
//!
//! Invariant: nothing is shown that is not committed.
//!
//! Reading order: [`figures`], [`projection`], [`handle`].

pub mod figures;
pub mod handle;
pub mod projection;

pub use figures::{AgentFigures, QueueFigures, Rates, StateCounts};
pub use handle::{FeedHandle, RebuildError};
pub use projection::{Gap, Marks, Projection};
