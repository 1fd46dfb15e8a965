//! `POST /queues/{name}/pause`: a queue hands out nothing any more; what runs goes on.

use domain::Name;
use protocol::QueueView;
use protocol::schemas::NameText;
use store::command::QueueEdit;

use crate::allowed::{Allowed, ManageQueues};
use crate::answer::{Answer, ok};
use crate::path::Named;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Pause a queue.
#[utoipa::path(post, path = "/api/v2/queues/{name}/pause", tag = "queues",
    params(("name" = NameText, Path, description = "The queue's name")),
    responses((status = 200, description = "Paused, also after a restart; a repeat answers the same", body = QueueView)))]
pub(crate) async fn pause_queue(
    hive: Hive,
    principal: Allowed<ManageQueues>,
    id: Named<Name>,
    _: NoQuery,
) -> Answer {
    ok(&changed(&hive, &principal, id.0, QueueEdit::Pause).await?)
}

/// Changes a queue, which comes into being by that; answers how it stands now.
///
/// # Errors
/// When the hive does not take writes.
pub(crate) async fn changed(
    hive: &Hive,
    principal: &Principal,
    name: Name,
    edit: QueueEdit,
) -> Result<QueueView, Problem> {
    let stands = hive.runtime.change_queue(&principal.caller, name.clone(), edit).await?;
    hive.runtime.settled().await;
    let figures = hive.feed.read(|projection| projection.queue(principal.tenant(), &name));
    Ok(views::queue(&name, stands, &figures))
}
