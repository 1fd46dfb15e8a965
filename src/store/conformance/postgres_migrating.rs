//! Migrations of a PostgreSQL database beside hives that use it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::sql_types::BigInt;
use diesel_migrations::FileBasedMigrations;
use domain::Secret;

use super::Rig;
use super::postgres_rig::{PostgresRig, Schema};
use super::world::World;
use crate::command::Command;
use crate::error::OpenError;
use crate::migrations;
use crate::open::{OpenOptions, open};
use crate::place::{Place, aside};
use crate::port::BatchWriter;
use crate::postgres::open::{TRIES, migrate};
use crate::sql::statement::statement;

/// What the database has more tomorrow: what adds and takes nothing away.
const MORE: &str = "ALTER TABLE tasks ADD COLUMN more BIGINT; ALTER TABLE events ADD COLUMN more TEXT; \
                    CREATE TABLE more (id BIGINT PRIMARY KEY)";

/// The migrations of today and one of tomorrow.
fn tomorrow(folder: &Path, sql: &str) -> FileBasedMigrations {
    let today = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/postgres");
    for entry in std::fs::read_dir(today).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        std::fs::create_dir_all(&path).unwrap();
        for file in ["up.sql", "down.sql"] {
            std::fs::copy(entry.path().join(file), path.join(file)).unwrap();
        }
    }
    let path = folder.join("2999-01-01-000000_more");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("up.sql"), sql).unwrap();
    std::fs::write(path.join("down.sql"), "SELECT 1").unwrap();
    FileBasedMigrations::from_path(folder).unwrap()
}

/// Waits until migrations of this schema wait for a lock.
fn until_they_wait(schema: &Schema) {
    let (mut looks_on, began) = (schema.connection(), Instant::now());
    loop {
        let waiting = Waiting { schema: schema.name() };
        if looks_on.get_result::<(i64,), _>(waiting).unwrap().0 > 0 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no migration waits for a lock");
        std::thread::yield_now();
    }
}

#[test]
fn a_migration_under_load_that_waits_for_a_long_reader_refuses_and_loses_nothing() {
    let mut world = World::<PostgresRig>::new();
    let first = world.submit("first").id;
    let commands: Vec<Command> = (0..4_000).map(|_| world.submit_command("t", |_| {}).into()).collect();
    let folder = tempfile::tempdir().unwrap();
    let source = tomorrow(folder.path(), MORE);
    let url = world.rig.schema.url().to_owned();
    let mut writer = world.rig.another_writer(url.as_str());
    let mut reader = world.rig.schema.connection();
    reader.batch_execute("BEGIN; SELECT count(*) FROM tasks").unwrap();
    let is_over = AtomicBool::new(false);
    let (count, migrated) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut batches = commands.chunks(20).zip(1u64..);
            // Two hundred tasks a second, until the migration is through and a while more.
            let began = Instant::now();
            let mut count = 0;
            let mut more = 10;
            while more > 0 {
                let Some((batch, number)) = batches.next() else { break };
                more -= u32::from(is_over.load(Ordering::Acquire));
                let committed = writer.apply(batch).expect("the batch is applied");
                assert!(committed.outcomes.iter().all(Result::is_ok));
                count += committed.outcomes.len();
                let due = began + Duration::from_millis(100 * number);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            count
        });
        let migrating = scope.spawn(|| {
            let migrated = migrate(url.as_str(), source, TRIES);
            is_over.store(true, Ordering::Release);
            migrated
        });
        until_they_wait(&world.rig.schema);
        reader.batch_execute("COMMIT").unwrap();
        (load.join().unwrap(), migrating.join().unwrap().unwrap())
    });
    assert_eq!(migrated.applied.len(), 1);
    assert!(count >= 200, "{count}");
    let (tasks, events): (i64, i64) = world.rig.schema.connection().get_result(CountMore {}).unwrap();
    let expected = i64::try_from(count).unwrap() + 1;
    assert_eq!((tasks, events), (expected, expected), "none lost, none doubled");
    assert_eq!(world.task(first).id, first, "and readers go on");
}

