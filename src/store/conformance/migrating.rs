//! A database of an earlier hive is brought up to date with all that is in it, and back.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use domain::{AgentId, Link, Outcome, TaskId, TaskState, TenantId};

use super::world::BEGIN;
use crate::clock::Clock;
use crate::open::{OpenOptions, open_at};
use crate::sqlite::connection;

const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite");
const CORE: &str = "2026-01-01-000000_core";

/// Something in every table, an attempt of every outcome and report, and texts that need quotes.
const ROWS: &str = "
    INSERT INTO hive (id, epoch, created_at, events_floor, ids_floor) VALUES (1, 'e', 1, 0, 7);
    INSERT INTO lanes VALUES (1, 1, 'default', '', 0);
    INSERT INTO tasks VALUES (100, 1, 1, 3, 5, 2, 1, 3, NULL, NULL, NULL, 1, 9, 50, NULL, NULL, 30000, NULL, NULL, 1);
    INSERT INTO tasks VALUES (101, 1, 1, 2, 5, 7, 0, 9, NULL, NULL, NULL, 1, NULL, 50, 99, NULL, 30000, NULL, NULL, 2);
    INSERT INTO task_specs VALUES (100, 'one ''quoted''', NULL, '{\"a\":\"b\"}', NULL, NULL, 'c', 'me', 1, '[1, 2]');
    INSERT INTO task_specs VALUES (101, 'two', 'kind', NULL, NULL, '{\"heartbeat_ms\":5}', 'c', 'me', 1, NULL);
    INSERT INTO attempts VALUES (100, 1, 50, 1, 2, 1, 1, 'broken', 'it ''broke''', NULL, NULL);
    INSERT INTO attempts VALUES (100, 2, 50, 3, 4, 0, 0, NULL, NULL, '{\"input_tokens\":7}', '{\"ok\": true}');
    INSERT INTO attempts VALUES (101, 1, 50, 1, 2, 1, 1, 'broken', 'x', NULL, NULL);
    INSERT INTO attempts VALUES (101, 2, NULL, 1, 2, 2, NULL, 'start_to_close_timeout', 'x', NULL, NULL);
    INSERT INTO attempts VALUES (101, 3, 50, 1, 2, 3, NULL, 'lease_lost', 'x', NULL, NULL);
    INSERT INTO attempts VALUES (101, 4, 50, 1, 2, 4, NULL, 'killed', 'x', NULL, NULL);
    INSERT INTO attempts VALUES (101, 5, 50, 1, 2, 5, 2, 'handed_back', 'x', NULL, NULL);
    INSERT INTO task_output VALUES (100, 1, 1, 1, 3, 0, 'abc');
    INSERT INTO events VALUES (1, 1, 1, 'task.completed', 100, 50, 2, 1, 5, 0, 'c', '{\"to\":\"completed\"}');
    INSERT INTO events VALUES (2, 1, 1, 'task.started', 101, 50, 6, 1, 5, 0, 'c', '{\"to\":\"working\"}');
    INSERT INTO agents VALUES (50, 1, 'ada', 'coder', 'gpu,rust', 3, '{\"a\":\"b\"}', 'worker', 0, 0, 1, NULL);
    INSERT INTO agents VALUES (51, 1, 'bob', 'coder', '', 1, NULL, 'worker', 1, 2, 1, 5);
    INSERT INTO queues VALUES (1, 'default', 1);
    INSERT INTO task_keys VALUES (1, x'01', 0, 100, x'02', 9);
    INSERT INTO checkpoints VALUES (1, 2, 1, x'7b7d');
";

/// A folder whose database knows the first migration only, with rows in it.
fn earlier(options: &OpenOptions) -> SqliteConnection {
    let migrations = options.data_dir.join("migrations").join(CORE);
    std::fs::create_dir_all(&migrations).unwrap();
    for file in ["up.sql", "down.sql"] {
        std::fs::copy(format!("{MIGRATIONS}/{CORE}/{file}"), migrations.join(file)).unwrap();
    }
    let source = FileBasedMigrations::from_path(migrations.parent().unwrap()).unwrap();
    let mut conn = connection::writer(&options.data_dir.join(connection::FILE)).unwrap();
    conn.run_pending_migrations(source).unwrap();
    conn.batch_execute(ROWS).unwrap();
    conn
}

