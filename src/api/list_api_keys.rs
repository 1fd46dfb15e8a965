//! `GET /auth/keys`: a page of API keys, newest first, none of them with the key itself.

use domain::ApiKeyId;
use protocol::{ApiKeyView, Page, PageQuery, query};

use crate::allowed::{Allowed, ManageKeys};
use crate::answer::{self, Answer, ok};
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;
use crate::views;

/// List API keys.
#[utoipa::path(get, path = "/api/v2/auth/keys", tag = "keys", params(PageQuery),
    responses((status = 200, description = "Newest first, expired ones included; never with `key`", body = Page<ApiKeyView>)))]
pub(crate) async fn list_api_keys(hive: Hive, principal: Allowed<ManageKeys>, given: Given) -> Answer {
    let asked = PageQuery::read(given.0)?;
    let before: ApiKeyId = match &asked.cursor {
        Some(cursor) => cursor.parse().map_err(|_| Problem::invalid("cursor", query::BROKEN_CURSOR))?,
        None => ApiKeyId::from_raw(i64::MAX),
    };
    let keys = hive.readers.api_keys(principal.tenant()).await?;
    let (total, now) = (u64::try_from(keys.len()).ok(), hive.clock.now());
    let rest = keys.into_iter().rev().filter(|key| key.id < before);
    let views = rest.map(|key| views::api_key(key, None, now));
    ok(&answer::page(views, asked.limit(), |view| view.id.to_string(), total))
}
