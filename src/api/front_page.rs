//! `GET /`: a page that shows the hive as it works, over a session of its own.
//!
//! Invariant: the token reaches the hive in headers alone: the link that signs in carries it behind `#`, which a browser
//! sends to nobody, and the page takes it out of the address at once.

use crate::answer::Answer;
use crate::page_part::{page, script, style};
use crate::query::NoQuery;

/// The page itself; it has nothing to show before somebody signs in.
pub(crate) async fn show_page(_: NoQuery) -> Answer {
    Ok(page(include_str!("front_page/page.html")))
}

/// What it does.
pub(crate) async fn show_script(_: NoQuery) -> Answer {
    Ok(script(include_str!("front_page/page.js")))
}

/// What it looks like.
pub(crate) async fn show_style(_: NoQuery) -> Answer {
    Ok(style(include_str!("front_page/page.css")))
}
