//! PostgreSQL: connections that block, who may write, and the writer. Tables, statements and commands are those of
//! [`crate::sql`].
//!
//! ```text
//!   begin: BEGIN, proof of the node, time, end of the log, every row that the batch will ask for   one round trip
//!   apply: commands read and write rows in the unit of work                                        in memory
//!   commit: new and changed rows, bump of the log, events, COMMIT                                  one round trip
//! ```
//!
//! Reading order: `connection`, `node` (which hive may write), `writer` (transactions and their errors), `remedy` (what
//! an error means), `session`; `turn`, `wanted`, `fetch`, `unit` and `rows` (a batch's rows in memory); `columns`, `loads`,
//! `stores` and `events` (statements over arrays); `open`, `tls`.

mod columns;
pub(crate) mod connection;
mod events;
mod fetch;
mod loads;
pub(crate) mod node;
pub(crate) mod open;
pub(crate) mod remedy;
pub(crate) mod rows;
pub(crate) mod session;
mod stores;
mod tls;
mod turn;
mod unit;
mod wanted;
pub(crate) mod writer;
