//! What a transaction reads at its beginning: one statement a table, over arrays.

use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text};

use super::columns::rows;
use crate::sql::spec_row::{SpecSql, spec_columns};
use crate::sql::task_row::{TaskSql, task_columns};

rows! {
    /// Tasks, locked in the order of their ids, so that no two nodes wait for each other.
    LockTasks { id: i64 as BigInt } -> TaskSql =
    concat!("SELECT ", task_columns!(), " FROM tasks t WHERE t.id IN (SELECT * FROM "), unnest,
    ") ORDER BY t.id FOR UPDATE OF t"
}

rows! {
    /// What tasks ask for, without their input.
    LoadSpecs { task: i64 as BigInt } -> (BigInt, SpecSql) =
    concat!("SELECT s.task_id, ", spec_columns!(), " FROM task_specs s WHERE s.task_id IN (SELECT * FROM "), unnest, ")"
}

rows! {
    /// What claims ask of agents that are there.
    LoadStandings { id: i64 as BigInt } -> (BigInt, BigInt, Text, Bool) =
    "SELECT id, tenant_id, capabilities, is_draining FROM agents WHERE removed_at IS NULL AND id IN (SELECT * FROM ",
    unnest, ")"
}

rows! {
    /// Idempotency keys.
    LoadKeys<'a> { tenant: i64 as BigInt, hash: &'a [u8] as Binary, kind: i16 as SmallInt } ->
    (BigInt, Binary, SmallInt, BigInt, Binary, BigInt) =
    "SELECT k.tenant_id, k.hash, k.kind, k.subject_id, k.fingerprint, k.expires_at FROM ", unnest,
    " AS r (tenant_id, hash, kind) JOIN task_keys k USING (tenant_id, hash, kind)"
}

rows! {
    /// The newest row of each unique key.
    LoadUniques<'a> { tenant: i64 as BigInt, key: &'a str as Text } -> (BigInt, Text, BigInt, Nullable<BigInt>) =
    "SELECT r.tenant_id, r.key, u.task_id, u.expires_at FROM ", unnest,
    " AS r (tenant_id, key) CROSS JOIN LATERAL (SELECT task_id, expires_at FROM unique_keys u \
     WHERE u.tenant_id = r.tenant_id AND u.key = r.key ORDER BY u.since_seq DESC LIMIT 1) u"
}

rows! {
    /// The oldest queued tasks of lanes and priorities above an id each, with what their agents need, as many as are
    /// asked for. What another node has locked is as good as taken.
    LockHeads { lane: i64 as BigInt, priority: i16 as SmallInt, after: i64 as BigInt, count: i64 as BigInt } ->
    (Integer, TaskSql, SpecSql, Nullable<Text>) =
    concat!(
        "SELECT r.place, ", task_columns!(), ", ", spec_columns!(), ", s.input FROM (SELECT *, \
         row_number() OVER ()::integer AS place FROM "
    ), unnest,
    " AS u (lane_id, priority, after, count)) r CROSS JOIN LATERAL (SELECT * FROM tasks q WHERE q.state = 1 \
     AND q.lane_id = r.lane_id AND q.priority = r.priority AND q.id > r.after ORDER BY q.id LIMIT r.count \
     FOR UPDATE SKIP LOCKED) t JOIN task_specs s ON s.task_id = t.id"
}
