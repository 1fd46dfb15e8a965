//! `GET /queues`: every queue that has tasks, had tasks, or is paused.

use std::collections::BTreeMap;

use domain::{Name, TenantId};
use feed::QueueFigures;
use protocol::submit_task::QUEUE_DEFAULT;
use protocol::{Page, PageQuery, QueueView};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{self, Answer, ok};
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;
use crate::views;

/// What is known of a queue.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) is_paused: bool,
    pub(crate) figures: QueueFigures,
}

/// List queues.
#[utoipa::path(get, path = "/api/v2/queues", tag = "queues", params(PageQuery),
    responses((status = 200, description = "By name", body = Page<QueueView>)))]
pub(crate) async fn list_queues(hive: Hive, principal: Allowed<ReadHive>, given: Given) -> Answer {
    let asked = PageQuery::read(given.0)?;
    let after = asked.cursor.as_deref().unwrap_or_default();
    let known = known(&hive, principal.tenant()).await?;
    let total = u64::try_from(known.len()).ok();
    let rest = known
        .iter()
        .filter(|(name, _)| name.as_str() > after)
        .map(|(name, queue)| views::queue(name, queue.is_paused, &queue.figures));
    ok(&answer::page(rest, asked.limit(), |view| view.name.clone(), total))
}

/// Every queue by name; `default` is always there.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn known(hive: &Hive, tenant: TenantId) -> Result<BTreeMap<Name, Known>, Problem> {
    hive.runtime.settled().await;
    let stored = hive.readers.queues(tenant).await?;
    let mut known: BTreeMap<Name, Known> = BTreeMap::new();
    if let Ok(name) = QUEUE_DEFAULT.parse() {
        known.insert(name, Known::default());
    }
    for (name, figures) in hive.feed.read(|projection| projection.queues(tenant)) {
        known.entry(name).or_default().figures = figures;
    }
    for record in stored {
        known.entry(record.name).or_default().is_paused = record.is_paused;
    }
    Ok(known)
}
