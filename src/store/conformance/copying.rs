//! A hive is copied whole, between databases of either kind, or not at all.

use std::path::Path;

use diesel::QueryableByName;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use domain::{EventKind, Secret};

use super::Rig;
use super::postgres_rig::{PostgresRig, Schema};
use super::sqlite_rig::SqliteRig;
use super::world::{World, failure, success};
use crate::command::{Command, RecordSystemEvent, RenewLease};
use crate::copy::{Copied, Error, Progress, Side, copy, covered};
use crate::error::OpenError;
use crate::migrations;
use crate::open::{OpenOptions, open};
use crate::place::Place;
use crate::port::{BatchError, BatchWriter};
use crate::sqlite::connection;

/// What a way through text could lose: quotes, commas, escapes, line breaks, other alphabets, a byte order mark, texts that are
/// empty or look like numbers and nothing, the largest and smallest numbers, bytes of every value, none at all.
const AWKWARD: &str = r#"
    INSERT INTO tenants VALUES (7, 'b,''"\{}[]$[0]$1 ÄÖ 🐝 NULL');
    INSERT INTO lanes VALUES (9223372036854775807, 7, '', 'a,b', -9223372036854775808);
    INSERT INTO tasks VALUES (9007199254740993, 7, 1, 5, 9, 2147483647, 0, 1, NULL, -1, 9223372036854775807, 0, NULL,
        NULL, NULL, NULL, NULL, NULL, NULL, 1, 3);
    INSERT INTO task_specs VALUES (9007199254740993, 'line' || char(10) || char(13) || char(9) || char(8) || 'x' ||
        char(65279), '', '{"a":"\u0001\ud83d\udc1d\\"}', NULL, 'null', '-', 'true', 0, '  [1.0, 1e400, "\u0000"] ');
    INSERT INTO attempts VALUES (9007199254740993, 2147483647, NULL, -1, 1, 6, 3, '', 'it''s', NULL, '{}', '""');
    INSERT INTO task_output VALUES (9007199254740993, 1, 1, 1, 3, 0, ''), (9007199254740993, 1, 2, 1, 3, 1, '0');
    INSERT INTO events VALUES (900000, 1, 7, 'x', NULL, NULL, NULL, NULL, NULL, NULL, '', '{}');
    INSERT INTO agents VALUES (50, 7, 'Zoé', 'r', 'a,b', 1, NULL, 'process', 1, 0, 1, 2, '{"c":["\\"]}', '{"S":"s3cret"}');
    INSERT INTO queues VALUES (7, 'b', 1, NULL), (7, 'B', 0, 4), (7, 'a', 0, 0);
    INSERT INTO task_keys VALUES (7, x'', 0, 1, x'000102fdfeff', 1), (7, x'ff00', 3, 1, x'', 9223372036854775807);
    INSERT INTO checkpoints VALUES (1, 5, 1, randomblob(70000));
    INSERT INTO api_keys VALUES (60, 7, 'k', 'agent', 50, randomblob(32), 'hive_', 1, 'me', NULL);
    INSERT INTO performance VALUES (60, 1, 0, 1, 2, 3, 4, 5, 6, 7, x'', x'00ff', randomblob(3000));
    INSERT INTO unique_keys VALUES (7, 'k''', 1, 2, NULL), (7, 'K', 1, 2, 9223372036854775807), (7, 'ä', 1, 2, 0);
"#;

/// A folder with a hive that has worked.
fn busy() -> World<SqliteRig> {
    let mut world = World::<SqliteRig>::new();
    let task = world.working("done").task;
    world.finish(task, 1, success());
    let task = world.working_with("fails", |task| task.attempts_max = 1).task;
    world.finish(task, 1, failure());
    for number in 0..1_500 {
        world.submit(&format!("waits {number}"));
    }
    world.working("works");
    world
}

/// The same with rows that are hard to carry.
fn worked() -> World<SqliteRig> {
    let world = busy();
    world.rig.connection().batch_execute(AWKWARD).unwrap();
    world
}

fn folder(path: &Path) -> Place {
    Place::Folder(path.to_owned())
}

fn server(schema: &Schema) -> Place {
    Place::Server(Secret::new(schema.url()))
}

