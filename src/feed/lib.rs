//! The committed log as readers see it: one fold into one projection, never a `COUNT(*)`.
//!
//! ```text
//!   store --commit notice--> FeedHandle::fold --> Projection --read--> API, coordinator, janitors
//!         <--checkpoint----- (each minute and at the end)   \--> Log --cursors--> sessions, server-sent events
//! ```
//!
//! Invariant: the projection equals the fold of the log from its first event; it is exact at its `seq`.
//!
//! Invariant: nothing is shown that is not committed.
//!
//! Reading order: [`figures`], [`projection`], [`log`], [`handle`].

pub mod figures;
pub mod handle;
pub mod log;
pub mod projection;

pub use figures::{AgentFigures, Ends, QueueFigures, Rates, StateCounts};
pub use handle::{FeedHandle, RebuildError};
pub use log::{Cursor, Encode, Encoded, Entry, HistoryError, Log, Look};
pub use projection::{Gap, Marks, Projection};
