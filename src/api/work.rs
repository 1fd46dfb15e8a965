//! Sessions of workers: assignments pushed and reports taken over one WebSocket, `/api/v2/agents/{id}/session`.
//!
//! ```text
//!   worker --ready{slots}--> session --lease call--> runtime --grant--> session --assignments--> worker
//!          --heartbeat | output | complete | fail {items}--> session --as the single calls--> runtime --> ack{items}
//!   task's actor --cancel requested, over--> session --cancel{items}--> worker
//! ```
//!
//! Beneath it lie the calls of the HTTP routes: a session asks for work with a lease call as long as slots are open, and reports
//! as `POST /tasks/{id}/…` does. So whatever holds there holds here; and a grant that meets a closed session is dropped,
//! which hands everything in it back.
//!
//! Invariant: no more is pushed than the worker has slots; each assignment takes one up.
//!
//! Invariant: an assignment that was pushed counts as taken only once its worker has named it in a report; until then its task's
//! actor watches it, also when the session is gone.
//!
//! Invariant: the end of a session ends no lease. A later session of the same `worker_instance` is told what the earlier one
//! was given, and ends that one if it is still there.
//!
//! Invariant: reports reach the writer in the order in which they came; at most 16 frames of them are under way, and the next is
//! not read from the socket before one of them is answered.
//!
//! Reading order: [`open`], [`session`], [`assigning`], [`report`], [`roll`].

pub(crate) mod assigning;
pub(crate) mod open;
pub(crate) mod report;
pub(crate) mod roll;
pub(crate) mod session;
