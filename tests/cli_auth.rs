//! `hive auth key …` over the real program, and keys across restarts.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::{Hive, Options};

use crate::cli::{at, fine, run};

const KEYS: &str = "/api/v2/auth/keys";

/// What a command with this token instead of the admin's leaves.
fn with(hive: &Hive, token: &str, arguments: &[&str]) -> Result<crate::cli::Told> {
    let mut command = at(hive, arguments);
    command.env("HIVE_TOKEN", token);
    run(command)
}

#[tokio::test]
async fn create_prints_the_key_alone_and_it_opens_what_its_role_may() -> Result<()> {
    let hive = Hive::start().await?;
    let (out, err) =
        fine(&hive, &["auth", "key", "create", "ci", "--role", "developer", "--expires-in", "90d"])?;
    let key = out.trim_end();
    assert!(key.starts_with("hive_") && key.len() == 57 && out.lines().count() == 1, "{out}");
    assert!(err.contains("developer") && err.contains("until 20") && !err.contains(key), "{err}");
    assert_eq!(with(&hive, key, &["task", "submit", "t"])?.code, 0);
    let refused = with(&hive, key, &["queue", "pause", "default"])?;
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(
        refused.err.contains("admin or operator") && refused.err.contains("yours is developer"),
        "{}",
        refused.err
    );
    assert_eq!(with(&hive, key, &["auth", "key", "list"])?.code, 4);
    let (listed, _) = fine(&hive, &["auth", "key", "list"])?;
    assert!(listed.contains("ci") && listed.contains(&key[..11]) && !listed.contains(key), "{listed}");
    let tasks = hive.get("/api/v2/tasks").await?;
    assert_eq!(tasks["items"][0]["created_by"], "ci");
    fine(&hive, &["auth", "key", "remove", "ci"])?;
    assert_eq!(with(&hive, key, &["task", "list"])?.code, 4, "it opens nothing any more");
    let gone = run(at(&hive, &["auth", "key", "remove", "ci"]))?;
    assert!(gone.code == 5 && gone.err.contains("no API key is called"), "{}", gone.err);
    Ok(())
}

#[tokio::test]
async fn the_key_of_an_agent_names_it_and_flags_that_do_not_go_together_are_refused() -> Result<()> {
    let hive = Hive::start().await?;
    fine(&hive, &["agent", "add", "words"])?;
    let (out, _) =
        fine(&hive, &["auth", "key", "create", "w", "--role", "agent", "--agent", "words", "--json"])?;
    let made: Value = serde_json::from_str(&out)?;
    let agents = hive.get("/api/v2/agents").await?;
    assert_eq!(made["agent_id"], agents["items"][0]["id"]);
    let key = made["key"].as_str().context("a key")?;
    assert_eq!(with(&hive, key, &["task", "list"])?.code, 4);
    for bad in [
        &["w2", "--role", "agent"][..],
        &["w2", "--role", "viewer", "--agent", "words"],
        &["w2", "--role", "king"],
        &["w2", "--role", "viewer", "--expires-in", "90"],
        &["w2"],
    ] {
        let told = run(at(&hive, &[&["auth", "key", "create"], bad].concat()))?;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{bad:?}: {}", told.err);
    }
    let reserved = run(at(&hive, &["auth", "key", "create", "admin", "--role", "viewer"]))?;
    assert_eq!(reserved.code, 8, "{}", reserved.err);
    Ok(())
}

#[tokio::test]
async fn keys_outlive_a_crash_and_so_do_their_removals_and_no_file_in_the_folder_holds_one() -> Result<()> {
    let home = tempfile::tempdir()?;
    let folder = home.path().join("data");
    let options = || Options::default().folder(&folder);
    let hive = Hive::start_with(options()).await?;
    let mut keys = Vec::new();
    for name in ["stays", "goes"] {
        let made = hive.post(KEYS, &json!({"name": name, "role": "viewer"}), 201).await?;
        keys.push((made["key"].as_str().context("a key")?.to_owned(), made["id"].clone()));
    }
    fine(&hive, &["auth", "key", "remove", keys[1].1.as_str().context("an id")?])?;
    drop(hive);
    let hive = Hive::start_with(options()).await?;
    assert_eq!(with(&hive, &keys[0].0, &["task", "list"])?.code, 0);
    assert_eq!(with(&hive, &keys[1].0, &["task", "list"])?.code, 4);
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.is_file() {
            let bytes = std::fs::read(&path)?;
            for (key, _) in &keys {
                let is_in = bytes.windows(key.len()).any(|window| window == key.as_bytes());
                assert!(!is_in, "{} holds a key", path.display());
            }
        }
    }
    Ok(())
}
