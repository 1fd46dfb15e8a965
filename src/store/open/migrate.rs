//! Brings a database to the schema that this program knows, after a verified copy of what is there.

use std::error::Error;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::folder::{not_usable, private_file};
use crate::error::OpenError;
use crate::migrations::{Applied, Migrated};
use crate::sql::statement::statement;
use crate::sqlite::connection;

/// Every migration this program knows.
pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// Runs what is pending; says what it did. On a database that is not empty, a copy comes first:
/// `backups/before-<migration>.db`, checked by `integrity_check`.
pub(super) fn run(
    conn: &mut SqliteConnection,
    source: impl MigrationSource<Sqlite>,
    folder: &Path,
) -> Result<Migrated, OpenError> {
    let Pending { migrations, is_new } = pending(conn, source)?;
    let mut migrated = Migrated { is_new, ..Migrated::default() };
    if let Some(first) = migrations.first()
        && !is_new
    {
        let copy = copy(conn, folder, &first.name().to_string())?;
        tracing::info!(
            path = %copy.display(), migrations = migrations.len(), "copied the database before migrating it"
        );
        migrated.copy = Some(copy);
    }
    for migration in &migrations {
        migrated.applied.push(timed(migration.as_ref(), || conn.run_migration(migration.as_ref()))?);
    }
    Ok(migrated)
}

/// What a database lacks.
pub(crate) struct Pending<DB: Backend> {
    /// In their order.
    pub migrations: Vec<Box<dyn Migration<DB>>>,
    /// Whether it is empty.
    pub is_new: bool,
}

/// What a database lacks of the migrations in `source`.
pub(crate) fn pending<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    source: impl MigrationSource<DB>,
) -> Result<Pending<DB>, OpenError> {
    let known = source.migrations().map_err(failed)?;
    let applied = conn.applied_migrations().map_err(failed)?;
    refuse_newer(&known, &applied)?;
    let mut migrations: Vec<_> =
        known.into_iter().filter(|known| !applied.contains(&known.name().version())).collect();
    migrations.sort_by(|one, other| one.name().version().cmp(&other.name().version()));
    Ok(Pending { migrations, is_new: applied.is_empty() })
}

/// Runs one, and says how long that took.
pub(crate) fn timed<DB: Backend, T>(
    migration: &dyn Migration<DB>,
    run: impl FnOnce() -> Result<T, Box<dyn Error + Send + Sync>>,
) -> Result<Applied, OpenError> {
    let (name, began) = (migration.name().to_string(), Instant::now());
    run().map_err(|error| OpenError::Migration(format!("{name}: {error}")))?;
    let took = began.elapsed();
    tracing::info!(migration = %name, seconds = took.as_secs_f64(), "migrated the database");
    Ok(Applied { name, took })
}

/// A newer program has changed the schema in ways this one does not know.
fn refuse_newer<DB: Backend>(
    known: &[Box<dyn Migration<DB>>],
    applied: &[MigrationVersion<'static>],
) -> Result<(), OpenError> {
    let unknown =
        applied.iter().filter(|applied| known.iter().all(|known| known.name().version() != **applied));
    let Some(found) = unknown.max() else { return Ok(()) };
    let newest_known = known.iter().map(|known| known.name().version()).max();
    Err(OpenError::Newer {
        found: found.to_string(),
        known: newest_known.map_or_else(|| "none".to_owned(), |version| version.to_string()),
    })
}

/// Copies the database and checks the copy; a copy that is not whole never bears the final name.
fn copy(conn: &mut SqliteConnection, folder: &Path, migration: &str) -> Result<PathBuf, OpenError> {
    let backups = folder.join("backups");
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&backups);
    made.map_err(|error| not_usable(&backups, &error))?;
    let path = backups.join(format!("before-{migration}.db"));
    let draft = path.with_extension("db.draft");
    // What is left of a copy that was broken off; VACUUM INTO takes only an empty file.
    let _ = fs::remove_file(&draft);
    drop(private_file(&draft)?);
    let quoted = draft.to_string_lossy().replace('\'', "''");
    conn.batch_execute(&format!("VACUUM INTO '{quoted}'")).map_err(|error| failed(error.into()))?;
    verify(&draft)?;
    let synced = private_file(&draft)?.sync_all();
    synced.and_then(|()| fs::rename(&draft, &path)).map_err(|error| not_usable(&path, &error))?;
    Ok(path)
}

fn verify(copy: &Path) -> Result<(), OpenError> {
    let mut conn = connection::reader(copy).map_err(|error| failed(error.into()))?;
    let found: Vec<(String,)> = IntegrityCheck {}.load(&mut conn).map_err(|error| failed(error.into()))?;
    match found.as_slice() {
        [(word,)] if word == "ok" => Ok(()),
        _ => Err(OpenError::Migration(format!("the copy {} is not whole", copy.display()))),
    }
}

