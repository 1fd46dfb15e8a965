//! PostgreSQL for hives under test: one server a run, a schema a hive.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};

/// Set to `postgres`, every hive of the suite that names no database serves from a schema of its own on such a server.
pub const TESTS_ON: &str = "HIVE_TESTS_ON";

/// A schema of its own on the server of this run of the tests, by the URL that leads into it.
///
/// # Errors
/// When there is no server and none can be started; with what to install.
pub fn schema(name: &str) -> Result<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres");
    let runner = std::os::unix::process::parent_id().to_string();
    let url = told(Command::new(script).arg(runner).output()?)?;
    let schema = format!("{name}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
    let create = format!("CREATE SCHEMA {schema}");
    told(Command::new("psql").args([&url, "--quiet", "--command", &create]).output()?)?;
    Ok(format!("{url}?options=-csearch_path%3D{schema}"))
}

/// Which database the hives of this run have.
#[must_use]
pub fn kind() -> &'static str {
    if is_postgres() { "postgresql" } else { "sqlite" }
}

fn is_postgres() -> bool {
    std::env::var_os(TESTS_ON).is_some_and(|on| on == "postgres")
}

/// The database of a data folder, where the whole suite runs on PostgreSQL; the same one each time.
pub(crate) fn of_folder(folder: &Path) -> Result<Option<String>> {
    if !is_postgres() {
        return Ok(None);
    }
    let note = folder.with_extension("database");
    if let Ok(url) = std::fs::read_to_string(&note) {
        return Ok(Some(url));
    }
    let url = schema("suite")?;
    std::fs::write(&note, &url)?;
    Ok(Some(url))
}

/// What a program that ended well wrote.
fn told(output: Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
