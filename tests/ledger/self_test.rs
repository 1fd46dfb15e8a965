//! Shows that the check finds what is broken: a hive works, is stopped, its database is changed behind its back, and the
//! check has to say what was done to it.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, ensure};

use super::{Breach, Crowd, Remote, check, promises};
use crate::{Hive, Options};

/// Tasks that are completed before anything is broken.
const TASKS: u64 = 60;

/// Something that is done to a database.
struct Fault {
    what: &'static str,
    sql: &'static str,
    /// Whether this is the breach that it must be found by.
    finds: fn(&Breach) -> bool,
}

const FAULTS: [Fault; 5] = [
    Fault {
        what: "an acknowledged task is gone",
        sql: "DELETE FROM tasks WHERE id = (SELECT id FROM tasks ORDER BY id LIMIT 1 OFFSET 5)",
        finds: |breach| matches!(breach, Breach::Missing(_)),
    },
    Fault {
        what: "an acknowledged completion was undone",
        sql: "UPDATE tasks SET state = 1, finished_at = NULL, agent_id = NULL \
              WHERE id = (SELECT id FROM tasks ORDER BY id LIMIT 1 OFFSET 6)",
        finds: |breach| matches!(breach, Breach::NotCompleted(..)),
    },
    Fault {
        what: "a task was completed twice",
        sql: "CREATE TEMP TABLE again AS SELECT * FROM events WHERE kind = 'task.completed' LIMIT 1; \
              UPDATE again SET seq = (SELECT max(seq) + 1 FROM events); INSERT INTO events SELECT * FROM again",
        finds: |breach| matches!(breach, Breach::CompletedTwice(_, 2)),
    },
    Fault {
        what: "a key stands for another task",
        sql: "UPDATE task_keys SET subject_id = (SELECT id FROM tasks ORDER BY id LIMIT 1 OFFSET 8) \
              WHERE subject_id = (SELECT id FROM tasks ORDER BY id LIMIT 1 OFFSET 9)",
        finds: |breach| matches!(breach, Breach::TwoTasksForAKey(_)),
    },
    Fault {
        what: "the log has a hole",
        sql: "DELETE FROM events WHERE seq = (SELECT max(seq) / 2 FROM events)",
        finds: |breach| matches!(breach, Breach::LogHole(_)),
    },
];

/// Plants each fault and looks whether it is found; answers what was planted.
///
/// # Errors
/// When a fault is not found, or something is found where nothing was planted.
pub async fn run() -> Result<Vec<&'static str>> {
    let folder = tempfile::tempdir()?;
    let (data, books) = (folder.path().join("data"), folder.path().join("books"));
    std::fs::create_dir(&books)?;
    let mut hive = Hive::start_with(Options::default().folder(&data)).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let agent = remote.agent("checked", 100).await?;
    let crowd = Crowd::begin(&remote, &agent, &books, "crowd", (4, 2));
    while crowd.counts.accepted.load(Ordering::Relaxed) < TASKS {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    crowd.end(&remote).await?;
    let promises = promises(&books)?;
    let sound = check(&remote, &promises).await?;
    ensure!(sound.breaches.is_empty(), "a sound hive is said to be broken: {:?}", sound.breaches);
    hive.terminate().await?;
    for (number, fault) in FAULTS.iter().enumerate() {
        let copy = folder.path().join(format!("broken-{number}")).join("data");
        copied(&data, &copy)?;
        let told = Command::new("sqlite3").arg(copy.join("hive.db")).arg(fault.sql).output()?;
        ensure!(told.status.success(), "{}: {}", fault.what, String::from_utf8_lossy(&told.stderr));
        let broken = Hive::start_with(Options::default().folder(&copy)).await?;
        let found = check(&Remote::new(&broken.url, &broken.token)?, &promises).await?.breaches;
        ensure!(found.iter().any(fault.finds), "{} and is not found; found: {found:?}", fault.what);
    }
    Ok(FAULTS.iter().map(|fault| fault.what).collect())
}

/// Copies the files of a stopped hive.
fn copied(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).context("copying a data folder")?;
        }
    }
    Ok(())
}
