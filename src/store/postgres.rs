//! PostgreSQL: connections that block, and the writer on one of them. Tables, statements and commands are those of
//! [`crate::sql`].

pub(crate) mod columns;
pub(crate) mod connection;
pub(crate) mod events;
pub(crate) mod session;
