//! The disk fills up, becomes read-only, or holds a database of tomorrow: refusals, no losses, clear words.
//!
//! Needs to be root (mount) and `sqlite3`; the mounts are small and gone when a test ends, however it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::watcher::Watcher;
use tests::{Hive, Options, program};

/// A file system in memory that is unmounted when it is dropped. Declare it before the hive that lives on it.
struct Tmpfs {
    folder: PathBuf,
    _own: tempfile::TempDir,
}

impl Tmpfs {
    fn mount(bytes: u32) -> Result<Self> {
        let own = tempfile::tempdir()?;
        let folder = own.path().join("data");
        std::fs::create_dir(&folder)?;
        let size = format!("size={bytes},mode=700");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs"], &folder)
            .context("this test mounts a small tmpfs: run it as root (in a container: with CAP_SYS_ADMIN)")?;
        Ok(Self { folder, _own: own })
    }

    fn remount(&self, mode: &str) -> Result<()> {
        run("mount", &["-o", &format!("remount,{mode}")], &self.folder)
    }

    /// A file that takes up space.
    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that ends just now may still hold a file.
        let _ = run("umount", &["-l"], &self.folder);
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<()> {
    let output = Command::new(program).args(arguments).arg(folder).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?} ended with {}: {said}", output.status);
    Ok(())
}

/// Runs `hive serve` on a folder on which it cannot serve, until it ends.
fn serve(folder: &Path) -> Result<Output> {
    let mut command = Command::new(program());
    command.args(["serve", "--bind", "127.0.0.1:0", "--data-dir"]).arg(folder).stdin(Stdio::null());
    Ok(command.output()?)
}

/// Ids of all stored tasks, page by page.
async fn stored(hive: &Hive) -> Result<Vec<String>> {
    let (mut ids, mut query) = (Vec::new(), "limit=200".to_owned());
    loop {
        let page = hive.get(&format!("/api/v2/tasks?{query}")).await?;
        let items = page["items"].as_array().context("items")?;
        ids.extend(items.iter().filter_map(|task| Some(task["id"].as_str()?.to_owned())));
        let Some(cursor) = page["next_cursor"].as_str() else { return Ok(ids) };
        ensure!(ids.len() < 10_000, "the pages have no end");
        query = format!("limit=200&cursor={cursor}");
    }
}

/// Submits; answers the id of a 201, nothing for a 503 that says what it should.
async fn try_submit(hive: &Hive, input: &str) -> Result<Option<String>> {
    let request = hive.request(Method::POST, "/api/v2/tasks").json(&json!({"title": "t", "input": input}));
    let answer = request.send().await?;
    let (status, has_hint) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await?;
    if status == 201 {
        return Ok(Some(body["id"].as_str().context("an id")?.to_owned()));
    }
    ensure!(status == 503 && has_hint && body["code"] == "store_unavailable", "{status}: {body}");
    Ok(None)
}

#[tokio::test]
async fn a_full_disk_refuses_submits_loses_nothing_and_is_well_again_when_there_is_room() -> Result<()> {
    let disk = Tmpfs::mount(8 << 20)?;
    let options = Options::default().folder(&disk.folder);
    let hive = Hive::start_with(options.clone()).await?;
    std::fs::write(disk.filler(), vec![7; 4 << 20])?;
    let input = "x".repeat(50_000);
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    while refused < 20 {
        match try_submit(&hive, &input).await? {
            Some(id) => acknowledged.push(id),
            None => refused += 1,
        }
        ensure!(acknowledged.len() < 1_000, "8 MiB do not get full");
    }
    ensure!(acknowledged.len() > 5, "too little was accepted to prove anything: {}", acknowledged.len());
    for path in ["tasks", "system", "events", "queues", "agents", "system/actors"] {
        hive.get(&format!("/api/v2/{path}")).await.context("a read while the disk is full")?;
    }
    let first = hive.get(&format!("/api/v2/tasks/{}", acknowledged[0])).await?;
    assert_eq!(first["input"], json!(input), "what is stored can be read");
    let health: Value = reqwest::get(format!("{}/health", hive.url)).await?.json().await?;
    assert_eq!(health["components"]["database"]["status"], "healthy", "it answers reads: {health}");

    std::fs::remove_file(disk.filler())?;
    let began = Instant::now();
    loop {
        if let Some(id) = try_submit(&hive, &input).await? {
            acknowledged.push(id);
            break;
        }
        ensure!(began.elapsed() < tests::PATIENCE, "there is room and nothing is accepted:\n{}", hive.log());
    }
    for _ in 0..5 {
        acknowledged.push(try_submit(&hive, &input).await?.context("accepted again, and then refused")?);
    }
    acknowledged.reverse();
    assert_eq!(stored(&hive).await?, acknowledged, "all that was acknowledged and nothing that was refused");
    drop(hive);
    let hive = Hive::start_with(options).await?;
    assert_eq!(stored(&hive).await?, acknowledged, "after a kill as well");
    Ok(())
}

