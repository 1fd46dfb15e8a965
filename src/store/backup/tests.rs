//! Tests of copies: what they hold, and what is found out about a database that is not as it should be.

use super::*;
use crate::open::{OpenOptions, open};

/// A folder with a database of two tasks and three events.
fn world() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&OpenOptions::new(folder.path())).unwrap());
    let path = database(folder.path());
    alter(
        &path,
        "INSERT INTO lanes VALUES (1, 1, 'default', '', 0);
         INSERT INTO tasks (id, tenant_id, lane_id, state, priority, attempt, failures, attempts_max, last_event_seq)
         VALUES (7, 1, 1, 1, 5, 0, 0, 3, 1), (8, 1, 1, 3, 5, 1, 0, 3, 3);
         INSERT INTO task_specs (task_id, title, correlation_id, created_by, created_at)
         VALUES (7, 'a', 'c', 'u', 1), (8, 'b', 'c', 'u', 1);
         INSERT INTO events (seq, at, tenant_id, kind, correlation_id, data)
         VALUES (1, 10, 1, 'x', 'c', '{}'), (2, 20, 1, 'x', 'c', '{}'), (3, 30, 1, 'x', 'c', '{}');",
    );
    (folder, path)
}

fn alter(path: &Path, sql: &str) {
    connection::writer(path).unwrap().batch_execute(sql).unwrap();
}

#[test]
fn a_copy_holds_what_was_committed_while_the_database_is_open_and_in_its_log_alone() {
    let (folder, path) = world();
    let mut writer = connection::writer(&path).unwrap();
    writer.batch_execute("INSERT INTO events (seq, at, tenant_id, kind, correlation_id, data) VALUES (4, 40, 1, 'x', 'c', '{}')").unwrap();
    assert!(std::fs::metadata(log_of(&path)).unwrap().len() > 0, "it stands in the write-ahead log");
    writer.batch_execute("BEGIN IMMEDIATE; INSERT INTO events (seq, at, tenant_id, kind, correlation_id, data) VALUES (5, 50, 1, 'x', 'c', '{}')").unwrap();
    let into = folder.path().join("it's a % copy?#.db");
    copy(&path, &into).unwrap();
    writer.batch_execute("COMMIT").unwrap();
    let found = inspect(&into, Kind::Resting, Look::Whole).unwrap();
    assert_eq!((found.first_seq, found.last_seq, found.last_at), (1, 4, Timestamp::from_micros(40)));
    assert_eq!(found.tasks, BTreeMap::from([("queued", 1), ("completed", 1)]));
    let living = inspect(&path, Kind::Living, Look::Quick).unwrap();
    assert_eq!((living.last_seq, &living.epoch), (5, &found.epoch), "the original went on");
    let beside: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !beside.iter().any(|name| name.to_string_lossy().starts_with("it's a % copy?#.db-")),
        "{beside:?}"
    );
}

#[test]
fn a_log_that_retention_has_emptied_has_no_hole() {
    let (_folder, path) = world();
    alter(&path, "DELETE FROM events; UPDATE hive SET events_floor = 3");
    let found = inspect(&path, Kind::Living, Look::Whole).unwrap();
    assert_eq!((found.first_seq, found.last_seq), (4, 3));
}

#[test]
fn what_contradicts_itself_is_damaged_and_the_words_say_how() {
    for (sql, words) in [
        ("DELETE FROM events WHERE seq = 2", "the log has a hole"),
        ("DELETE FROM events WHERE seq = 1", "the log has a hole"),
        ("DELETE FROM task_specs WHERE task_id = 7", "1 tasks without what they ask for"),
        ("DELETE FROM lanes", "2 tasks without a lane"),
        (
            "UPDATE tasks SET last_event_seq = 9 WHERE id = 7",
            "1 tasks whose last event is not in the log yet",
        ),
        (
            "INSERT INTO attempts (task_id, attempt, started_at, ended_at, outcome) VALUES (9, 1, 1, 2, 0)",
            "1 attempts without a task",
        ),
    ] {
        let (_folder, path) = world();
        alter(&path, sql);
        let told = inspect(&path, Kind::Living, Look::Whole).unwrap_err();
        assert!(matches!(told, Error::Damaged(_)), "{sql}: {told}");
        assert!(told.to_string().contains(words), "{sql}: {told}");
    }
}

#[test]
fn a_database_of_tomorrow_is_not_understood() {
    let (_folder, path) = world();
    alter(
        &path,
        "INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('29990101000000', '2999-01-01')",
    );
    assert!(matches!(inspect(&path, Kind::Living, Look::Whole), Err(Error::Newer { .. })));
}

#[test]
fn a_renamed_log_has_another_name_and_the_same_rows() {
    let (_folder, path) = world();
    let before = inspect(&path, Kind::Living, Look::Whole).unwrap();
    rename_log(&path).unwrap();
    let after = inspect(&path, Kind::Living, Look::Whole).unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(Contents { epoch: before.epoch.clone(), ..after }, before);
}

#[test]
fn a_settled_database_is_one_file() {
    let (folder, path) = world();
    let kept = folder.path().join("kept");
    std::fs::create_dir(&kept).unwrap();
    let writer = connection::writer(&path).unwrap();
    alter(&path, "DELETE FROM events; UPDATE hive SET events_floor = 3");
    // as after a crash: the log is there and nobody has it open
    for name in [path.clone(), log_of(&path)] {
        std::fs::copy(&name, kept.join(name.file_name().unwrap())).unwrap();
    }
    drop(writer);
    let crashed = database(&kept);
    settle(&crashed).unwrap();
    assert!(!log_of(&crashed).exists());
    assert_eq!(inspect(&crashed, Kind::Resting, Look::Whole).unwrap().first_seq, 4);
}

#[test]
fn what_is_missing_or_no_database_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    assert!(matches!(inspect(&path, Kind::Living, Look::Quick), Err(Error::Missing(_))));
    assert!(!path.exists(), "looking makes nothing");
    std::fs::write(&path, "no database".repeat(1_000)).unwrap();
    let told = inspect(&path, Kind::Resting, Look::Quick).unwrap_err().to_string();
    assert!(told.contains("x.db") && told.contains("not a database"), "{told}");
}
