//! Sessions of workers: assignments pushed and reports taken over one WebSocket, `/api/v2/agents/{id}/session`.
//!
//! ```text
//!   worker --ready{slots}--> session --open slots--> agent's actor --grant--> session --assignments--> worker
//!          --heartbeat | output | complete | fail {items}--> session --as the single calls--> runtime --> ack{items}
//!   task's actor --cancel requested, over--> session --cancel{items}--> worker
//! ```
//!
//! A session tells the agent's actor of each slot that opens and is granted what fills them, without asking again; it reports as
//! `POST /tasks/{id}/…` does, so whatever holds there holds here. A grant that meets a closed session is dropped, which hands
//! everything in it back.
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
//! Reading order: [`open`], [`session`], [`intake`], [`report`], [`roll`].

pub(crate) mod intake;
pub(crate) mod open;
pub(crate) mod report;
pub(crate) mod roll;
pub(crate) mod session;