#[tokio::test]
async fn a_disk_of_which_less_than_a_twentieth_is_free_is_alerted() -> Result<()> {
    let disk = Tmpfs::mount(64 << 20)?;
    let hive = Hive::start_with(Options::default().folder(&disk.folder)).await?;
    let mut watcher = Watcher::connect(&hive, "system").await?;
    watcher.of_type("dashboard_initialized").await?;
    std::fs::write(disk.filler(), vec![7; 61 << 20])?;
    let raised = watcher.of_type("critical_alert").await?;
    ensure!(raised["data"]["alerts"][0]["level"] == "critical", "{raised}");
    ensure!(raised.to_string().contains("disk_nearly_full"), "{raised}");
    std::fs::remove_file(disk.filler())?;
    let over = watcher.of_type("critical_alert").await?;
    ensure!(over["data"]["alerts"][0]["level"] == "resolved", "{over}");
    Ok(())
}

#[tokio::test]
async fn work_under_way_outlasts_a_full_disk() -> Result<()> {
    let disk = Tmpfs::mount(8 << 20)?;
    let hive = Hive::start_with(Options::default().folder(&disk.folder)).await?;
    let agent = hive.agent("steady", &[], 5).await?;
    let id = hive.submit(&json!({"title": "held"})).await?;
    ensure!(hive.lease(&agent, 1, 30_000).await?.len() == 1);
    // Fills what is left, to the last byte.
    std::fs::write(disk.filler(), vec![7; 16 << 20]).expect_err("16 MiB do not fit in 8");
    let path = format!("/api/v2/tasks/{id}/complete");
    let report = json!({"attempt": 1, "result": "x".repeat(200_000)});
    let answer = hive.request(Method::POST, &path).json(&report).send().await?;
    let status = answer.status();
    let body: Value = answer.json().await?;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("store_unavailable")), "{body}");
    assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["state"], "working");
    std::fs::remove_file(disk.filler())?;
    let began = Instant::now();
    while hive.request(Method::POST, &path).json(&report).send().await?.status() != 200 {
        ensure!(began.elapsed() < tests::PATIENCE, "the report is not taken:\n{}", hive.log());
    }
    let shown = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    assert_eq!((&shown["state"], &shown["attempt"]), (&json!("completed"), &json!(1)));
    let attempts = hive.get(&format!("/api/v2/tasks/{id}/attempts")).await?;
    assert_eq!(attempts["items"].as_array().map(Vec::len), Some(1), "once");
    Ok(())
}

#[tokio::test]
async fn a_read_only_disk_ends_a_start_in_clear_words_and_does_no_harm() -> Result<()> {
    let disk = Tmpfs::mount(8 << 20)?;
    let options = Options::default().folder(&disk.folder);
    let mut hive = Hive::start_with(options.clone()).await?;
    let id = hive.submit(&json!({"title": "kept"})).await?;
    hive.kill()?;
    disk.remount("ro")?;
    let output = serve(&disk.folder)?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(
        said.contains("Read-only file system") && said.contains(&*disk.folder.to_string_lossy()),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    disk.remount("rw")?;
    let hive = Hive::start_with(options).await?;
    assert_eq!(stored(&hive).await?, [id]);
    assert!(try_submit(&hive, "again").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_hive_is_refused_and_left_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("data");
    let options = Options::default().folder(&folder);
    let mut hive = Hive::start_with(options.clone()).await?;
    let id = hive.submit(&json!({"title": "kept"})).await?;
    hive.terminate().await?;
    let database = std::fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|end| end == "db"))
        .context("a database")?;
    let alter = |sql: &str| -> Result<()> {
        let output = Command::new("sqlite3").arg(&database).arg(sql).output();
        let output = output.context("install sqlite3: this test writes into a database with it")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    alter(
        "INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('29990101000000', '2999-01-01')",
    )?;
    let output = serve(&folder)?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(74), "{said}");
    let words = "hive: the database was written by a newer hive (it has migration 29990101000000, this program knows up to";
    assert!(said.contains(words), "{said}");
    assert!(said.contains("use the newer hive") && !said.contains("panicked"), "{said}");
    alter("DELETE FROM __diesel_schema_migrations WHERE version = '29990101000000'")?;
    let hive = Hive::start_with(options).await?;
    assert_eq!(stored(&hive).await?, [id], "it is as it was");
    Ok(())
}

#[tokio::test]
async fn a_backup_that_does_not_fit_is_refused_with_both_numbers_and_leaves_no_file() -> Result<()> {
    let disk = Tmpfs::mount(4 << 20)?;
    let hive = Hive::start().await?;
    for _ in 0..8 {
        try_submit(&hive, &"x".repeat(900_000)).await?.context("there is room for tasks")?;
    }
    let create = |command: &mut Command| -> Result<Output> {
        command.args(["backup", "create", "--data-dir"]).arg(hive.folder()).arg(disk.folder.join("x.db"));
        Ok(command.stdin(Stdio::null()).output()?)
    };
    let output = create(&mut Command::new(program()))?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(74), "{said}");
    assert!(said.contains("too little room in") && said.contains("bytes are free"), "{said}");
    assert_eq!(std::fs::read_dir(&disk.folder)?.count(), 0);
    assert!(try_submit(&hive, "more").await?.is_some(), "the hive goes on");
    Ok(())
}
