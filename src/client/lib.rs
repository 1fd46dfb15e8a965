//! Typed client of our own API: one async method a route, on the types of `protocol`.
//!
//! ```text
//!   Client::tasks/agents/…  --call--> reqwest --> Answer<T> | Error::{Problem, Unreachable, Unexpected, Unusable}
//! ```
//!
//! Invariant: the token goes only to the server that was named: no proxies, no redirects. It is never shown.
//!
//! Invariant: nothing is repeated behind the caller's back; with an idempotency key a caller may repeat safely.
//!
//! Reading order: [`answer`], [`error`], `call` (how one request is made), then the routes by noun; [`follow`] (answers that go on), [`session`] (the WebSocket).

pub mod answer;
pub mod error;
pub mod follow;
pub mod session;

mod agents;
mod call;
mod keys;
mod live;
mod queues;
mod reports;
mod system;
mod tasks;
mod workspaces;

pub use answer::Answer;
pub use call::Client;
pub use error::Error;
pub use follow::{Follow, FollowLog, Followed, Logged, Skipped};
pub use session::Session;
