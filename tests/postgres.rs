//! A hive whose database is a PostgreSQL server: the real program, killed and started again.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;
use tests::database::schema as database;
use tests::{Hive, Options, program};

/// A command of the hive about its own surroundings, with this database: exit code and what it wrote.
fn local(url: &str, hive: &Hive, arguments: &[&str]) -> Result<(i32, String)> {
    let output = Command::new(program())
        .args(arguments)
        .arg("--data-dir")
        .arg(hive.folder())
        .env("HIVE__DATABASE__URL", url)
        .output()?;
    let code = output.status.code().context("ended by a signal")?;
    Ok((code, String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?))
}

#[tokio::test]
async fn a_hive_on_postgresql_goes_on_after_a_kill_where_it_was() -> Result<()> {
    let url = database("killed")?;
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data")).set("HIVE__DATABASE__URL", &url);
    let mut hive = Hive::start_with(options.clone()).await?;
    assert_eq!(hive.get("/api/v2/system").await?["database"], "postgresql");
    let agent = hive.agent("ada", &[], 1).await?;
    let done = hive.submit(&json!({"title": "done", "input": {"n": 1}})).await?;
    let waits = hive.submit(&json!({"title": "waits"})).await?;
    let leased = hive.lease(&agent, 1, 5_000).await?;
    assert_eq!(leased[0]["task_id"], done.as_str());
    let report = json!({"attempt": 1, "result": {"ok": true}});
    hive.post(&format!("/api/v2/tasks/{done}/complete"), &report, 200).await?;
    hive.kill()?;
    assert!(!hive.folder().join("hive.db").exists(), "nothing of it is in the folder");
    let hive = Hive::start_with(options).await?;
    assert_eq!(hive.get(&format!("/api/v2/tasks/{done}")).await?["result"], json!({"ok": true}));
    let leased = hive.lease(&agent, 1, 5_000).await?;
    assert_eq!(leased[0]["task_id"], waits.as_str());
    Ok(())
}

#[tokio::test]
async fn a_second_hive_on_the_same_database_is_refused_and_says_why() -> Result<()> {
    let url = database("second")?;
    let options = Options::default().set("HIVE__DATABASE__URL", &url);
    let _first = Hive::start_with(options.clone()).await?;
    let Err(refused) = Hive::start_with(options).await else { anyhow::bail!("two hives serve") };
    let said = refused.to_string();
    assert!(said.contains("node number 0 of this database is in use by another hive"), "{said}");
    assert!(said.contains("--database-url"), "{said}");
    Ok(())
}

#[tokio::test]
async fn doctor_looks_at_the_server_and_backup_names_what_to_use_instead() -> Result<()> {
    let url = database("looked_at")?;
    let hive = Hive::start_with(Options::default().set("HIVE__DATABASE__URL", &url)).await?;
    let (_, said) = local(&url, &hive, &["doctor"])?;
    assert!(said.contains("PostgreSQL 1") && said.contains("last event "), "{said}");
    let (code, said) = local(&url, &hive, &["backup", "create"])?;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("pg_dump --format=custom"), "{said}");
    let (_, said) = local("postgresql://me:hunter2@127.0.0.1:1/hive", &hive, &["doctor"])?;
    assert!(said.contains("problem") && said.contains("database.url") && !said.contains("hunter2"), "{said}");
    let (_, said) = local("postgresql://me:hunter2@127.0.0.1:1/hive", &hive, &["config", "show"])?;
    assert!(said.contains("postgresql://me:…@127.0.0.1:1/hive"), "{said}");
    Ok(())
}
