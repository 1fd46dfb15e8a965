//! `GET /workspaces`: the worktrees on this machine.

use protocol::{Items, WorkspaceView};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// List worktrees.
#[utoipa::path(get, path = "/api/v2/workspaces", tag = "workspaces",
    responses((status = 200, description = "Every worktree that is there", body = Items<WorkspaceView>)))]
pub(crate) async fn list_workspaces(hive: Hive, _: Allowed<ReadHive>, _: NoQuery) -> Answer {
    let items = hive.runtime.workspaces().await?.into_iter().map(views::workspace).collect();
    ok(&Items::<WorkspaceView> { items })
}
