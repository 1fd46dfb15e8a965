//! What both databases share: the tables, the statements, and the commands and the queries made of them.
//!
//! Reading order: `conn` (one of two databases), `statement` and `rows`; `schema` and the rows (`task_row`, `spec_row`,
//! `attempt_row`, `event_row`, `agent_row` with `link_columns`, `api_key_row`, `lanes`);
//! `batch` (one open transaction), `moves` (beginning and ending an attempt), `commands` (one file each), `apply` (all
//! commands of a batch);
//! `records` and `queries` for readers.

pub(crate) mod agent_row;
pub(crate) mod api_key_row;
pub(crate) mod apply;
pub(crate) mod attempt_row;
pub(crate) mod batch;
pub(crate) mod columns;
pub(crate) mod commands;
pub(crate) mod conn;
pub(crate) mod data;
pub(crate) mod due;
pub(crate) mod event_row;
pub(crate) mod failure;
pub(crate) mod lanes;
pub(crate) mod link_columns;
pub(crate) mod log;
pub(crate) mod moves;
pub(crate) mod queries;
pub(crate) mod records;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod spec_row;
pub(crate) mod statement;
pub(crate) mod task_row;
