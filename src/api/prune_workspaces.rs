//! `POST /workspaces/prune`: worktrees that nobody uses go.

use protocol::{Items, PruneWorkspaces, PrunedView};

use crate::allowed::{Allowed, DeleteWorkspaces};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Remove unused worktrees.
#[utoipa::path(post, path = "/api/v2/workspaces/prune", tag = "workspaces", request_body = Option<PruneWorkspaces>,
    responses((status = 200, description = "What became of each; a repeat is safe", body = Items<PrunedView>),
              (status = 403, description = "`forbidden`: it needs the admin role")))]
pub(crate) async fn prune_workspaces(
    hive: Hive,
    _: Allowed<DeleteWorkspaces>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read_or_default::<PruneWorkspaces>(&hive)?;
    let items = hive.runtime.prune_workspaces(asked.force).await?.into_iter().map(views::pruned).collect();
    ok(&Items::<PrunedView> { items })
}
