//! `POST /queues/{name}/resume`: a queue hands out tasks again.

use domain::Name;
use protocol::QueueView;
use protocol::schemas::NameText;

use crate::allowed::{Allowed, ManageQueues};
use crate::answer::{Answer, ok};
use crate::path::Named;
use crate::pause_queue::set_paused;
use crate::query::NoQuery;
use crate::state::Hive;

/// Resume a queue.
#[utoipa::path(post, path = "/api/v2/queues/{name}/resume", tag = "queues",
    params(("name" = NameText, Path, description = "The queue's name")),
    responses((status = 200, description = "Open; a repeat answers the same", body = QueueView)))]
pub(crate) async fn resume_queue(
    hive: Hive,
    principal: Allowed<ManageQueues>,
    id: Named<Name>,
    _: NoQuery,
) -> Answer {
    ok(&set_paused(&hive, &principal, id.0, false).await?)
}
