//! The database, read beside a hive that serves or not; and the clock, which must not lie before its last event.

use std::path::Path;

use store::backup::{self, Error, Glance, Look, Unreadable};

use super::Finding;
use crate::cli::{counted, now};
use crate::failure::with_causes;

/// Larger ones are not read from end to end here.
const CHECKED_BYTES_MAX: u64 = 256 << 20;
/// Tasks that cannot be understood: so many are looked for, and so many are named.
const UNREADABLE_MAX: usize = 1_000;
const NAMED_MAX: usize = 10;
/// Above this the write-ahead log is not shortened as it should be.
const LOG_BYTES_GOOD: u64 = 256 << 20;
/// The oldest PostgreSQL that the hive is tested with.
const SERVER_VERSION_MIN: u32 = 15;
/// How far the clock may lie behind the last event without a word.
const BEHIND_MS_MAX: u64 = 1_000;
/// No hive was there before: 2026-01-01 in microseconds.
const EARLIEST_MICROS: i64 = 1_767_225_600_000_000;

/// Looks at it.
pub fn examine(folder: &Path) -> Vec<Finding> {
    let database = backup::database(folder);
    let Ok(metadata) = std::fs::metadata(&database) else {
        return vec![Finding::note("database", "none yet").advise("the first start makes it"), clock(None)];
    };
    let glance = match backup::glance(&database) {
        Ok(glance) => glance,
        Err(error) => return vec![refused(&error), clock(None)],
    };
    let is_read = metadata.len() <= CHECKED_BYTES_MAX;
    let unreadable = is_read.then(|| backup::unreadable(&database, UNREADABLE_MAX).unwrap_or_default());
    let log_bytes = std::fs::metadata(backup::log_of(&database)).map_or(0, |found| found.len());
    let mut found = vec![whole(&database, metadata.len(), &glance)];
    found.extend(tasks(&unreadable.unwrap_or_default()));
    found.extend([log(log_bytes), clock(Some(&glance))]);
    found
}

/// Asks a PostgreSQL server whether it is there and what it is, and looks at the clock of this machine.
pub fn examine_server(url: &str) -> Vec<Finding> {
    let finding = match store::server::look(url) {
        Ok(server) if server.version < SERVER_VERSION_MIN => {
            Finding::problem("database", format!("PostgreSQL {}", server.version))
                .advise(format!("the hive needs PostgreSQL {SERVER_VERSION_MIN} or later"))
        }
        Ok(server) => {
            let found = format!("PostgreSQL {}, last event {}", server.version, server.last_seq);
            Finding::ok("database", found)
        }
        Err(error) => Finding::problem("database", with_causes(&error))
            .advise("does `psql` reach the database by the same URL (`database.url`)?"),
    };
    vec![finding, clock(None)]
}

fn whole(database: &Path, bytes: u64, glance: &Glance) -> Finding {
    let found =
        format!("{}, schema {}, last event {}", counted(bytes, "byte"), glance.schema, glance.last_seq);
    if bytes > CHECKED_BYTES_MAX {
        return Finding::note("database", format!("{found}; too large to be checked here"))
            .advise("`hive backup create` checks a copy of all of it");
    }
    match backup::check(database, Look::Quick) {
        Err(error) => refused(&error),
        Ok(()) if glance.is_current => Finding::ok("database", format!("{found}, checked")),
        Ok(()) => Finding::note("database", format!("{found}, checked"))
            .advise("it is of an older hive; the next start keeps a copy and migrates it"),
    }
}

/// Tasks that the hive leaves alone; nothing where there are none.
fn tasks(unreadable: &[Unreadable]) -> Option<Finding> {
    let named: Vec<_> = unreadable.iter().map(|row| format!("{} ({})", row.task, row.why)).collect();
    let first = named.first()?;
    let count = if named.len() < UNREADABLE_MAX {
        named.len().to_string()
    } else {
        format!("{UNREADABLE_MAX} or more")
    };
    let shown = named.get(..NAMED_MAX).map_or_else(|| named.join(", "), |some| some.join(", ") + ", …");
    let found = if named.len() == 1 {
        format!("1 task cannot be understood and is left alone: {first}")
    } else {
        format!("{count} tasks cannot be understood and are left alone: {shown}")
    };
    Some(Finding::problem("tasks", found).advise(
        "somebody wrote to the database past the hive, or the disk changed it: stop the hive and correct the rows with \
         `sqlite3`, or take them from a backup",
    ))
}

fn refused(error: &Error) -> Finding {
    let finding = Finding::problem("database", with_causes(error));
    match error {
        Error::Newer { .. } => finding.advise("start the newer hive, or choose another folder"),
        _ => finding.advise("stop the hive, then `hive backup restore FILE --force` from the newest backup"),
    }
}

fn log(bytes: u64) -> Finding {
    let found = format!("{} of write-ahead log", counted(bytes, "byte"));
    if bytes > LOG_BYTES_GOOD {
        Finding::note("log", found).advise("something reads the database for long: a backup, sqlite3?")
    } else {
        Finding::ok("log", found)
    }
}

fn clock(glance: Option<&Glance>) -> Finding {
    let now = now();
    let shown = protocol::time::show(now);
    if now.as_micros() < EARLIEST_MICROS {
        return Finding::problem("clock", format!("it says {shown}, which cannot be"))
            .advise("set the clock");
    }
    match glance.map(|glance| glance.last_at) {
        Some(last_at) if last_at.ms_since(now) > BEHIND_MS_MAX => Finding::problem(
            "clock",
            format!("it says {shown}, and the last event is of {}", protocol::time::show(last_at)),
        )
        .advise("set the clock; until then the hive's time goes on from its last event"),
        Some(_) => Finding::ok("clock", format!("{shown}, not before the last event")),
        None => Finding::ok("clock", shown),
    }
}
