//! Backups of the real program: taken under load they hold all that was acknowledged, and what is broken is found out.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::{Hive, Options, program};

use crate::workers::completions;

/// Runs `hive backup …`; answers its exit code, stdout and stderr.
fn backup(words: &[&str], data_dir: &Path) -> Result<(i32, String, String)> {
    let output = command(words, data_dir).output()?;
    ended(output)
}

fn command(words: &[&str], data_dir: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("backup").args(words).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
    command
}

fn ended(output: Output) -> Result<(i32, String, String)> {
    let code = output.status.code().context("ended by a signal")?;
    Ok((code, String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

/// Runs `hive backup … --json`, expects success and answers the object.
fn fine(words: &[&str], data_dir: &Path) -> Result<Value> {
    let (code, out, err) = backup(&[words, &["--json"]].concat(), data_dir)?;
    ensure!(code == 0, "{words:?} ended with {code}: {err}");
    Ok(serde_json::from_str(&out)?)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

/// How far a task has come, as far as that cannot be taken back: submitted, claimed once, completed. A lease may run
/// out; the count of attempts stays.
fn rank(task: &Value) -> u32 {
    match (task["state"].as_str(), task["attempt"].as_u64()) {
        (Some("completed"), _) => 2,
        (_, Some(1..)) => 1,
        (_, _) => 0,
    }
}

/// What clients were told: of each task the furthest state that was acknowledged.
type Told = Arc<Mutex<HashMap<String, u32>>>;

async fn submit_some(hive: &Hive, name: usize, told: &Told, stop: &AtomicBool) -> Result<()> {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let task = json!({"title": format!("{name}-{number}"), "input": {"pad": "x".repeat(1_000)}});
        let id = hive.submit(&task).await?;
        told.lock().unwrap().insert(id, 0);
    }
    Ok(())
}

/// Leases and completes; leaves every tenth assignment of its own in work.
async fn work_some(hive: &Hive, agent: &str, told: &Told, stop: &AtomicBool) -> Result<()> {
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        for assignment in hive.lease(agent, 5, 200).await? {
            let id = assignment["task_id"].as_str().context("an id")?.to_owned();
            told.lock().unwrap().insert(id.clone(), 1);
            number += 1;
            if number.is_multiple_of(10) {
                continue;
            }
            let report = json!({"attempt": assignment["attempt"], "result": {"number": number}});
            hive.post(&format!("/api/v2/tasks/{id}/complete"), &report, 200).await?;
            told.lock().unwrap().insert(id, 2);
        }
    }
    Ok(())
}

/// All tasks of a hive, and how far each has come.
async fn ranks(hive: &Hive) -> Result<HashMap<String, u32>> {
    let (mut found, mut query) = (HashMap::new(), "limit=200".to_owned());
    loop {
        let page = hive.get(&format!("/api/v2/tasks?{query}")).await?;
        for task in page["items"].as_array().context("items")? {
            let id = task["id"].as_str().unwrap_or_default().to_owned();
            ensure!(found.insert(id.clone(), rank(task)).is_none(), "{id} is listed twice");
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return Ok(found) };
        query = format!("limit=200&cursor={cursor}");
    }
}

/// What clients were told, once they were told of so many submits and completions.
async fn told_of(told: &Told, submits: usize, completions: usize) -> Result<HashMap<String, u32>> {
    let began = Instant::now();
    loop {
        let now = told.lock().unwrap().clone();
        if now.len() > submits && now.values().filter(|rank| **rank == 2).count() > completions {
            return Ok(now);
        }
        ensure!(began.elapsed() < tests::PATIENCE, "{} tasks are not enough to prove anything", now.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Backups under load, each with what had been acknowledged before it began.
async fn backups_under_load(
    hive: &Hive,
    told: &Told,
    folder: &Path,
) -> Result<Vec<(Value, HashMap<String, u32>)>> {
    let mut made = Vec::new();
    for number in 1..=3 {
        let before = told_of(told, 100 * number, 30 * number).await?;
        let file = folder.join(format!("{number}.db"));
        let data_dir = hive.folder().to_owned();
        let created =
            tokio::task::spawn_blocking(move || fine(&["create", text(&file)], &data_dir)).await??;
        made.push((created, before));
    }
    Ok(made)
}

#[tokio::test]
async fn slow_a_backup_under_load_restores_to_all_that_was_acknowledged_before_it_began() -> Result<()> {
    let place = tempfile::tempdir()?;
    // Longer than a busy machine takes for five reports, short enough to wait for.
    let options = Options::default().set("HIVE__LEASE__TTL_MS", 5_000);
    let hive = Hive::start_with(options.clone().folder(&place.path().join("data"))).await?;
    let agents = [hive.agent("one", &[], 300).await?, hive.agent("two", &[], 300).await?];
    let epoch = hive.get("/api/v2/system").await?["epoch"].clone();
    let (told, stop) = (Told::default(), AtomicBool::new(false));
    let load = async {
        let submitters = join_all((0..4).map(|name| submit_some(&hive, name, &told, &stop)));
        let workers = join_all(agents.iter().map(|agent| work_some(&hive, agent, &told, &stop)));
        let (submitted, worked) = tokio::join!(submitters, workers);
        submitted.into_iter().chain(worked).collect::<Result<Vec<()>>>()
    };
    let take = async {
        let made = backups_under_load(&hive, &told, place.path()).await;
        stop.store(true, Ordering::Relaxed);
        made
    };
    let (load, made) = tokio::join!(load, take);
    load?;
    let (created, before) = made?.pop().context("a backup")?;
    let ahead = u64::try_from(ranks(&hive).await?.len())?;
    ensure!(created["task_count"].as_u64() < Some(ahead), "the load went on during the backup: {created}");
    drop(hive);

    let other = place.path().join("other");
    let file = PathBuf::from(created["path"].as_str().context("a path")?);
    fine(&["restore", text(&file)], &other)?;
    let hive = Hive::start_with(options.folder(&other)).await?;
    let restored = ranks(&hive).await?;
    assert_eq!(json!(restored.len()), created["task_count"], "the tasks that the manifest counts");
    for (id, rank_then) in &before {
        let rank = restored.get(id).with_context(|| format!("{id} was acknowledged and is not there"))?;
        assert!(rank >= rank_then, "{id} was further: {rank_then}, not {rank}");
    }
    let system = hive.get("/api/v2/system").await?;
    assert!(epoch.is_string());
    assert_ne!(system["epoch"], epoch, "another history, another name");
    assert!(system["log"]["last_seq"].as_i64() >= created["last_seq"].as_i64(), "{system}");
    let new = hive.submit(&json!({"title": "new"})).await?;
    assert!(restored.keys().all(|id| *id < new), "ids go on above the stored ones");
    finish_all(&hive, &agents, restored.len() + 1).await?;
    // The log has no hole (this reads all of it), and no task is completed twice.
    let completed = completions(&hive).await?;
    assert_eq!(completed.len(), restored.len() + 1);
    assert!(completed.values().all(|count| *count == 1));
    let known: HashSet<_> = restored.keys().chain([&new]).collect();
    assert!(completed.keys().all(|id| known.contains(id)));
    Ok(())
}

/// Completes what is left, also what the workers before left in work, whose leases run out.
async fn finish_all(hive: &Hive, agents: &[String], count: usize) -> Result<()> {
    let began = Instant::now();
    loop {
        for agent in agents {
            for assignment in hive.lease(agent, 5, 100).await? {
                let id = assignment["task_id"].as_str().context("an id")?;
                let report = json!({"attempt": assignment["attempt"], "result": "later"});
                hive.post(&format!("/api/v2/tasks/{id}/complete"), &report, 200).await?;
            }
        }
        let system = hive.get("/api/v2/system").await?;
        if system["tasks"]["completed"] == json!(count) {
            return Ok(());
        }
        ensure!(began.elapsed() < tests::PATIENCE, "the rest is not completed: {system:#}");
    }
}

/// A folder with a hive's database of some tasks, at rest, and a backup of it.
async fn rested(place: &Path) -> Result<(PathBuf, PathBuf)> {
    let data = place.join("data");
    let mut hive = Hive::start_with(Options::default().folder(&data)).await?;
    for number in 0..20 {
        hive.submit(&json!({"title": format!("task {number}"), "input": "x".repeat(2_000)})).await?;
    }
    hive.terminate().await?;
    let file = place.join("a.db");
    fine(&["create", text(&file)], &data)?;
    Ok((data, file))
}

#[tokio::test]
async fn a_backup_without_a_name_gets_one_with_the_time_and_says_what_it_holds() -> Result<()> {
    let hive = Hive::start().await?;
    hive.submit(&json!({"title": "t"})).await?;
    let created = fine(&["create"], hive.folder())?;
    let path = PathBuf::from(created["path"].as_str().context("a path")?);
    assert_eq!(path.parent(), Some(hive.folder().join("backups").as_path()));
    let mode = |path: &Path| std::fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
    assert_eq!((mode(&path)?, mode(&hive.folder().join("backups"))?), (0o600, 0o700));
    assert_eq!((&created["task_count"], &created["tasks"]), (&json!(1), &json!({"queued": 1})));
    assert_eq!(created["last_seq"], hive.get("/api/v2/system").await?["log"]["last_seq"]);
    assert_eq!(created["bytes"], json!(std::fs::metadata(&path)?.len()));
    let sum = Command::new("sha256sum").arg(&path).output()?;
    let sum = String::from_utf8(sum.stdout)?;
    assert_eq!(sum.split(' ').next(), created["sha256"].as_str(), "as sha256sum tells it");
    let verified = fine(&["verify", text(&path)], hive.folder())?;
    assert_eq!(verified["sha256"], created["sha256"]);
    let (code, out, err) = backup(&["create"], hive.folder())?;
    assert_eq!((code, err.as_str()), (0, ""));
    for word in ["path", "bytes", "sha256", "last event", "tasks", "took_ms"] {
        assert!(out.contains(word), "{word} in {out}");
    }
    let shell = Command::new("sqlite3").arg(&path).arg("SELECT count(*) FROM tasks").output()?;
    assert_eq!(String::from_utf8(shell.stdout)?.trim(), "1", "it is a database for sqlite3 as well");
    Ok(())
}

#[tokio::test]
async fn every_flipped_byte_and_every_cut_is_found_by_verify() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (data, file) = rested(place.path()).await?;
    let whole = std::fs::read(&file)?;
    let broken = place.path().join("broken.db");
    let ends = [0, 20, 100, whole.len() / 3, whole.len() / 2, whole.len() - 600, whole.len() - 95];
    let behind = (1..=90).step_by(7).map(|back| whole.len() - back);
    for at in ends.into_iter().chain(behind) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&broken, bytes)?;
        let (code, _, err) = backup(&["verify", text(&broken)], &data)?;
        assert_eq!(code, 74, "byte {at} of {} was flipped: {err}", whole.len());
        assert!(err.contains("broken.db") && !err.contains("panicked"), "{err}");
    }
    for length in [0, 1, 89, 4_096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&broken, &whole[..length])?;
        let (code, _, err) = backup(&["verify", text(&broken)], &data)?;
        assert_eq!(code, 74, "cut to {length}: {err}");
        assert!(err.contains("no whole backup") || err.contains("no backup"), "{err}");
    }
    for other in ["Cargo.toml", "Cargo.lock"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(other);
        let (code, _, err) = backup(&["verify", text(&path)], &data)?;
        assert_eq!(code, 74);
        assert!(err.contains("is no backup of a hive"), "{err}");
    }
    let (code, _, err) = backup(&["verify", text(&data.join("hive.db"))], &data)?;
    assert_eq!(code, 74);
    assert!(err.contains("begins as a database") && err.contains("did not make it"), "{err}");
    let (code, _, err) = backup(&["verify", "/nowhere/x.db"], &data)?;
    assert!(code == 74 && err.contains("/nowhere/x.db"), "{err}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_overwritten_by_a_backup_or_a_restore() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (data, file) = rested(place.path()).await?;
    let before = std::fs::read(&file)?;
    let (code, _, err) = backup(&["create", text(&file)], &data)?;
    assert!(code == 6 && err.contains("is there already"), "{code} {err}");
    assert_eq!(std::fs::read(&file)?, before);

    let mut hive = Hive::start_with(Options::default().folder(&data)).await?;
    let later = hive.submit(&json!({"title": "later"})).await?;
    let (code, _, err) = backup(&["restore", text(&file), "--force"], &data)?;
    assert!(
        code == 74 && err.contains("in use by another hive") && err.contains("stop it first"),
        "{code} {err}"
    );
    hive.kill()?;
    let (code, _, err) = backup(&["restore", text(&file)], &data)?;
    assert!(code == 6 && err.contains("--force moves it aside"), "{code} {err}");
    let token = std::fs::read(data.join("admin.token"))?;
    let restored = fine(&["restore", text(&file), "--force"], &data)?;
    assert_eq!(std::fs::read(data.join("admin.token"))?, token, "the token stays");
    let hive = Hive::start_with(Options::default().folder(&data)).await?;
    assert!(!ranks(&hive).await?.contains_key(&later), "it is as it was at the backup");
    drop(hive);
    // What was there before is a database that works, with what only its log had.
    let aside = PathBuf::from(restored["set_aside"].as_str().context("a folder")?);
    assert_eq!(aside.parent(), Some(data.as_path()));
    let hive = Hive::start_with(Options::default().folder(&aside)).await?;
    assert!(ranks(&hive).await?.contains_key(&later), "nothing of the replaced database is lost");
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_damaged_is_moved_aside_with_its_log() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (data, file) = rested(place.path()).await?;
    std::fs::write(data.join("hive.db"), "rubble".repeat(1_000))?;
    std::fs::write(data.join("hive.db-wal"), "more rubble")?;
    let (code, _, err) = backup(&["create"], &data)?;
    assert!(code == 74 && err.contains("hive.db"), "rubble cannot be backed up: {err}");
    assert_eq!(std::fs::read_dir(data.join("backups"))?.count(), 0, "and leaves no file");
    let restored = fine(&["restore", text(&file), "--force"], &data)?;
    let aside = PathBuf::from(restored["set_aside"].as_str().context("a folder")?);
    assert_eq!(std::fs::read(aside.join("hive.db"))?, "rubble".repeat(1_000).as_bytes());
    assert_eq!(std::fs::read(aside.join("hive.db-wal"))?, b"more rubble");
    assert!(!data.join("hive.db-wal").exists(), "a log of another database is not left beside the new one");
    let hive = Hive::start_with(Options::default().folder(&data)).await?;
    assert_eq!(ranks(&hive).await?.len(), 20);
    Ok(())
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored_and_the_folder_stays_as_it_was() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (data, file) = rested(place.path()).await?;
    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes)?;
    let before = std::fs::read(data.join("hive.db"))?;
    let other = place.path().join("other");
    for (folder, words) in
        [(&data, &["restore", text(&file), "--force"][..]), (&other, &["restore", text(&file)])]
    {
        let (code, _, err) = backup(words, folder)?;
        assert!(code == 74 && err.contains("is damaged"), "{code} {err}");
    }
    assert_eq!(std::fs::read(data.join("hive.db"))?, before);
    assert!(!other.exists(), "nothing is made for it either");
    Ok(())
}

#[tokio::test]
async fn a_folder_without_a_hive_has_nothing_to_back_up_and_stays_so() -> Result<()> {
    let place = tempfile::tempdir()?;
    let none = place.path().join("none");
    let (code, _, err) = backup(&["create"], &none)?;
    assert!(code == 74 && err.contains("there is no database"), "{code} {err}");
    assert!(!none.exists());
    Ok(())
}

#[tokio::test]
async fn slow_a_kill_during_create_leaves_nothing_under_the_final_name_and_the_next_one_clears_up()
-> Result<()> {
    let place = tempfile::tempdir()?;
    let hive = Hive::start_with(Options::default().folder(&place.path().join("data"))).await?;
    // Some tens of megabytes, so that a backup takes a while.
    let input = "x".repeat(900_000);
    for _ in 0..60 {
        hive.submit(&json!({"title": "large", "input": input})).await?;
    }
    let folder = place.path().join("kept");
    std::fs::create_dir(&folder)?;
    let listed = || -> Result<Vec<String>> {
        let names =
            std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    };
    let mut drafts_seen = 0;
    for number in 0..8_u64 {
        let file = folder.join(format!("{number}.db"));
        let mut child = command(&["create", text(&file)], hive.folder()).stdout(Stdio::null()).spawn()?;
        let began = Instant::now();
        // Its own draft: those of the dead before it are still there.
        let own = format!(".{}.hive-draft", child.id());
        while !listed()?.iter().any(|name| name.ends_with(&own)) && !file.exists() {
            ensure!(began.elapsed() < tests::PATIENCE, "neither a draft nor a backup came");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(number * 4));
        child.kill()?;
        child.wait()?;
        if file.exists() {
            fine(&["verify", text(&file)], hive.folder()).context("what has its final name is whole")?;
            std::fs::remove_file(&file)?;
        } else {
            drafts_seen += 1;
            assert!(listed()?.iter().all(|name| name.ends_with("hive-draft") || name.ends_with("-journal")));
        }
    }
    ensure!(drafts_seen > 0, "no kill came in time");
    let file = folder.join("last.db");
    fine(&["create", text(&file)], hive.folder())?;
    assert_eq!(listed()?, ["last.db"], "what the dead left is gone");
    fine(&["verify", text(&file)], hive.folder())?;
    Ok(())
}

#[tokio::test]
async fn after_a_restore_attempts_of_processes_are_crashed_and_workers_keep_their_leases() -> Result<()> {
    let place = tempfile::tempdir()?;
    let options = Options::default();
    let hive = Hive::start_with(options.clone().folder(&place.path().join("data"))).await?;
    hive.command_agent("runner", 1, json!({"command": ["sh", "-c", "sleep 600"]})).await?;
    let worker = hive.agent("worker", &["hands"], 1).await?;
    let run = hive.submit(&json!({"title": "run", "requires": ["runner"]})).await?;
    let held = hive.submit(&json!({"title": "held", "requires": ["hands"]})).await?;
    ensure!(hive.lease(&worker, 1, 5_000).await?.len() == 1);
    hive.task_when(&run, |task| task["state"] == "working").await?;
    let file = place.path().join("a.db");
    fine(&["create", text(&file)], hive.folder())?;
    drop(hive);
    let other = place.path().join("other");
    fine(&["restore", text(&file)], &other)?;
    let hive = Hive::start_with(options.folder(&other)).await?;
    let path = format!("/api/v2/tasks/{run}/attempts");
    let attempts = hive.until(&path, |found| found["items"][0].is_object()).await?;
    let crashed = |attempt: &Value| attempt["attempt"] == 1 && attempt["outcome"] == "crashed";
    let items = attempts["items"].as_array().context("attempts")?;
    assert!(items.iter().any(crashed), "{attempts:#}");
    let done = json!({"attempt": 1, "result": "kept"});
    hive.post(&format!("/api/v2/tasks/{held}/complete"), &done, 200).await?;
    Ok(())
}
