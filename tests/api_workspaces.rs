//! Workspaces over HTTP: listed, cleaned up, shown with their attempts. What runs in them is told elsewhere.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use tests::Hive;

use crate::cli::{fine, run};

/// Runs git in a folder, as nobody in particular.
fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@t"]).args(arguments);
    let output = command.output()?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A repository with one commit.
pub(crate) fn repository(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    git(folder, &["init", "-q", "-b", "main"])?;
    std::fs::write(folder.join("README"), "hello\n")?;
    git(folder, &["add", "."])?;
    git(folder, &["commit", "-q", "-m", "first"])
}

/// A hive with a worktree that has uncommitted work, and one that is clean and kept all the same.
pub(crate) async fn worktrees(folder: &Path) -> Result<(Hive, String, String)> {
    let repository_path = folder.join("repo");
    repository(&repository_path)?;
    let hive = Hive::start().await?;
    let link = |script: &str| {
        json!({"kind": "process", "command": ["sh", "-c", script], "workspace": {
            "kind": "git_worktree", "repository": repository_path, "keep": "always"}})
    };
    let mut tasks = Vec::new();
    for (name, script) in [("writer", "cat >/dev/null; echo new >file"), ("reader", "cat README")] {
        let agent = json!({"name": name, "capabilities": [name], "link": link(script)});
        hive.post("/api/v2/agents", &agent, 201).await?;
        let task = hive.submit(&json!({"title": "t", "requires": [name]})).await?;
        let task_ended = hive.task_ended(&task).await?;
        ensure!(task_ended["state"] == "completed", "{task_ended:#}");
        tasks.push(task);
    }
    let [dirty, clean] = tasks.try_into().map_err(|_| anyhow::anyhow!("two tasks"))?;
    Ok((hive, dirty, clean))
}

fn of<'a>(list: &'a Value, task: &str) -> Result<&'a Value> {
    let items = list["items"].as_array().context("items")?;
    items.iter().find(|item| item["task_id"] == task).with_context(|| format!("{task} in {list}"))
}

#[tokio::test]
async fn without_any_there_is_nothing_to_list_or_to_remove() -> Result<()> {
    let hive = Hive::start().await?;
    assert_eq!(hive.get("/api/v2/workspaces").await?, json!({"items": []}));
    assert_eq!(hive.post("/api/v2/workspaces/prune", &json!({}), 200).await?, json!({"items": []}));
    let bare = hive.request(Method::POST, "/api/v2/workspaces/prune").send().await?;
    assert_eq!(bare.status(), 200, "the body may be missing");
    let problem = hive.post("/api/v2/workspaces/prune", &json!({"forse": true}), 422).await?;
    assert_eq!(problem["errors"][0]["field"], "forse");
    let (out, err) = fine(&hive, &["workspace", "list"])?;
    assert_eq!((out.as_str(), err.as_str()), ("", "no workspaces\n"));
    Ok(())
}

#[tokio::test]
async fn a_workspace_is_listed_with_its_condition_and_goes_when_it_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (hive, dirty, clean) = worktrees(folder.path()).await?;
    let list = hive.get("/api/v2/workspaces").await?;
    let (wild, calm) = (of(&list, &dirty)?, of(&list, &clean)?);
    assert_eq!(
        (&wild["agent"], &wild["clean"], &wild["in_use"]),
        (&json!("writer"), &json!(false), &json!(false))
    );
    assert_eq!((&wild["files_changed"], &wild["attempt"]), (&json!(1), &json!(1)));
    assert_eq!((&calm["clean"], &calm["files_changed"]), (&json!(true), &json!(0)));
    let attempts = hive.attempts(&dirty).await?;
    let shown = &attempts[0]["workspace"];
    for field in ["path", "branch", "base", "head", "files_changed"] {
        assert_eq!(shown[field], wild[field], "{field} of {shown}");
    }
    assert_eq!(shown["kept"], true);
    assert!(shown["diff"].as_str().context("a diff")?.contains("+new"), "{shown}");

    let pruned = hive.post("/api/v2/workspaces/prune", &json!({}), 200).await?;
    let (wild, calm) = (of(&pruned, &dirty)?, of(&pruned, &clean)?);
    assert_eq!((&calm["removed"], &calm["kept_because"]), (&json!(true), &Value::Null));
    assert_eq!(wild["removed"], false);
    assert!(wild["kept_because"].is_string(), "{wild}");
    assert!(Path::new(wild["path"].as_str().context("a path")?).exists());
    assert!(!Path::new(calm["path"].as_str().context("a path")?).exists());
    let forced = hive.post("/api/v2/workspaces/prune", &json!({"force": true}), 200).await?;
    assert_eq!(of(&forced, &dirty)?["removed"], true);
    assert_eq!(hive.get("/api/v2/workspaces").await?, json!({"items": []}));
    Ok(())
}

#[tokio::test]
async fn the_command_line_lists_them_shows_them_with_their_task_and_says_what_went_and_why_not() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let (hive, dirty, clean) = worktrees(folder.path()).await?;
    let row =
        |out: &str, task: &str| out.lines().find(|line| line.contains(task)).unwrap_or_default().to_owned();
    let (out, err) = fine(&hive, &["workspace", "list"])?;
    assert_eq!((out.lines().count(), err.as_str()), (3, ""), "{out}");
    assert!(row(&out, &dirty).contains("uncommitted") && row(&out, &clean).contains("clean"), "{out}");
    let (out, _) = fine(&hive, &["task", "show", &dirty])?;
    for part in ["BRANCH", "hive/", "bytes", "yes", "of CPU"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    let listed = run(crate::cli::at(&hive, &["workspace", "list", "--json"]))?.out;
    assert_eq!(listed, crate::cli::answered(&hive, "/api/v2/workspaces").await? + "\n");
    let (out, err) = fine(&hive, &["workspace", "prune"])?;
    assert!(row(&out, &clean).starts_with("removed") && row(&out, &dirty).starts_with("kept"), "{out}");
    assert!(err.contains("1 workspace removed"), "{err}");
    let (out, err) = fine(&hive, &["workspace", "prune", "--force"])?;
    assert!(row(&out, &dirty).starts_with("removed") && err.contains("1 workspace removed"), "{out}{err}");
    Ok(())
}
