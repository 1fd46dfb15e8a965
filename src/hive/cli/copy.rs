//! `hive copy`: takes a hive that is stopped from one database to another.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use domain::Secret;
use serde_json::json;
use store::copy::{self, Copied, Error, Progress, Side};
use store::{OpenError, Place};

use super::GlobalFlags;
use super::migrate::DatabaseFlags;
use super::screen::Screen;
use super::table::{Table, number, text};
use super::words::count;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::server_file::ServerFile;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::COPY)]
pub struct Copy {
    /// The hive to copy: sqlite:FOLDER, postgresql://… or settings
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// Where it goes, which must be empty: sqlite:FOLDER, postgresql://… or settings
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// Read settings from this TOML file
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

impl Copy {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        // a copy holds what the hive holds, and is nobody else's business either
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
        let from = self.place("--from", &self.from, common)?;
        let to = self.place("--to", &self.to, common)?;
        if let Place::Folder(folder) = &from
            && !folder.is_dir()
        {
            let message = format!("there is no folder {}", folder.display());
            return Err(
                Failure::new(Exit::Environment, message).hint("sqlite:FOLDER names the folder of a hive")
            );
        }
        let mut shown = Shown::on_stderr();
        let copied = copy::copy(&from, &to, &mut |progress| shown.tell(&progress));
        shown.clear();
        let copied = copied.map_err(|error| told(&error, &from, &to))?;
        show(common, &copied)?;
        Ok(Exit::Fine)
    }

    fn place(&self, flag: &str, word: &str, common: &GlobalFlags) -> Result<Place, Failure> {
        if word == "settings" {
            return Ok(DatabaseFlags::of_settings(self.config.clone()).find(common)?.place);
        }
        let url = word.strip_prefix("postgres:").filter(|rest| rest.contains("://")).unwrap_or(word);
        if ["postgresql://", "postgres://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(Place::Server(Secret::new(url)));
        }
        match word.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            Some(path) => {
                let path = Path::new(path);
                // the file itself names its folder as well
                let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
                let folder = std::path::absolute(folder).map_err(|error| Failure::surroundings(&error))?;
                Ok(Place::Folder(folder))
            }
            // not said again, since a password may stand in it
            None => Err(Failure::usage(format!(
                "{flag} must be sqlite:FOLDER, the URL of a PostgreSQL database like postgresql://hive@db.example/hive, \
                 or settings for the database of the settings"
            ))),
        }
    }
}

/// How far it is, on a line of the terminal that is written again and again.
struct Shown {
    is_terminal: bool,
    last: Option<Instant>,
}

impl Shown {
    fn on_stderr() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), last: None }
    }

    fn tell(&mut self, progress: &Progress) {
        let is_early = self.last.is_some_and(|last| last.elapsed() < Duration::from_millis(100));
        if self.is_terminal && !is_early {
            self.last = Some(Instant::now());
            let Progress { table, rows, of } = progress;
            let _ = write!(std::io::stderr(), "\r\x1b[2K{table}: {} of {} rows", count(*rows), count(*of));
        }
    }

    fn clear(&self) {
        if self.last.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

fn told(error: &Error, from: &Place, to: &Place) -> Failure {
    let failure = Failure::surroundings(error);
    match error {
        Error::Open { side: Side::Source, source } => failure.hint(what_helps(source, "--from", from)),
        Error::Open { side: Side::Target, source } => failure.hint(what_helps(source, "--to", to)),
        Error::NoHive => failure.hint("--from names the hive that is there, --to the place where it goes"),
        Error::NotEmpty(_) => Failure::new(Exit::Conflict, failure.message)
            .hint("name a folder without a hive, or a database (or a schema of it) without tables"),
        Error::Different(_) => failure.hint("nothing was kept; what changes rows on their way, a trigger?"),
        Error::Database { .. } => failure.hint("nothing was kept; the same command begins again"),
    }
}

/// What helps when a side cannot be used.
fn what_helps(error: &OpenError, flag: &str, place: &Place) -> String {
    match (error, place) {
        (OpenError::InUse(folder), _) => match ServerFile::read(folder) {
            Some(file) => format!("stop it first: it answers at {} (process {})", file.url, file.pid),
            None => "it is starting or stopping just now; try again once it has stopped".to_owned(),
        },
        (OpenError::NodeInUse(_), _) => {
            format!("stop it first: the database that {flag} names must stand still")
        }
        (OpenError::NotUsable { .. }, _) => format!("{flag} names the folder"),
        (OpenError::Newer { .. }, _) => "copy with the newer hive".to_owned(),
        (OpenError::Pending { .. }, _) => {
            format!(
                "`hive migrate run`, with the settings for the database that {flag} names, brings it up to date first"
            )
        }
        (OpenError::Migration(_), _) => "nothing was copied; the same command begins again".to_owned(),
        (OpenError::Database(_), Place::Server(_)) => {
            format!("nothing was copied; does `psql` reach the database by the URL that {flag} names?")
        }
        (OpenError::Database(_), Place::Folder(_)) => {
            format!(
                "nothing was copied; is the file in the folder that {flag} names damaged, or the disk full?"
            )
        }
    }
}

fn show(common: &GlobalFlags, copied: &Copied) -> Result<(), Failure> {
    let mut screen = Screen::of_process(common.json);
    if screen.is_json() {
        let tables: Vec<_> = copied
            .tables
            .iter()
            .map(|table| json!({ "table": table.name, "rows": table.rows, "sha256": table.sha256 }))
            .collect();
        let took_ms = u64::try_from(copied.took.as_millis()).unwrap_or(u64::MAX);
        let Copied { epoch, last_seq, .. } = copied;
        let object = json!({ "epoch": epoch, "last_event": last_seq, "took_ms": took_ms, "tables": tables });
        screen.line(&object.to_string())?;
    } else {
        let mut table = Table::new(&["TABLE", "ROWS", "SHA256"], "SHA256");
        for one in &copied.tables {
            table.row([text(one.name), number(one.rows), text(&one.sha256)]);
        }
        screen.table(&table)?;
        screen.note("copied, and both sides read again: they are the same. Serve from one of them only.");
    }
    screen.finish()?;
    Ok(())
}
