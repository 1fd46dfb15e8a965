//! SQLite: its connections and the writer on one of them. Tables, statements and commands are those of [`crate::sql`].

pub(crate) mod batch_writer;
pub(crate) mod connection;
pub(crate) mod session;
