//! Writes an event that is about the hive itself.

use std::sync::Arc;

use domain::TenantId;

use crate::command::RecordSystemEvent;
use crate::sql::batch::{Batch, Fact};
use crate::sql::failure::Failure;

pub(super) fn apply(batch: &mut Batch<'_>, command: &RecordSystemEvent) -> Result<(), Failure> {
    let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&command.data).is_ok();
    if !is_object {
        return Err(Failure::Unfit("an event's data must be a JSON object".to_owned()));
    }
    batch.tell(Fact {
        kind: command.kind,
        tenant: TenantId::DEFAULT,
        agent: None,
        correlation_id: Arc::from(""),
        data: Arc::clone(&command.data),
    })
}