#[test]
fn while_a_migration_waits_a_writer_waits_behind_it_for_no_longer_than_its_lock_timeout() {
    let mut world = World::<PostgresRig>::new();
    world.submit("first");
    let folder = tempfile::tempdir().unwrap();
    let source = tomorrow(folder.path(), MORE);
    let url = world.rig.schema.url().to_owned();
    let mut reader = world.rig.schema.connection();
    reader.batch_execute("BEGIN; SELECT count(*) FROM tasks").unwrap();
    std::thread::scope(|scope| {
        let migrating = scope.spawn(|| migrate(url.as_str(), source, 4));
        for _ in 0..2 {
            until_they_wait(&world.rig.schema);
            // The reader holds its table all the time: only a migration that gives up lets this through.
            let command: Command = world.submit_command("behind", |_| {}).into();
            assert!(world.rig.writer().apply(&[command]).unwrap().outcomes[0].is_ok());
        }
        let Err(OpenError::Migration(why)) = migrating.join().unwrap() else { panic!("it was migrated") };
        assert!(why.contains("4 times in a row: nothing of it was done"), "{why}");
    });
    reader.batch_execute("COMMIT").unwrap();
    let again = migrate(url.as_str(), tomorrow(folder.path(), MORE), 1).unwrap();
    assert_eq!(again.applied.len(), 1, "and it can be tried again");
}

#[test]
fn programs_that_migrate_at_the_same_time_do_it_one_after_the_other() {
    let schema = Schema::new();
    let place = Place::Server(Secret::new(schema.url()));
    let migrated: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| migrations::run(&place).unwrap())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(migrated.iter().filter(|migrated| migrated.is_new).count(), 1, "{migrated:?}");
    let known = migrations::status(&place).unwrap().len();
    assert_eq!(migrated.iter().map(|migrated| migrated.applied.len()).sum::<usize>(), known);
}

#[test]
fn the_status_tells_what_was_applied_and_when_by_the_servers_clock_in_any_time_zone() {
    let schema = Schema::new();
    let place = Place::Server(Secret::new(format!("{}%20-ctimezone%3DAsia/Tokyo", schema.url())));
    let pending = migrations::status(&place).unwrap();
    assert!(pending.iter().all(|step| step.applied_at.is_none()), "{pending:?}");
    let found = aside(|| {
        let (tables,): (i64,) =
            schema.connection().get_result(CountTables { schema: schema.name() }).unwrap();
        Ok(tables)
    });
    assert_eq!(found.unwrap(), 0, "to look changes nothing");
    migrations::run(&place).unwrap();
    let (now,): (i64,) = schema.connection().get_result(Now {}).unwrap();
    for step in migrations::status(&place).unwrap() {
        let at = step.applied_at.unwrap().as_micros() / 1_000_000;
        assert!((now - 600..=now).contains(&at), "{step:?}, and it is {now}");
    }
}

#[test]
fn a_store_that_may_not_migrate_refuses_a_database_that_lacks_something_and_leaves_it_alone() {
    let schema = Schema::new();
    let folder = tempfile::tempdir().unwrap();
    let url = Secret::new(schema.url());
    let options = OpenOptions {
        database_url: Some(url.clone()),
        is_migrating: false,
        ..OpenOptions::new(folder.path())
    };
    let Err(refused) = open(&options) else { panic!("it was opened") };
    assert!(matches!(refused, OpenError::Pending { .. }), "{refused}");
    assert!(refused.to_string().contains("2026-03-02-000000_core"), "{refused}");
    assert!(migrations::run(&Place::Server(url)).unwrap().is_new);
    assert!(open(&options).is_ok());
}

#[test]
fn the_status_of_a_newer_hives_database_is_refused() {
    let schema = Schema::new();
    let place = Place::Server(Secret::new(schema.url()));
    migrations::run(&place).unwrap();
    schema.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
    for refused in [migrations::status(&place).map(|_| ()), migrations::run(&place).map(|_| ())] {
        let Err(OpenError::Newer { found, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(found, "99990101000000");
    }
}

statement! {
    /// Migrations of a schema that wait for a lock of one of its tables.
    Waiting<'a> { schema: &'a str } -> (BigInt,) =
    "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND NOT l.granted \
     JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE a.application_name = 'hive migrations' AND n.nspname = "; schema
}

statement! {
    /// Tasks and events, with the columns of tomorrow.
    CountMore {} -> (BigInt, BigInt) =
    "SELECT (SELECT count(*) FROM tasks WHERE more IS NULL), (SELECT count(*) FROM events WHERE more IS NULL)"
}

statement! {
    /// Tables of a schema.
    CountTables<'a> { schema: &'a str } -> (BigInt,) =
    "SELECT count(*) FROM pg_tables WHERE schemaname = "; schema
}

statement! {
    /// What time it is for the server, in seconds.
    Now {} -> (BigInt,) = "SELECT floor(extract(epoch FROM clock_timestamp()))::bigint"
}