/// Copies without looking on.
fn copied(from: &Place, to: &Place) -> Result<Copied, Error> {
    copy(from, to, &mut |_: Progress| ())
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

fn lines(conn: &mut SqliteConnection, sql: String) -> Vec<String> {
    diesel::sql_query(sql).load::<Line>(conn).unwrap().into_iter().map(|line| line.text).collect()
}

/// Every row of every table of a file, as SQLite itself writes values.
fn dump(folder: &Path) -> Vec<String> {
    let mut conn = connection::onlooker(&folder.join(connection::FILE)).unwrap();
    let mut found = Vec::new();
    for (table, columns) in covered().0 {
        let row = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join("||','||");
        found.extend(lines(&mut conn, format!("SELECT '{table}: '||{row} AS text FROM {table} ORDER BY 1")));
    }
    found
}

#[test]
fn a_hive_goes_to_a_server_and_back_and_from_file_to_file_and_every_value_is_the_same() {
    let world = worked();
    let source = world.rig.close();
    let before = dump(source.path());
    assert!(before.len() > 4_500, "{}", before.len());
    let (schema, back, beside) = (Schema::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut told = Vec::new();
    let there = copy(&folder(source.path()), &server(&schema), &mut |progress| told.push(progress)).unwrap();
    assert_eq!(copied(&server(&schema), &folder(back.path())).unwrap().tables, there.tables);
    assert_eq!(copied(&folder(source.path()), &folder(beside.path())).unwrap().tables, there.tables);
    for copy in [source.path(), back.path(), beside.path()] {
        assert!(dump(copy) == before, "{} differs", copy.display());
        let beside = std::fs::read_dir(copy).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(beside.into_iter().all(|name| !name.to_string_lossy().contains("copying")));
    }
    let rows: u64 = there.tables.iter().map(|table| table.rows).sum();
    assert_eq!(rows, u64::try_from(before.len()).unwrap());
    assert!(told.windows(2).all(|two| two[0].table != two[1].table || two[0].rows < two[1].rows));
    let last = told.iter().rfind(|progress| progress.table == "tasks").unwrap();
    assert_eq!(last.rows, last.of);
}

#[test]
fn a_copy_names_every_table_and_column_there_is() {
    let (covered, left_out) = covered();
    let world = World::<PostgresRig>::new();
    let source = World::<SqliteRig>::new();
    let mut file = source.rig.connection();
    let schema = world.rig.schema.name();
    let mut server = world.rig.schema.connection();
    let sql = format!(
        "SELECT table_name || ':' || string_agg(column_name, ',' ORDER BY column_name COLLATE \"C\") AS text \
         FROM information_schema.columns WHERE table_schema = '{schema}' GROUP BY table_name ORDER BY 1"
    );
    let of_server: Vec<Line> = server.load(diesel::sql_query(sql)).unwrap();
    let of_file = lines(
        &mut file,
        "SELECT name || ':' || (SELECT group_concat(name, ',' ORDER BY name) FROM pragma_table_info(s.name)) AS text \
         FROM sqlite_schema s WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1"
            .to_owned(),
    );
    let covered: Vec<String> =
        covered.into_iter().map(|(table, columns)| format!("{table}:{}", columns.join(","))).collect();
    for found in [of_server.into_iter().map(|line| line.text).collect(), of_file] {
        let is_of_the_hive = |line: &String| !left_out.contains(&line.split(':').next().unwrap());
        let mut found: Vec<String> = found.into_iter().filter(is_of_the_hive).collect();
        found.sort();
        let mut covered = covered.clone();
        covered.sort();
        assert_eq!(found, covered);
    }
}

/// A function that changes rows on their way into a table.
fn tamper(schema: &Schema, table: &str, what: &str) {
    schema.execute(&format!(
        "CREATE FUNCTION tamper_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what} END $$; \
         CREATE TRIGGER tamper BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION tamper_{table}()"
    ));
}

#[test]
fn a_difference_that_arises_on_the_way_is_found_and_nothing_is_kept() {
    let source = worked().rig.close();
    for (table, what, said) in [
        (
            "task_specs",
            "NEW.title = replace(NEW.title, 'waits 77', 'waits 78'); RETURN NEW;",
            "rows of the table task_specs",
        ),
        ("tasks", "IF NEW.priority = 9 THEN RETURN NULL; END IF; RETURN NEW;", "the table tasks has"),
        (
            "unique_keys",
            "NEW.expires_at = coalesce(NEW.expires_at, 0); RETURN NEW;",
            "rows of the table unique_keys",
        ),
        (
            "checkpoints",
            "NEW.projection = set_byte(NEW.projection, 9, 255 - get_byte(NEW.projection, 9)); RETURN NEW;",
            "rows of the table checkpoints",
        ),
        ("queues", "NEW.is_paused = NOT NEW.is_paused; RETURN NEW;", "rows of the table queues"),
        (
            "task_output",
            "NEW.text = coalesce(nullif(NEW.text, ''), '-'); RETURN NEW;",
            "rows of the table task_output",
        ),
    ] {
        let schema = Schema::new();
        migrations::run(&server(&schema)).unwrap();
        tamper(&schema, table, what);
        let refused = copied(&folder(source.path()), &server(&schema)).unwrap_err();
        assert!(matches!(&refused, Error::Different(why) if why.contains(said)), "{table}: {refused}");
        schema.execute(&format!("DROP TRIGGER tamper ON {table}"));
        copied(&folder(source.path()), &server(&schema)).unwrap();
    }
}

#[test]
fn a_copy_that_is_broken_off_leaves_an_empty_target_that_can_be_copied_to() {
    let source = worked().rig.close();
    let schema = Schema::new();
    migrations::run(&server(&schema)).unwrap();
    // The connection ends as it would with its program, when most has been written.
    tamper(&schema, "unique_keys", "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW;");
    let broken = copied(&folder(source.path()), &server(&schema)).unwrap_err();
    assert!(matches!(&broken, Error::Database { doing, .. } if doing.contains("unique_keys")), "{broken}");
    schema.execute("DROP TRIGGER tamper ON unique_keys");
    copied(&folder(source.path()), &server(&schema)).unwrap();
    // From there to a file that cannot be finished: a number that is none of SQLite's states.
    schema.execute(
        "ALTER TABLE tasks DROP CONSTRAINT tasks_state_check; UPDATE tasks SET state = 9 WHERE state = 3",
    );
    let target = tempfile::tempdir().unwrap();
    let broken = copied(&server(&schema), &folder(target.path())).unwrap_err();
    assert!(matches!(&broken, Error::Database { doing, .. } if doing.contains("tasks")), "{broken}");
    let left: Vec<_> =
        std::fs::read_dir(target.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["hive.lock"]);
    schema.execute("UPDATE tasks SET state = 3 WHERE state = 9");
    copied(&server(&schema), &folder(target.path())).unwrap();
}

#[test]
fn only_a_hive_that_nobody_serves_is_copied_and_only_into_what_is_empty() {
    let world = worked();
    let serving = World::<PostgresRig>::new();
    let (schema, elsewhere) = (Schema::new(), tempfile::tempdir().unwrap());
    let refused = copied(&folder(world.rig.folder()), &server(&schema)).unwrap_err();
    assert!(matches!(refused, Error::Open { side: Side::Source, source: OpenError::InUse(_) }), "{refused}");
    let refused = copied(&server(&serving.rig.schema), &folder(elsewhere.path())).unwrap_err();
    assert!(
        matches!(refused, Error::Open { side: Side::Source, source: OpenError::NodeInUse(0) }),
        "{refused}"
    );
    let source = world.rig.close();
    let refused = copied(&folder(source.path()), &server(&serving.rig.schema)).unwrap_err();
    assert!(
        matches!(refused, Error::Open { side: Side::Target, source: OpenError::NodeInUse(0) }),
        "{refused}"
    );
    let (_, served) = serving.rig.close();
    let refused = copied(&folder(source.path()), &server(&served)).unwrap_err();
    assert!(matches!(&refused, Error::NotEmpty(why) if why.contains("hive")), "{refused}");
    let refused = copied(&server(&served), &folder(source.path())).unwrap_err();
    assert!(matches!(&refused, Error::NotEmpty(why) if why.contains("hive.db")), "{refused}");
    let nothing = tempfile::tempdir().unwrap();
    let refused = copied(&folder(nothing.path()), &server(&schema)).unwrap_err();
    assert!(matches!(refused, Error::NoHive), "{refused}");
    assert_eq!(std::fs::read_dir(nothing.path()).unwrap().count(), 0, "and nothing was made");
}

#[test]
fn a_folder_with_a_log_that_has_lost_its_database_is_not_empty() {
    let source = busy().rig.close();
    for name in ["hive.db-wal", "hive.db-journal", "hive.db-shm"] {
        let target = tempfile::tempdir().unwrap();
        std::fs::write(target.path().join(name), "of another database").unwrap();
        let refused = copied(&folder(source.path()), &folder(target.path())).unwrap_err();
        assert!(matches!(&refused, Error::NotEmpty(why) if why.ends_with(name)), "{name}: {refused}");
        assert!(!target.path().join(connection::FILE).exists());
    }
}

#[test]
fn a_source_of_an_older_hive_is_refused_and_left_as_it_is() {
    let schema = Schema::new();
    migrations::run(&server(&schema)).unwrap();
    schema.execute(
        "DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)",
    );
    let target = tempfile::tempdir().unwrap();
    let refused = copied(&server(&schema), &folder(target.path())).unwrap_err();
    assert!(
        matches!(refused, Error::Open { side: Side::Source, source: OpenError::Pending { count: 1, .. } }),
        "{refused}"
    );
}

#[test]
fn a_hive_whose_lock_was_lost_with_its_connection_writes_nothing_while_it_is_copied() {
    let mut world = World::<PostgresRig>::new();
    let held = world.working("held").task;
    let (from, before) = (server(&world.rig.schema), world.ask(|readers| readers.census()));
    let name = world.rig.schema.name().to_owned();
    world.rig.schema.execute(&format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND classid::bigint = hashtext('hive node {name}')::bigint & 4294967295"
    ));
    let told: Command = RecordSystemEvent { kind: EventKind::SystemStarted, data: "{}".into() }.into();
    let renews: Command = RenewLease { task: held, attempt: 1, reporter: None }.into();
    let writer = world.rig.writer();
    writer.execute("SET lock_timeout = '10ms'");
    let (target, mut tried) = (tempfile::tempdir().unwrap(), Vec::new());
    let tries = &mut tried;
    copy(&from, &folder(target.path()), &mut |_| {
        if tries.is_empty() {
            // With an event and without one.
            tries.extend(
                [&told, &renews].map(|command| writer.apply(std::slice::from_ref(command)).map(|_| ())),
            );
        }
    })
    .unwrap();
    assert_eq!(tried.len(), 2);
    for refused in tried {
        let Err(BatchError::Busy(why)) = refused else { panic!("{refused:?}") };
        assert_eq!(why, "canceling statement due to lock timeout");
    }
    assert_eq!(world.ask(|readers| readers.census()), before);
    world.rig.writer().apply(&[told, renews]).unwrap();
}

#[test]
fn a_target_of_an_older_hive_is_refused_and_left_as_it_is() {
    let (source, schema) = (busy().rig.close(), Schema::new());
    migrations::run(&server(&schema)).unwrap();
    let forget = "DELETE FROM __diesel_schema_migrations WHERE version = \
                  (SELECT max(version) FROM __diesel_schema_migrations)";
    schema.execute(forget);
    let noted = || {
        migrations::status(&server(&schema)).unwrap().iter().filter(|step| step.applied_at.is_some()).count()
    };
    let before = noted();
    let refused = copied(&folder(source.path()), &server(&schema)).unwrap_err();
    assert!(
        matches!(refused, Error::Open { side: Side::Target, source: OpenError::Pending { count: 1, .. } }),
        "{refused}"
    );
    assert_eq!(noted(), before, "nothing was migrated");
}

#[test]
fn a_copy_goes_on_where_its_source_stopped() {
    let mut world = busy();
    world
        .rig
        .connection()
        .batch_execute("UPDATE hive SET ids_floor = 9223372036854775000, events_floor = 7")
        .unwrap();
    world.rig.reopen();
    let (seq, id) = (world.ask(|readers| readers.log_range()).1, world.rig.highest_id());
    let source = world.rig.close();
    let schema = Schema::new();
    let there = copied(&folder(source.path()), &server(&schema)).unwrap();
    assert_eq!(there.last_seq, seq);
    let data = tempfile::tempdir().unwrap();
    let options =
        OpenOptions { database_url: Some(Secret::new(schema.url())), ..OpenOptions::new(data.path()) };
    let store = open(&options).unwrap();
    assert_eq!((store.highest_id, store.epoch, store.is_new), (id, there.epoch, false));
}
