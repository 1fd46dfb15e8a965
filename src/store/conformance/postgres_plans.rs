//! How PostgreSQL finds what is asked for: by an index, in its order, whatever the backlog, and also while its tables are
//! young and it knows nothing of them.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::sql_types::Text;

use super::Rig;
use super::postgres_rig::PostgresRig;
use crate::postgres::session::PgSession;
use crate::sql::commands::sweep::{expire_waiting, reap_leases, retire_tasks, stage_due};
use crate::sql::commands::unique;
use crate::sql::queries::listing;
use crate::sql::{due, event_row};

#[derive(QueryableByName)]
struct PlanRow {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// The plan of a statement, its binds as they stand.
fn plan(conn: &mut PgSession, statement: &(impl QueryFragment<Pg> + QueryId)) -> String {
    let shown = diesel::debug_query::<Pg, _>(statement).to_string();
    let (sql, binds) = shown.rsplit_once(" -- binds: ").unwrap();
    let binds: Vec<serde_json::Value> = serde_json::from_str(binds).unwrap();
    let mut sql = sql.to_owned();
    for (index, bind) in binds.iter().enumerate().rev() {
        let value = bind.to_string().replace('"', "'");
        let value = if let Some(list) = bind.as_array() {
            let items: Vec<_> = list.iter().map(ToString::to_string).collect();
            format!("ARRAY[{}]::bigint[]", items.join(","))
        } else {
            value
        };
        sql = sql.replace(&format!("${}", index + 1), &value);
    }
    let rows: Vec<PlanRow> = conn.load(diesel::sql_query(format!("EXPLAIN (COSTS OFF) {sql}"))).unwrap();
    rows.into_iter().map(|row| row.line).collect::<Vec<_>>().join("\n")
}

/// Asserts that a statement goes by `index` and neither sorts nor reads a whole table of tasks, events or keys.
fn seeks(conn: &mut PgSession, statement: &(impl QueryFragment<Pg> + QueryId), index: &str) {
    let plan = plan(conn, statement);
    assert!(plan.contains(&format!("using {index} ")), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
}

#[test]
fn janitors_seek_what_is_due_and_sort_nothing() {
    let rig = PostgresRig::with_lanes(9);
    let mut conn = rig.schema.connection();
    let (now, before, limit) = (1, 1, 9);
    seeks(&mut conn, &stage_due::Due { now, limit }, "tasks_scheduled");
    seeks(&mut conn, &reap_leases::Lost { now, limit }, "tasks_leased");
    seeks(&mut conn, &expire_waiting::Expired { now, limit }, "tasks_waiting");
    seeks(&mut conn, &retire_tasks::Finished { before, limit }, "tasks_finished");
}

#[test]
fn what_is_due_next_is_the_first_entry_of_an_index() {
    let rig = PostgresRig::with_lanes(9);
    let mut conn = rig.schema.connection();
    seeks(&mut conn, &due::NextEligible {}, "tasks_scheduled");
    seeks(&mut conn, &due::NextExpiry {}, "tasks_leased");
    seeks(&mut conn, &due::NextDeadline {}, "tasks_waiting");
    seeks(&mut conn, &due::OldestFinished {}, "tasks_finished");
    seeks(&mut conn, &due::NextKeyExpiry {}, "task_keys_expiry");
    seeks(&mut conn, &due::NextUniqueExpiry {}, "unique_keys_expiry");
}

#[test]
fn lists_keys_and_the_log_are_read_along_their_indexes() {
    let rig = PostgresRig::with_lanes(9);
    let mut conn = rig.schema.connection();
    let (before, limit, lane) = (9, 9, 1);
    seeks(&mut conn, &listing::QueuedIds { lane, priority: 5, before, limit }, "tasks_queued");
    seeks(&mut conn, &listing::ListedIds { lane, state: 3, before, limit }, "tasks_listed");
    seeks(&mut conn, &listing::TenantIds { tenant: 1, before, limit }, "tasks_pkey");
    seeks(&mut conn, &unique::KeyOfTask { task: 1 }, "unique_keys_task");
    seeks(&mut conn, &event_row::EventsAfter { after: 1, limit }, "events_pkey");
    seeks(&mut conn, &event_row::TenantEventsAfter { tenant: 1, after: 1, limit }, "events_pkey");
}

#[test]
fn a_batch_finds_its_heads_and_its_tasks_by_their_indexes() {
    let rig = PostgresRig::with_lanes(9);
    let mut conn = rig.schema.connection();
    let heads = crate::postgres::session::plans::heads();
    let plan_of_heads = plan(&mut conn, &heads);
    assert!(plan_of_heads.contains("using tasks_queued "), "{plan_of_heads}");
    assert!(
        !plan_of_heads.contains("Seq Scan on tasks") && !plan_of_heads.contains("Sort"),
        "{plan_of_heads}"
    );
    for plan in [
        plan(&mut conn, &crate::postgres::session::plans::tasks()),
        plan(&mut conn, &crate::postgres::session::plans::changes()),
    ] {
        assert!(plan.contains("using tasks_pkey "), "{plan}");
        assert!(!plan.contains("Seq Scan on tasks"), "{plan}");
    }
}
