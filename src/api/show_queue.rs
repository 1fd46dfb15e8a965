//! `GET /queues/{name}`: one queue.

use domain::Name;
use protocol::QueueView;
use protocol::schemas::NameText;

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::list_queues::known;
use crate::path::Named;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Show a queue.
#[utoipa::path(get, path = "/api/v2/queues/{name}", tag = "queues",
    params(("name" = NameText, Path, description = "The queue's name")),
    responses((status = 200, description = "As it stands now", body = QueueView)))]
pub(crate) async fn show_queue(
    hive: Hive,
    principal: Allowed<ReadHive>,
    id: Named<Name>,
    _: NoQuery,
) -> Answer {
    let found = known(&hive, principal.tenant()).await?.remove(&id.0);
    let queue = found.ok_or_else(|| id.not_found())?;
    ok(&views::queue(&id.0, queue.is_paused, &queue.figures))
}
