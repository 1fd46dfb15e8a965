//! What a hive consists of: every table, its columns and what they hold.
//!
//! The node's numbers and the end of the log, which only a server keeps in tables, are not of the hive: the one belongs to
//! whoever serves, the other follows from the events.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A whole number of at most 63 bits and a sign.
    Number,
    /// Text.
    Text,
    /// Yes or no.
    Truth,
    /// Bytes.
    Bytes,
}

/// A table.
#[derive(Debug, Clone, Copy)]
pub(super) struct TableSpec {
    /// Its name.
    pub name: &'static str,
    /// Its columns; those of its key come first.
    pub columns: &'static [(&'static str, Holds)],
    /// How many columns its key has.
    pub key: usize,
    /// How many rows go at a time: few of those that may hold a megabyte each.
    pub page: usize,
}

use Holds::{Bytes, Number, Text, Truth};

/// Rows of tables with small rows that go at a time.
const MANY: usize = 1_000;
/// Rows of tables with inputs, results or output that go at a time.
const FEW: usize = 64;

/// All of them.
pub(super) const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "hive",
        columns: &[
            ("id", Number),
            ("epoch", Text),
            ("created_at", Number),
            ("events_floor", Number),
            ("ids_floor", Number),
        ],
        key: 1,
        page: MANY,
    },
    TableSpec { name: "tenants", columns: &[("id", Number), ("name", Text)], key: 1, page: MANY },
    TableSpec {
        name: "lanes",
        columns: &[
            ("id", Number),
            ("tenant_id", Number),
            ("queue", Text),
            ("requires", Text),
            ("pinned_agent_id", Number),
        ],
        key: 1,
        page: MANY,
    },
    TableSpec {
        name: "tasks",
        columns: &[
            ("id", Number),
            ("tenant_id", Number),
            ("lane_id", Number),
            ("state", Number),
            ("priority", Number),
            ("attempt", Number),
            ("failures", Number),
            ("attempts_max", Number),
            ("eligible_at", Number),
            ("wait_deadline_at", Number),
            ("close_deadline_at", Number),
            ("started_at", Number),
            ("finished_at", Number),
            ("agent_id", Number),
            ("lease_expires_at", Number),
            ("lease_cap_at", Number),
            ("lease_ttl_ms", Number),
            ("cancel_requested_at", Number),
            ("expired_kind", Number),
            ("last_event_seq", Number),
            ("crashes", Number),
        ],
        key: 1,
        page: MANY,
    },
    TableSpec {
        name: "task_specs",
        columns: &[
            ("task_id", Number),
            ("title", Text),
            ("kind", Text),
            ("labels", Text),
            ("backoff", Text),
            ("timeouts", Text),
            ("correlation_id", Text),
            ("created_by", Text),
            ("created_at", Number),
            ("input", Text),
        ],
        key: 1,
        page: FEW,
    },
    TableSpec {
        name: "attempts",
        columns: &[
            ("task_id", Number),
            ("attempt", Number),
            ("agent_id", Number),
            ("started_at", Number),
            ("ended_at", Number),
            ("outcome", Number),
            ("report", Number),
            ("error_kind", Text),
            ("error_message", Text),
            ("usage", Text),
            ("workspace", Text),
            ("result", Text),
        ],
        key: 2,
        page: FEW,
    },
    TableSpec {
        name: "task_output",
        columns: &[
            ("task_id", Number),
            ("attempt", Number),
            ("chunk", Number),
            ("at", Number),
            ("end_bytes", Number),
            ("is_truncated", Truth),
            ("text", Text),
        ],
        key: 3,
        page: FEW,
    },
    TableSpec {
        name: "events",
        columns: &[
            ("seq", Number),
            ("at", Number),
            ("tenant_id", Number),
            ("kind", Text),
            ("task_id", Number),
            ("agent_id", Number),
            ("attempt", Number),
            ("lane_id", Number),
            ("priority", Number),
            ("task_prior_seq", Number),
            ("correlation_id", Text),
            ("data", Text),
        ],
        key: 1,
        page: MANY,
    },
    TableSpec {
        name: "agents",
        columns: &[
            ("id", Number),
            ("tenant_id", Number),
            ("name", Text),
            ("role", Text),
            ("capabilities", Text),
            ("capacity", Number),
            ("labels", Text),
            ("link", Text),
            ("is_draining", Truth),
            ("health", Number),
            ("created_at", Number),
            ("removed_at", Number),
            ("link_spec", Text),
            ("link_env", Text),
        ],
        key: 1,
        page: MANY,
    },
    TableSpec {
        name: "queues",
        columns: &[
            ("tenant_id", Number),
            ("name", Text),
            ("is_paused", Truth),
            ("concurrency_limit", Number),
        ],
        key: 2,
        page: MANY,
    },
    TableSpec {
        name: "task_keys",
        columns: &[
            ("tenant_id", Number),
            ("hash", Bytes),
            ("kind", Number),
            ("subject_id", Number),
            ("fingerprint", Bytes),
            ("expires_at", Number),
        ],
        key: 3,
        page: MANY,
    },
    TableSpec {
        name: "checkpoints",
        columns: &[("id", Number), ("seq", Number), ("at", Number), ("projection", Bytes)],
        key: 1,
        page: FEW,
    },
    TableSpec {
        name: "api_keys",
        columns: &[
            ("id", Number),
            ("tenant_id", Number),
            ("name", Text),
            ("role", Text),
            ("agent_id", Number),
            ("sha256", Bytes),
            ("prefix", Text),
            ("created_at", Number),
            ("created_by", Text),
            ("expires_at", Number),
        ],
        key: 1,
        page: MANY,
    },
    TableSpec {
        name: "unique_keys",
        columns: &[
            ("tenant_id", Number),
            ("key", Text),
            ("since_seq", Number),
            ("task_id", Number),
            ("expires_at", Number),
        ],
        key: 3,
        page: MANY,
    },
    TableSpec {
        name: "performance",
        columns: &[
            ("span_s", Number),
            ("since", Number),
            ("node", Number),
            ("requests", Number),
            ("errors", Number),
            ("submitted", Number),
            ("started", Number),
            ("completed", Number),
            ("retried", Number),
            ("failed", Number),
            ("request_us", Bytes),
            ("wait_us", Bytes),
            ("run_us", Bytes),
        ],
        key: 3,
        page: MANY,
    },
];

/// Tables that only a server has, and migrations, which each side has of its own.
#[cfg(test)]
pub(super) const NOT_OF_THE_HIVE: [&str; 3] = ["log_head", "nodes", "__diesel_schema_migrations"];
