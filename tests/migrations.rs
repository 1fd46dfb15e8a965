//! `hive migrate`: the schema of both databases, seen and brought up to date from outside.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::database::{schema, sql};
use tests::{Hive, Options, PATIENCE};

use crate::cli::{Told, bare, run, told};

/// `hive migrate …` for a folder, and a server's database if one is named.
fn migrate(arguments: &[&str], folder: &Path, url: Option<&str>) -> Command {
    let mut command = bare(&[&["migrate"], arguments].concat());
    command.arg("--data-dir").arg(folder);
    command.envs(url.map(|url| ("HIVE__DATABASE__URL", url)));
    command
}

fn json(told: &Told) -> Result<Value> {
    ensure!(told.code == 0, "{told:?}");
    Ok(serde_json::from_str(&told.out)?)
}

/// From nothing to the newest schema, and once more.
fn from_nothing(folder: &Path, url: Option<&str>) -> Result<()> {
    let pending = json(&run(migrate(&["status", "--json"], folder, url))?)?;
    let items = pending["items"].as_array().context("items")?;
    ensure!(items.len() >= 2 && items.iter().all(|item| item["state"] == "pending"), "{pending}");
    let foretold = run(migrate(&["run", "--dry-run"], folder, url))?;
    ensure!(foretold.code == 0 && foretold.out.contains("CREATE TABLE tasks ("), "{foretold:?}");
    ensure!(foretold.err.contains("nothing was changed"), "{foretold:?}");
    let foretold = json(&run(migrate(&["run", "--dry-run", "--json"], folder, url))?)?;
    ensure!(foretold["pending"] == pending["pending"], "{foretold}");
    ensure!(json(&run(migrate(&["status", "--json"], folder, url))?)? == pending, "it was changed");
    let done = run(migrate(&["run"], folder, url))?;
    ensure!(done.code == 0 && done.out.matches("applied ").count() == items.len(), "{done:?}");
    let again = run(migrate(&["run"], folder, url))?;
    ensure!(again.code == 0 && again.out.is_empty() && again.err.contains("nothing is pending"), "{again:?}");
    let status = json(&run(migrate(&["status", "--json"], folder, url))?)?;
    ensure!(status["pending"] == 0, "{status}");
    for item in status["items"].as_array().context("items")? {
        ensure!(item["applied_at"].as_str().is_some_and(|at| at.starts_with("20")), "{item}");
    }
    let shown = run(migrate(&["status"], folder, url))?;
    ensure!(shown.out.starts_with("MIGRATION") && !shown.out.contains("pending"), "{shown:?}");
    Ok(())
}

#[test]
fn the_schema_of_a_file_is_shown_foretold_and_made_and_made_again_without_a_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let status = run(migrate(&["status"], &data, None))?;
    ensure!(status.code == 0 && !data.exists(), "to look makes nothing: {status:?}");
    from_nothing(&data, None)
}

#[test]
fn the_schema_of_a_server_is_shown_foretold_and_made_and_made_again_without_a_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    from_nothing(&folder.path().join("data"), Some(&schema("shown")?))
}

#[tokio::test]
async fn a_file_that_a_hive_serves_from_is_shown_and_not_migrated() -> Result<()> {
    let hive = Hive::start().await?;
    let told = run(migrate(&["run"], hive.folder(), None))?;
    ensure!(told.code == 74 && told.err.contains("is in use by another hive"), "{told:?}");
    ensure!(told.err.contains(&format!("process {}", hive.pid())), "{told:?}");
    let told = run(migrate(&["status"], hive.folder(), None))?;
    ensure!(told.code == 0, "{told:?}");
    Ok(())
}

