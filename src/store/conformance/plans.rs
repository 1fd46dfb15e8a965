//! How SQLite finds what is asked for: by an index, in its order, whatever the backlog.

use diesel::prelude::*;
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::Rig;
use super::sqlite_rig::SqliteRig;
use crate::sql::agent_row::LoadStanding;
use crate::sql::attempt_row::LoadLastAttempt;
use crate::sql::commands::claim_tasks::Heads;
use crate::sql::commands::grace_leases::{CutLeases, ProlongLeases};
use crate::sql::commands::sweep::{
    end_crashed, expire_waiting, reap_leases, retire_events, retire_keys, retire_tasks, stage_due,
};
use crate::sql::commands::unique;
use crate::sql::queries::{events, listing, tasks};
use crate::sql::{due, event_row};

#[derive(QueryableByName)]
struct PlanRow {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// The plan of a statement in one line.
fn plan(conn: &mut SqliteConnection, statement: &(impl QueryFragment<Sqlite> + QueryId)) -> String {
    let sql = diesel::debug_query::<Sqlite, _>(statement).to_string();
    let rows: Vec<PlanRow> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn).unwrap();
    rows.into_iter().map(|row| row.detail).collect::<Vec<_>>().join("; ")
}

/// Asserts that a statement seeks by `index` and sorts and scans nothing.
fn seeks(conn: &mut SqliteConnection, statement: &(impl QueryFragment<Sqlite> + QueryId), index: &str) {
    let plan = plan(conn, statement);
    assert!(plan.contains(&format!("SEARCH {index}")), "{plan}");
    assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
}

