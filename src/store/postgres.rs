//! PostgreSQL: connections that block, who may write, and the writer. Tables, statements and commands are those of
//! [`crate::sql`].
//!
//! Reading order: `connection`, `session`; `node` (which hive may write), `writer` (transactions and their errors),
//! `remedy` (what an error means); `columns` and `events` (statements over arrays); `open`.

pub(crate) mod columns;
pub(crate) mod connection;
pub(crate) mod events;
pub(crate) mod node;
pub(crate) mod open;
pub(crate) mod remedy;
pub(crate) mod session;
pub(crate) mod writer;
