//! Lists: a page with a cursor, and plain lists of answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Items of a page that names no limit.
pub const LIMIT_DEFAULT: u32 = 50;
/// Most items of a page.
pub const LIMIT_MAX: u32 = 200;

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// `?cursor=` of the next page; null at the end. Opaque.
    pub next_cursor: Option<String>,
    /// How many items all pages hold, where that is known without counting.
    pub total_estimate: Option<u64>,
}

/// One answer an item, in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Items<T> {
    /// The answers.
    pub items: Vec<T>,
}
