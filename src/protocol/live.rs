//! What travels over the dashboard's WebSocket: topics, frames of both sides, limits and close codes.
//!
//! `schemas/ws_messages.schema.json` says the same in JSON Schema; a test compares the two, and every frame that a test
//! sees is checked against it.
//!
//! Invariant: an event's frame has the same bytes for everybody who gets it.
//!
//! Reading order: [`topic`], [`client`], [`frame`], [`totals`], [`event_frame`], [`limits`], [`answers`].

pub mod answers;
pub mod client;
pub mod event_frame;
pub mod frame;
pub mod limits;
pub mod topic;
pub mod totals;

/// The version of the contract.
pub const CONTRACT_VERSION: &str = "1.1.0";
/// Every version that clients may be written for; one for an older version ignores what it does not know.
pub const SUPPORTED_VERSIONS: [&str; 2] = ["1.1.0", "1.0.0"];
/// The JSON Schema of all frames.
pub const SCHEMA: &str = include_str!("../../schemas/ws_messages.schema.json");
