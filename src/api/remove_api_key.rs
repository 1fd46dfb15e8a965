//! `DELETE /auth/keys/{id}`: an API key opens nothing any more.

use actix_web::HttpResponse;
use domain::ApiKeyId;
use protocol::schemas::ApiKeyIdText;
use store::outcome::ApiKeyRemoved;

use crate::allowed::{Allowed, ManageKeys};
use crate::answer::Answer;
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;

/// Remove an API key.
#[utoipa::path(delete, path = "/api/v2/auth/keys/{id}", tag = "keys",
    params(("id" = ApiKeyIdText, Path, description = "The key's id")),
    responses((status = 204, description = "It opens nothing any more, from this moment on")))]
pub(crate) async fn remove_api_key(
    hive: Hive,
    principal: Allowed<ManageKeys>,
    id: Named<ApiKeyId>,
    _: NoQuery,
) -> Answer {
    match hive.runtime.remove_api_key(&principal.caller, id.0).await? {
        ApiKeyRemoved::Done(_) => Ok(HttpResponse::NoContent().finish()),
        ApiKeyRemoved::NotFound => Err(id.not_found()),
    }
}
