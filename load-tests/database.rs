//! A PostgreSQL server for the measurement: started by `tests/postgres`, ended and removed by its guard when this process
//! has ended, however it ended.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// Schemas so far; this process has one server, however often it is asked for.
static SCHEMAS: AtomicU32 = AtomicU32::new(0);

/// The server of this process.
pub struct Server {
    url: String,
}

impl Server {
    /// Starts it, or takes the one that runs and removes what was stored so far: no hive may run on it.
    pub fn start() -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/postgres");
        let owner = std::process::id().to_string();
        let server = Self { url: told(Command::new(script).arg(owner).output()?)? };
        for number in 0..SCHEMAS.load(Ordering::Relaxed) {
            told(server.psql(&format!("DROP SCHEMA IF EXISTS run_{number} CASCADE")).output()?)?;
        }
        Ok(server)
    }

    /// A schema that nobody has used yet, by the URL that leads into it.
    pub fn schema(&self) -> Result<String> {
        let name = format!("run_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
        told(self.psql(&format!("CREATE SCHEMA {name}")).output()?)?;
        Ok(format!("{}?options=-csearch_path%3D{name}", self.url))
    }

    /// The process that all others of the server are children of.
    pub fn postmaster(&self) -> Result<u32> {
        // The first line of a file in its folder, which it says itself; a superuser may read it.
        let pid = told(self.psql("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)").output()?)?;
        pid.parse().context("a process id")
    }

    fn psql(&self, sql: &str) -> Command {
        let mut command = Command::new("psql");
        command.args([&self.url, "--quiet", "--no-align", "--tuples-only", "--command", sql]);
        command
    }
}

fn told(output: Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