#[tokio::test]
async fn by_hand_a_start_refuses_a_database_that_lacks_something_and_says_which_command_helps() -> Result<()>
{
    for url in [None, Some(schema("by_hand")?)] {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let mut options = Options::default().folder(&data).set("HIVE__DATABASE__MIGRATE", "by_hand");
        options = options.set("HIVE__DATABASE__URL", url.clone().unwrap_or_default());
        let Err(refused) = Hive::start_with(options.clone()).await else {
            anyhow::bail!("it served from a database without tables")
        };
        let said = refused.to_string();
        ensure!(said.contains("the database lacks") && said.contains("`hive migrate run`"), "{said}");
        let made = run(migrate(&["run"], &data, url.as_deref()))?;
        ensure!(made.code == 0, "{made:?}");
        Hive::start_with(options).await?.submit(&json!({"title": "t"})).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_hive_is_refused_by_every_command_about_it() -> Result<()> {
    let url = schema("newer")?;
    let folder = tempfile::tempdir()?;
    ensure!(run(migrate(&["run"], folder.path(), Some(&url)))?.code == 0);
    sql(&url, "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')")?;
    for arguments in [&["status"][..], &["run"], &["run", "--dry-run"]] {
        let told = run(migrate(arguments, folder.path(), Some(&url)))?;
        ensure!(told.code == 74 && told.err.contains("was written by a newer hive"), "{told:?}");
        ensure!(told.err.contains("it has migration 99990101000000"), "{told:?}");
    }
    Ok(())
}

/// Takes the newest migration back, as its own `down.sql` says.
fn undo_the_newest(url: &str) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/postgres");
    let mut names: Vec<_> =
        std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name())).collect::<Result<_>>()?;
    names.sort();
    let down = std::fs::read_to_string(folder.join(names.last().context("a migration")?).join("down.sql"))?;
    let forget = "DELETE FROM __diesel_schema_migrations WHERE version = \
                  (SELECT max(version) FROM __diesel_schema_migrations)";
    sql(url, &format!("BEGIN; {down}; {forget}; COMMIT"))?;
    Ok(())
}

/// Submits two hundred tasks a second until told to stop; answers their number and the longest that one of them took.
async fn load(hive: &Hive, is_over: impl Fn() -> bool) -> Result<(u64, Duration)> {
    let (mut count, mut longest) = (0, Duration::ZERO);
    let began = tokio::time::Instant::now();
    while !is_over() {
        let sent = Instant::now();
        let tasks: Vec<Value> = (0..10).map(|_| json!({"title": "load"})).collect();
        // Each of them is acknowledged alone: ten at a time, twenty times a second.
        let answers = futures_util::future::join_all(tasks.iter().map(|task| hive.submit(task))).await;
        for answer in answers {
            answer.context("a submit was refused")?;
            count += 1;
        }
        longest = longest.max(sent.elapsed());
        tokio::time::sleep_until(began + Duration::from_millis(50) * u32::try_from(count / 10)?).await;
    }
    Ok((count, longest))
}

#[tokio::test]
async fn a_hive_that_is_given_two_hundred_tasks_a_second_is_migrated_beside_its_work() -> Result<()> {
    let url = schema("beside")?;
    let hive = Hive::start_with(Options::default().set("HIVE__DATABASE__URL", &url)).await?;
    undo_the_newest(&url)?;
    // Somebody holds what every migration writes, its own name, and does not let go.
    let mut reader = Command::new("psql").arg(&url).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut says = reader.stdin.take().context("a stdin")?;
    says.write_all(b"BEGIN; LOCK TABLE __diesel_schema_migrations IN SHARE MODE;\n")?;
    let folder = tempfile::tempdir()?;
    let locks = |granted| {
        format!(
            "SELECT count(*) FROM pg_locks WHERE {granted} AND relation = '__diesel_schema_migrations'::regclass"
        )
    };
    let (held, waits) = (locks("mode = 'ShareLock' AND granted"), locks("NOT granted"));
    until(&url, &held)?;
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let migrating = async {
        let migrating = migrate(&["run"], folder.path(), Some(&url)).spawn()?;
        let looks = url.clone();
        let done = tokio::task::spawn_blocking(move || -> Result<Told> {
            until(&looks, &waits)?;
            says.write_all(b"COMMIT;\n")?;
            drop(says);
            told(migrating)
        });
        let done = done.await??;
        tokio::time::sleep(Duration::from_secs(1)).await;
        is_over.store(true, std::sync::atomic::Ordering::Release);
        anyhow::Ok(done)
    };
    let over = || is_over.load(std::sync::atomic::Ordering::Acquire);
    // Whichever fails first ends the other: the load would go on for ever.
    let (migrated, (count, longest)) = tokio::try_join!(migrating, load(&hive, over))?;
    reader.wait()?;
    ensure!(migrated.code == 0 && migrated.out.contains("applied "), "{migrated:?}");
    ensure!(longest < Duration::from_secs(5), "a submit waited for {longest:?}");
    let system = hive.get("/api/v2/system").await?;
    ensure!(system["tasks"]["queued"] == count, "{count} were acknowledged: {system}");
    ensure!(sql(&url, "SELECT count(*) FROM tasks")? == count.to_string());
    ensure!(json(&run(migrate(&["status", "--json"], folder.path(), Some(&url)))?)?["pending"] == 0);
    Ok(())
}

/// Waits until a count is no longer 0.
fn until(url: &str, count: &str) -> Result<()> {
    let began = Instant::now();
    while sql(url, count)? == "0" {
        ensure!(began.elapsed() < PATIENCE, "{count} stays 0");
    }
    Ok(())
}
