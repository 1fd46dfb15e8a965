//! `POST /queues/{name}/pause`: a queue hands out nothing any more; what runs goes on.

use domain::Name;
use protocol::QueueView;
use protocol::schemas::NameText;

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
    ok(&set_paused(&hive, &principal, id.0, true).await?)
}

/// Pauses or resumes a queue, which comes into being by that; answers how it stands now.
///
/// # Errors
/// When the hive does not take writes.
pub(crate) async fn set_paused(
    hive: &Hive,
    principal: &Principal,
    name: Name,
    is_paused: bool,
) -> Result<QueueView, Problem> {
    let changed = hive.runtime.pause_queue(&principal.caller, name.clone(), is_paused).await?;
    hive.runtime.settled().await;
    let queues = hive.feed.read(|projection| projection.queues(principal.tenant()));
    let figures = queues.into_iter().find(|(known, _)| *known == name).map(|(_, figures)| figures);
    Ok(views::queue(&name, changed.is_paused, &figures.unwrap_or_default()))
}
