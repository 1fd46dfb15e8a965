//! `GET /api/docs`: a page that shows the contract to people and tries requests.

use crate::answer::Answer;
use crate::page_part::{page, script, style};
use crate::query::NoQuery;

/// The page itself; it asks for the document when it is open.
pub(crate) async fn show_page(_: NoQuery) -> Answer {
    Ok(page(include_str!("docs_page/page.html")))
}

/// What it does.
pub(crate) async fn show_script(_: NoQuery) -> Answer {
    Ok(script(include_str!("docs_page/page.js")))
}

/// What it looks like.
pub(crate) async fn show_style(_: NoQuery) -> Answer {
    Ok(style(include_str!("docs_page/page.css")))
}
