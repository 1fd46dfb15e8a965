//! `PUT /queues/{name}`: how many tasks of a queue may be worked on at a time.

use domain::Name;
use protocol::schemas::NameText;
use protocol::{PutQueue, QueueView};
use store::command::QueueEdit;

use crate::allowed::{Allowed, ManageQueues};
use crate::answer::{Answer, ok};
use crate::body::{Body, Small};
use crate::path::Named;
use crate::pause_queue::changed;
use crate::query::NoQuery;
use crate::state::Hive;

/// Limit a queue.
#[utoipa::path(put, path = "/api/v2/queues/{name}", tag = "queues", request_body = PutQueue,
    params(("name" = NameText, Path, description = "The queue's name")),
    responses((status = 200, description = "As it stands now, also after a restart; a repeat answers the same", body = QueueView)))]
pub(crate) async fn put_queue(
    hive: Hive,
    principal: Allowed<ManageQueues>,
    id: Named<Name>,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let limit = body.read::<PutQueue>(&hive)?;
    ok(&changed(&hive, &principal, id.0, QueueEdit::Limit(limit)).await?)
}
