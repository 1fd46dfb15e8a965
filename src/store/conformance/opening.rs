//! Data folders: made, held, refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use diesel::connection::SimpleConnection;
use domain::Timestamp;

use super::world::BEGIN;
use crate::clock::Clock;
use crate::error::OpenError;
use crate::open::{OpenOptions, Store, open, open_at};
use crate::sqlite::connection;

fn permissions(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refusal(opened: Result<Store, OpenError>) -> OpenError {
    match opened {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[test]
fn a_new_folder_is_its_owners_alone_and_keeps_its_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path().join("deep/er"));
    let store = open(&options).unwrap();
    assert!(store.is_new);
    assert_eq!(store.epoch.len(), 16);
    assert_eq!(store.highest_id, 0);
    assert_eq!(permissions(&options.data_dir), 0o700);
    for file in ["hive.db", "hive.lock"] {
        assert_eq!(permissions(&options.data_dir.join(file)), 0o600, "{file}");
    }
    let epoch = store.epoch.clone();
    drop(store);
    let again = open(&options).unwrap();
    assert!(!again.is_new);
    assert_eq!(again.epoch, epoch);
    let other = tempfile::tempdir().unwrap();
    assert_ne!(open(&OpenOptions::new(other.path())).unwrap().epoch, epoch);
}

#[test]
fn the_log_files_are_their_owners_alone_too() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&OpenOptions::new(folder.path())).unwrap();
    let database = folder.path().join(connection::FILE);
    let _writer = connection::writer(&database).unwrap().batch_execute("BEGIN IMMEDIATE; COMMIT");
    let mut conn = connection::writer(&database).unwrap();
    conn.batch_execute("CREATE TABLE x (y)").unwrap();
    assert_eq!(permissions(&connection::wal_path(&database)), 0o600);
}

#[test]
fn a_second_hive_is_refused_until_the_first_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path());
    let first = open(&options).unwrap();
    assert!(matches!(refusal(open(&options)), OpenError::InUse(_)));
    drop(first);
    assert!(open(&options).is_ok());
}

#[test]
fn a_newer_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path());
    drop(open(&options).unwrap());
    let mut conn = connection::writer(&folder.path().join(connection::FILE)).unwrap();
    conn.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')").unwrap();
    let OpenError::Newer { found, known } = refusal(open(&options)) else { panic!() };
    assert_eq!((found.as_str(), known.as_str()), ("99990101000000", "20260301000000"));
}

#[test]
fn what_is_no_folder_or_no_database_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let OpenError::NotUsable { path, .. } = refusal(open(&OpenOptions::new(&file))) else { panic!() };
    assert_eq!(path, file);
    std::fs::write(folder.path().join(connection::FILE), "no database".repeat(100)).unwrap();
    let error = refusal(open(&OpenOptions::new(folder.path())));
    assert!(matches!(error, OpenError::Database(_)), "{error}");
}

#[test]
fn the_clock_starts_no_earlier_than_the_last_event() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::new(folder.path());
    drop(open(&options).unwrap());
    let mut conn = connection::writer(&folder.path().join(connection::FILE)).unwrap();
    let later = BEGIN.as_micros();
    conn.batch_execute(&format!(
        "INSERT INTO events (seq, at, tenant_id, kind, correlation_id, data)
         VALUES (1, {later}, 1, 'system.started', '', '{{}}')"
    ))
    .unwrap();
    let store = open_at(&options, Clock::stopped_at(Timestamp::ZERO)).unwrap();
    assert_eq!(store.clock.now(), BEGIN);
}
