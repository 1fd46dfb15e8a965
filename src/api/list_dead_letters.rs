//! `GET /dead-letters`: failed tasks, newest first.

use domain::TaskState;
use protocol::schemas::{AgentIdText, LabelFilterText, NameText, TaskIdText};
use protocol::{Page, TaskQuery, TaskView};

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::list_tasks;
use crate::query::Given;
use crate::state::Hive;

/// List dead letters.
#[utoipa::path(get, path = "/api/v2/dead-letters", tag = "dead letters", params(
        ("queue" = Option<NameText>, Query, description = "In this queue"),
        ("agent_id" = Option<AgentIdText>, Query, description = "Last held by this agent"),
        ("kind" = Option<NameText>, Query, description = "Of this kind"),
        ("label" = Option<Vec<LabelFilterText>>, Query, description = "With this label, `key=value`; may stand several times"),
        ("created_after" = Option<String>, Query, format = DateTime, description = "Accepted after this moment, RFC 3339"),
        ("created_before" = Option<String>, Query, format = DateTime, description = "Accepted before this moment, RFC 3339"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "1 to 200; 50 when missing"),
        ("cursor" = Option<TaskIdText>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, description = "Newest first, without input", body = Page<TaskView>)))]
pub(crate) async fn list_dead_letters(hive: Hive, principal: Allowed<ReadHive>, given: Given) -> Answer {
    let query = TaskQuery::read_in_state(given.0, TaskState::Failed)?;
    ok(&list_tasks::list(&hive, principal.tenant(), query).await?)
}