fn failed(error: Box<dyn Error + Send + Sync>) -> OpenError {
    OpenError::Migration(error.to_string())
}

statement! {
    /// One row `ok`, or what is wrong.
    IntegrityCheck {} -> (Text,) = "PRAGMA integrity_check"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use diesel_migrations::FileBasedMigrations;

    use super::*;

    /// The migrations of today and one of tomorrow.
    fn tomorrow(folder: &Path, sql: &str) -> FileBasedMigrations {
        let migrations = folder.join("migrations");
        let today = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/sqlite");
        for entry in fs::read_dir(today).unwrap() {
            let entry = entry.unwrap();
            let path = migrations.join(entry.file_name());
            fs::create_dir_all(&path).unwrap();
            for file in ["up.sql", "down.sql"] {
                fs::copy(entry.path().join(file), path.join(file)).unwrap();
            }
        }
        let path = migrations.join("2999-01-01-000000_more");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("up.sql"), sql).unwrap();
        fs::write(path.join("down.sql"), "SELECT 1").unwrap();
        FileBasedMigrations::from_path(migrations).unwrap()
    }

    fn database(folder: &Path) -> SqliteConnection {
        let mut conn = connection::writer(&folder.join(connection::FILE)).unwrap();
        assert!(run(&mut conn, MIGRATIONS, folder).unwrap().is_new);
        conn.batch_execute("INSERT INTO tenants VALUES (7, 'seven')").unwrap();
        conn
    }

    #[test]
    fn a_database_with_rows_is_copied_and_checked_before_it_is_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = database(folder.path());
        assert!(!folder.path().join("backups").exists(), "an empty database is not copied");
        let tomorrow = tomorrow(folder.path(), "DELETE FROM tenants");
        assert!(!run(&mut conn, tomorrow, folder.path()).unwrap().is_new);
        let copy = folder.path().join("backups/before-2999-01-01-000000_more.db");
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let mut copied = connection::reader(&copy).unwrap();
        let names: Vec<(String,)> = Names {}.load(&mut copied).unwrap();
        assert_eq!(names.len(), 2, "the copy is from before");
        let names: Vec<(String,)> = Names {}.load(&mut conn).unwrap();
        assert!(names.is_empty());
    }

    #[test]
    fn a_migration_that_fails_leaves_the_database_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = database(folder.path());
        let broken = tomorrow(folder.path(), "DELETE FROM tenants; SELECT * FROM nowhere");
        assert!(matches!(run(&mut conn, broken, folder.path()), Err(OpenError::Migration(_))));
        let names: Vec<(String,)> = Names {}.load(&mut conn).unwrap();
        assert_eq!(names.len(), 2);
        // The next start tries again, over the copy of the first.
        let mended = tomorrow(folder.path(), "DELETE FROM tenants");
        assert!(!run(&mut conn, mended, folder.path()).unwrap().is_new);
    }

    #[test]
    fn without_a_copy_nothing_is_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = database(folder.path());
        fs::write(folder.path().join("backups"), "in the way").unwrap();
        let tomorrow = tomorrow(folder.path(), "DELETE FROM tenants");
        assert!(matches!(run(&mut conn, tomorrow, folder.path()), Err(OpenError::NotUsable { .. })));
        let names: Vec<(String,)> = Names {}.load(&mut conn).unwrap();
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn with_a_copy_that_fails_its_check_nothing_is_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = database(folder.path());
        // A row against a rule of its table is what `integrity_check` finds in the copy, too.
        conn.batch_execute(
            "PRAGMA ignore_check_constraints = ON; INSERT INTO checkpoints VALUES (2, 0, 0, x'00')",
        )
        .unwrap();
        let tomorrow = tomorrow(folder.path(), "DELETE FROM tenants");
        assert!(matches!(run(&mut conn, tomorrow, folder.path()), Err(OpenError::Migration(_))));
        assert!(!folder.path().join("backups/before-2999-01-01-000000_more.db").exists());
        let names: Vec<(String,)> = Names {}.load(&mut conn).unwrap();
        assert_eq!(names.len(), 2);
    }

    #[test]
    fn a_copy_that_is_not_whole_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = database(folder.path());
        let copy = copy(&mut conn, folder.path(), "x").unwrap();
        assert!(verify(&copy).is_ok());
        let mut bytes = fs::read(&copy).unwrap();
        for byte in &mut bytes[8_192..12_288] {
            *byte ^= 0x5a;
        }
        fs::write(&copy, bytes).unwrap();
        assert!(verify(&copy).is_err());
    }

    #[test]
    fn a_migration_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = database(folder.path());
        conn.revert_all_migrations(MIGRATIONS).unwrap();
        assert!(Names {}.load::<(String,)>(&mut conn).is_err());
        assert!(run(&mut conn, MIGRATIONS, folder.path()).unwrap().is_new);
    }

    statement! {
        /// All tenants.
        Names {} -> (Text,) = "SELECT name FROM tenants"
    }
}