/// Reverts every migration but the first.
fn back_to_core(conn: &mut SqliteConnection) {
    let source = FileBasedMigrations::from_path(MIGRATIONS).unwrap();
    while conn.applied_migrations().unwrap().len() > 1 {
        conn.revert_last_migration(source.clone()).unwrap();
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

fn lines(conn: &mut SqliteConnection, sql: String) -> Vec<String> {
    diesel::sql_query(sql).load::<Line>(conn).unwrap().into_iter().map(|line| line.text).collect()
}

/// How every table and index is made, apart from spaces, comments and quotes around names.
fn schema(conn: &mut SqliteConnection) -> Vec<String> {
    let sql = "SELECT coalesce(sql, name) AS text FROM sqlite_schema WHERE name NOT LIKE '\\_\\_%' ESCAPE '\\' \
               ORDER BY name";
    let plain = |sql: String| {
        let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default().replace('"', ""));
        lines.collect::<String>().split_whitespace().collect::<String>()
    };
    lines(conn, sql.to_owned()).into_iter().map(plain).collect()
}

const TABLES: [&str; 11] = [
    "hive",
    "tenants",
    "lanes",
    "tasks",
    "task_specs",
    "attempts",
    "task_output",
    "events",
    "agents",
    "queues",
    "task_keys",
];

/// The columns of each table.
fn columns(conn: &mut SqliteConnection) -> Vec<(&'static str, Vec<String>)> {
    let of = |table: &str| format!("SELECT name AS text FROM pragma_table_info('{table}') ORDER BY cid");
    TABLES.into_iter().map(|table| (table, lines(conn, of(table)))).collect()
}

/// Every row, in these columns.
fn rows(conn: &mut SqliteConnection, columns: &[(&'static str, Vec<String>)]) -> Vec<String> {
    let mut found = Vec::new();
    for (table, columns) in columns {
        let row = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join("||','||");
        found.extend(lines(conn, format!("SELECT '{table}: '||{row} AS text FROM {table} ORDER BY 1")));
    }
    found
}

#[test]
fn a_database_from_before_processes_keeps_every_row_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path());
    let mut conn = earlier(&options);
    let (columns, schema_before) = (columns(&mut conn), schema(&mut conn));
    let before = rows(&mut conn, &columns);
    assert!(before.len() > 15, "{before:?}");
    let store = open_at(&options, Clock::stopped_at(BEGIN)).unwrap();
    assert!(!store.is_new);
    assert!(folder.path().join("backups/before-2026-02-01-000000_processes.db").exists(), "it was copied");
    assert_eq!(rows(&mut conn, &columns), before);
    assert_ne!(schema(&mut conn), schema_before);
    drop(store);
    back_to_core(&mut conn);
    assert_eq!(schema(&mut conn), schema_before);
    assert_eq!(rows(&mut conn, &columns), before);
    drop(conn);
    assert!(open_at(&options, Clock::stopped_at(BEGIN)).is_ok(), "and there again");
}

#[test]
fn what_an_earlier_hive_stored_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path());
    drop(earlier(&options));
    let store = open_at(&options, Clock::stopped_at(BEGIN)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (me, task) = (TenantId::DEFAULT, TaskId::from_raw(101));
    runtime.block_on(async {
        let detail = store.readers.task(me, TaskId::from_raw(100)).await.unwrap().unwrap();
        assert_eq!((detail.record.status.state, detail.record.status.crashes), (TaskState::Completed, 0));
        assert_eq!(detail.result.as_deref(), Some(r#"{"ok": true}"#));
        let attempts = store.readers.attempts(me, task, u32::MAX, 9).await.unwrap().unwrap();
        let outcomes: Vec<_> = attempts.iter().rev().filter_map(|attempt| attempt.outcome).collect();
        assert_eq!(outcomes, Outcome::ALL[1..6]);
        assert!(attempts.iter().all(|attempt| attempt.workspace.is_none()));
        let agent = store.readers.agent(me, AgentId::from_raw(50)).await.unwrap().unwrap();
        assert_eq!((agent.asked.link, agent.asked.capacity), (Link::Worker, 3));
    });
}

#[test]
fn what_an_earlier_hive_does_not_know_becomes_what_is_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path());
    let mut conn = earlier(&options);
    drop(open_at(&options, Clock::stopped_at(BEGIN)).unwrap());
    conn.batch_execute(
        "UPDATE attempts SET outcome = 6, report = NULL WHERE task_id = 101 AND attempt = 4;
         UPDATE attempts SET outcome = 2, report = 3 WHERE task_id = 101 AND attempt = 5;
         UPDATE attempts SET workspace = '{}' WHERE task_id = 100;
         UPDATE tasks SET crashes = 2;
         UPDATE agents SET link = 'process', link_spec = '{}', link_env = '{}' WHERE id = 50",
    )
    .unwrap();
    back_to_core(&mut conn);
    let sql =
        "SELECT outcome || ',' || quote(report) AS text FROM attempts WHERE task_id = 101 AND attempt >= 4";
    assert_eq!(lines(&mut conn, sql.to_owned()), ["5,NULL", "2,1"]);
    assert_eq!(lines(&mut conn, "SELECT link AS text FROM agents".to_owned()), ["worker", "worker"]);
}

#[test]
fn an_earlier_hive_reads_the_log_of_one_that_had_keys() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path());
    let mut conn = earlier(&options);
    drop(open_at(&options, Clock::stopped_at(BEGIN)).unwrap());
    conn.batch_execute(
        "INSERT INTO api_keys VALUES (60, 1, 'ci', 'viewer', NULL, randomblob(32), 'hive_a', 1, 'me', NULL);
         INSERT INTO task_keys VALUES (1, x'09', 3, 60, x'02', 9);
         INSERT INTO events VALUES (3, 1, 1, 'auth.key_created', NULL, NULL, NULL, NULL, NULL, NULL, 'c', '{}')",
    )
    .unwrap();
    back_to_core(&mut conn);
    let kinds = lines(&mut conn, "SELECT kind AS text FROM events ORDER BY seq".to_owned());
    assert_eq!(kinds.len(), 3, "no gap");
    assert!(kinds.iter().all(|kind| !kind.starts_with("auth.")), "{kinds:?}");
    assert_eq!(lines(&mut conn, "SELECT hex(hash) AS text FROM task_keys".to_owned()), ["01"]);
}