/// Asserts that a statement reads along `index`, in its order, and sorts nothing; for those that take its first rows.
fn follows(conn: &mut SqliteConnection, statement: &(impl QueryFragment<Sqlite> + QueryId), index: &str) {
    let plan = plan(conn, statement);
    assert!(plan.contains(index), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn a_claim_is_one_seek_in_the_order_of_its_index() {
    let mut conn = SqliteRig::with_lanes(9).connection();
    let heads = Heads { lane: 1, priority: 5, after: 0, count: 9 };
    seeks(&mut conn, &heads, "t USING INDEX tasks_queued (lane_id=? AND priority=? AND id>?)");
    seeks(&mut conn, &LoadStanding { id: 1 }, "agents USING INTEGER PRIMARY KEY (rowid=?)");
}

#[test]
fn janitors_seek_what_is_due_and_sort_nothing() {
    let mut conn = SqliteRig::with_lanes(9).connection();
    let (now, before, limit) = (0, 0, 9);
    seeks(&mut conn, &stage_due::Due { now, limit }, "t USING INDEX tasks_scheduled (eligible_at<?)");
    seeks(&mut conn, &reap_leases::Lost { now, limit }, "t USING INDEX tasks_leased (lease_expires_at<?)");
    // Every working attempt is looked at, and no other task.
    follows(&mut conn, &end_crashed::Orphaned { limit }, "SCAN t USING INDEX tasks_leased");
    // The condition of the index, that there is a deadline at all, is the lower bound.
    let waiting = "t USING INDEX tasks_waiting (wait_deadline_at>? AND wait_deadline_at<?)";
    seeks(&mut conn, &expire_waiting::Expired { now, limit }, waiting);
    seeks(
        &mut conn,
        &retire_tasks::Finished { before, limit },
        "tasks USING INDEX tasks_finished (finished_at<?)",
    );
    // Beside the seek, working attempts are looked at once, where there is an agent to remove at all.
    let removed = retire_tasks::RemovedAgents { before, limit };
    follows(&mut conn, &removed, "SEARCH agents USING COVERING INDEX agents_removed");
    follows(&mut conn, &removed, "SCAN tasks USING INDEX tasks_leased");
    seeks(
        &mut conn,
        &ProlongLeases { until: 1, below: 1 },
        "tasks USING INDEX tasks_leased (lease_expires_at<?)",
    );
    // Once a start, over what is worked on.
    follows(&mut conn, &CutLeases { now: 1, ttl: 1 }, "SCAN tasks USING INDEX tasks_leased");
    follows(&mut conn, &retire_keys::DeleteKeys { now, limit }, "USING COVERING INDEX task_keys_expiry");
    let unique = retire_keys::DeleteUniqueKeys { now, limit };
    follows(&mut conn, &unique, "USING COVERING INDEX unique_keys_expiry");
    follows(
        &mut conn,
        &retire_events::Covered { limit, before },
        "events USING INTEGER PRIMARY KEY (rowid<?)",
    );
}

#[test]
fn what_is_due_next_is_the_first_entry_of_an_index() {
    let mut conn = SqliteRig::with_lanes(9).connection();
    follows(&mut conn, &due::NextEligible {}, "USING COVERING INDEX tasks_scheduled");
    follows(&mut conn, &due::NextExpiry {}, "USING COVERING INDEX tasks_leased");
    follows(&mut conn, &due::NextDeadline {}, "USING INDEX tasks_waiting (wait_deadline_at>?)");
    follows(&mut conn, &due::OldestFinished {}, "USING INDEX tasks_finished");
    follows(&mut conn, &due::NextKeyExpiry {}, "USING COVERING INDEX task_keys_expiry");
    follows(&mut conn, &due::NextUniqueExpiry {}, "USING COVERING INDEX unique_keys_expiry");
    follows(&mut conn, &due::OldestCoveredEvent {}, "events USING INTEGER PRIMARY KEY (rowid<?)");
}

#[test]
fn a_unique_key_is_one_seek() {
    let mut conn = SqliteRig::with_lanes(9).connection();
    let newest = unique::NewestOfKey { tenant: 1, key: "k" };
    seeks(&mut conn, &newest, "unique_keys USING PRIMARY KEY (tenant_id=? AND key=?)");
    let of_task = unique::KeyOfTask { task: 1 };
    seeks(&mut conn, &of_task, "unique_keys USING INDEX unique_keys_task (task_id=?)");
}

#[test]
fn lists_seek_along_their_runs() {
    let mut conn = SqliteRig::with_lanes(9).connection();
    let (before, limit, lane) = (9, 9, 1);
    let queued = listing::QueuedIds { lane, priority: 5, before, limit };
    seeks(&mut conn, &queued, "tasks USING COVERING INDEX tasks_queued (lane_id=? AND priority=? AND id<?)");
    let listed = listing::ListedIds { lane, state: 3, before, limit };
    seeks(&mut conn, &listed, "tasks USING COVERING INDEX tasks_listed (lane_id=? AND state=? AND id<?)");
    let all = listing::TenantIds { tenant: 1, before, limit };
    seeks(&mut conn, &all, "tasks USING INTEGER PRIMARY KEY (rowid<?)");
    follows(&mut conn, &tasks::Leases {}, "USING INDEX tasks_leased");
    let ahead = tasks::Ahead { lane, priority: 5, before, max: 9 };
    follows(&mut conn, &ahead, "tasks USING COVERING INDEX tasks_queued (lane_id=? AND priority>?)");
    follows(&mut conn, &ahead, "tasks USING COVERING INDEX tasks_queued (lane_id=? AND priority=? AND id<?)");
    seeks(&mut conn, &LoadLastAttempt { task: 1 }, "attempts USING PRIMARY KEY (task_id=?)");
}

#[test]
fn the_log_is_read_along_its_key() {
    let mut conn = SqliteRig::with_lanes(9).connection();
    let key = "e USING INTEGER PRIMARY KEY";
    seeks(&mut conn, &event_row::EventsAfter { after: 1, limit: 9 }, key);
    seeks(&mut conn, &event_row::TenantEventsAfter { tenant: 1, after: 1, limit: 9 }, key);
    seeks(&mut conn, &event_row::EventAt { seq: 1 }, key);
    follows(&mut conn, &events::FirstSeq {}, "SEARCH events");
}
