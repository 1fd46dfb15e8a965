//! A PostgreSQL server for the measurement: started by `tests/postgres`, ended and removed by its guard when this process
//! has ended, however it ended.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// A server of this process.
pub struct Server {
    url: String,
    schemas: AtomicU32,
}

impl Server {
    /// Starts one.
    pub fn start() -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/postgres");
        let owner = std::process::id().to_string();
        Ok(Self { url: told(Command::new(script).arg(owner).output()?)?, schemas: AtomicU32::new(0) })
    }

    /// A schema that nobody has used yet, by the URL that leads into it.
    pub fn schema(&self) -> Result<String> {
        let name = format!("run_{}", self.schemas.fetch_add(1, Ordering::Relaxed));
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
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
