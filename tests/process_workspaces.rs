//! Workspaces end to end: a worktree for each attempt, reported, kept, listed and pruned.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use domain::{Keep, ProcessLink, Workspace};
use links::Why;
use serde_json::{Value, json};
use tests::{Hive, PATIENCE, cli};

use crate::process_guard::{Rig, failure, rest};

fn git(folder: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@example.invalid"]).args(words);
    let output = command.output()?;
    ensure!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A repository with one commit.
fn repository() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    git(folder.path(), &["init", "-q", "-b", "main"])?;
    std::fs::write(folder.path().join("README"), "hello\n")?;
    git(folder.path(), &["add", "-A"])?;
    git(folder.path(), &["commit", "-q", "-m", "first"])?;
    Ok(folder)
}

async fn worktree_agent(hive: &Hive, repository: &Path, capacity: u32) -> Result<String> {
    let workspace = json!({"kind": "git_worktree", "repository": repository});
    hive.command_agent("git", capacity, json!({"preset": "shell", "workspace": workspace})).await
}

#[tokio::test]
async fn an_attempt_works_in_its_own_worktree_and_reports_what_it_changed() -> Result<()> {
    let (hive, repo) = (Hive::start().await?, repository()?);
    worktree_agent(&hive, repo.path(), 1).await?;
    let base = git(repo.path(), &["rev-parse", "HEAD"])?;
    let id = hive
        .ask("git", "echo changed >> README; echo new > new.txt; pwd; git rev-parse --show-toplevel")
        .await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!(task["state"], "completed", "{task:#}");
    let attempt = &hive.attempts(&id).await?[0];
    let report = &attempt["workspace"];
    let path = report["path"].as_str().context("a path")?;
    assert_eq!(task["result"]["text"], json!(format!("{path}\n{path}")));
    assert_eq!((&report["base"], &report["head"]), (&json!(base), &json!(base)));
    assert_eq!((&report["files_changed"], &report["kept"]), (&json!(2), &json!(true)), "{report:#}");
    assert_eq!(report["branch"], json!(format!("hive/{id}-1")));
    let diff = report["diff"].as_str().context("a diff")?;
    assert!(diff.contains("+changed") && diff.contains("+new"), "{diff}");
    assert_eq!(git(repo.path(), &["status", "--porcelain"])?, "", "the repository itself is untouched");
    assert_eq!(std::fs::read_to_string(Path::new(path).join("new.txt"))?, "new\n");
    let (_, shown, _) = cli(&hive, &["task", "show", &id])?;
    assert!(shown.contains(path) && shown.contains(&format!("hive/{id}-1")), "{shown}");
    Ok(())
}

#[tokio::test]
async fn a_secret_that_was_written_into_a_file_does_not_show_in_the_diff() -> Result<()> {
    let (hive, repo) = (Hive::start().await?, repository()?);
    let workspace = json!({"kind": "git_worktree", "repository": repo.path()});
    let link = json!({"preset": "shell", "workspace": workspace, "env": {"API_KEY": "hunter2-very-secret"}});
    hive.command_agent("git", 1, link).await?;
    let id = hive.ask("git", r#"echo "key = $API_KEY" > config"#).await?;
    hive.task_ended(&id).await?;
    let report = hive.attempts(&id).await?[0]["workspace"].to_string();
    assert!(report.contains("+key = ***") && !report.contains("hunter2"), "{report}");
    Ok(())
}

#[tokio::test]
async fn attempts_never_share_a_worktree_and_each_begins_from_the_commit_of_its_start() -> Result<()> {
    let (hive, repo) = (Hive::start().await?, repository()?);
    worktree_agent(&hive, repo.path(), 4).await?;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(
            hive.ask(
                "git",
                &format!("test $HIVE_ATTEMPT = 2 || {{ echo {number} > mine; exit 1; }}; ls; pwd"),
            )
            .await?,
        );
    }
    let mut paths = HashSet::new();
    for id in &ids {
        let task = hive.task_ended(id).await?;
        let text = task["result"]["text"].as_str().context("a text")?.to_owned();
        assert!(text.starts_with("README\n/"), "nothing of the first attempt: {text}");
        for attempt in hive.attempts(id).await? {
            let path = attempt["workspace"]["path"].as_str().context("a path")?.to_owned();
            assert!(paths.insert(path), "{attempt:#}");
        }
    }
    assert_eq!(paths.len(), 16);
    Ok(())
}

#[tokio::test]
async fn uncommitted_work_stays_until_somebody_insists() -> Result<()> {
    let (hive, repo) = (Hive::start().await?, repository()?);
    worktree_agent(&hive, repo.path(), 1).await?;
    let nothing = hive.ask("git", "true").await?;
    let edits = hive.ask("git", "echo precious > work.txt").await?;
    let commit = "git -c user.name=a -c user.email=a@example.invalid";
    let commits = hive.ask("git", &format!("echo c > c; git add c; {commit} commit -q -m work")).await?;
    let mut reports = Vec::new();
    for id in [&nothing, &edits, &commits] {
        let task = hive.task_ended(id).await?;
        assert_eq!(task["state"], "completed", "{task:#}");
        reports.push(hive.attempts(id).await?[0]["workspace"].clone());
    }
    let kept: Vec<bool> = reports.iter().map(|report| report["kept"] == true).collect();
    assert_eq!(kept, [false, true, true], "{reports:#?}");
    assert_ne!(reports[2]["head"], reports[2]["base"]);
    let exists = |report: &Value| Path::new(report["path"].as_str().unwrap_or("-")).exists();
    assert!(!exists(&reports[0]) && exists(&reports[1]) && exists(&reports[2]));

    let (code, shown, _) = cli(&hive, &["workspace", "list"])?;
    assert!(code == 0 && shown.contains(&format!("hive/{edits}-1")), "{shown}");
    let (code, shown, told) = cli(&hive, &["workspace", "prune"])?;
    assert_eq!(code, 0, "{shown}{told}");
    assert!(exists(&reports[1]) && !exists(&reports[2]), "{shown}");
    assert!(
        !git(repo.path(), &["branch", "--list", &format!("hive/{commits}-1")])?.is_empty(),
        "commits stay"
    );
    let (code, _, _) = cli(&hive, &["workspace", "prune", "--force"])?;
    assert!(code == 0 && !exists(&reports[1]));
    let listed = hive.get("/api/v2/workspaces").await?;
    assert_eq!(listed["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_workspace_that_cannot_be_made_fails_the_attempt_before_anything_runs() -> Result<()> {
    let (hive, repo) = (Hive::start().await?, repository()?);
    worktree_agent(&hive, repo.path(), 1).await?;
    std::fs::rename(repo.path().join(".git"), repo.path().join("was-git"))?;
    let proof = repo.path().join("ran");
    let body = json!({"title": "t", "requires": ["git"], "input": format!("touch {}", proof.display()), "attempts_max": 1});
    let id = hive.submit(&body).await?;
    let task = hive.task_ended(&id).await?;
    assert_eq!(
        (&task["state"], &task["error"]["kind"]),
        (&json!("failed"), &json!("workspace_failed")),
        "{task:#}"
    );
    let message = task["error"]["message"].as_str().context("a message")?;
    assert!(message.contains(&*repo.path().to_string_lossy()), "{message}");
    assert!(!proof.exists());
    Ok(())
}

#[tokio::test]
async fn a_directory_is_lent_to_one_attempt_at_a_time_over_all_agents() -> Result<()> {
    let (hive, folder) = (Hive::start().await?, tempfile::tempdir()?);
    let workspace = json!({"kind": "directory", "path": folder.path()});
    for name in ["one", "two"] {
        hive.command_agent(name, 1, json!({"preset": "shell", "workspace": workspace})).await?;
    }
    let shared = json!({"name": "three", "capacity": 2, "link": {"kind": "process", "preset": "shell", "workspace": workspace}});
    let problem = hive.post("/api/v2/agents", &shared, 422).await?;
    assert_eq!(problem["errors"][0]["field"], "capacity");
    let script = "mkdir busy || exit 9; sleep 0.1; rmdir busy; pwd";
    let mut ids = Vec::new();
    for number in 0..6 {
        let name = if number % 2 == 0 { "one" } else { "two" };
        ids.push(
            hive.submit(&json!({"title": "t", "requires": [name], "input": script, "attempts_max": 1}))
                .await?,
        );
    }
    for id in ids {
        let task = hive.task_ended(&id).await?;
        assert_eq!(task["state"], "completed", "{task:#}");
        assert_eq!(task["result"]["text"], json!(folder.path().canonicalize()?), "{task:#}");
    }
    Ok(())
}

#[tokio::test]
async fn an_attempt_whose_workspace_takes_long_ends_when_it_is_asked_to_and_when_its_time_is_over()
-> Result<()> {
    for (timeout_ms, kind) in [(None, "canceled"), (Some(200), "timeout")] {
        let (rig, repo) = (Rig::new()?, repository()?);
        let (begun, gate) = (rig.folder.path().join("begun"), rig.folder.path().join("gate"));
        ensure!(Command::new("mkfifo").arg(&gate).status()?.success());
        let filter = format!("touch '{}'; cat '{}' >/dev/null; cat", begun.display(), gate.display());
        git(repo.path(), &["config", "filter.slow.smudge", &filter])?;
        std::fs::write(repo.path().join(".git/info/attributes"), "README filter=slow\n")?;
        let repository = repo.path().to_str().context("a path")?.to_owned();
        let workspace = Workspace::GitWorktree { repository, base: None, keep: Keep::Changed };
        let running = rig.start(ProcessLink { workspace, timeout_ms, ..rig.shell("echo up") });
        until(|| begun.exists()).context("nothing is made")?;
        if timeout_ms.is_none() {
            running.leash.end(Why::Canceled);
        }
        let (output, ended) = rest(running).await?;
        assert_eq!((failure(&ended).0, output.as_str(), ended.is_launch_failure), (kind, "", false));
        // what is made all the same goes as it came
        std::fs::write(&gate, "")?;
        let workspaces = rig.folder.path().join("data/workspaces");
        until(|| std::fs::read_dir(&workspaces).is_ok_and(|mut left| left.next().is_none()))
            .context("the workspace stays")?;
    }
    Ok(())
}

#[tokio::test]
async fn files_of_agents_and_git_are_as_open_as_the_hive_was_started_with() -> Result<()> {
    let (hive, repo) = (Hive::start().await?, repository()?);
    worktree_agent(&hive, repo.path(), 1).await?;
    let id = hive.ask("git", "umask; echo new > new.txt").await?;
    let task = hive.task_ended(&id).await?;
    let umask = rustix::process::umask(rustix::fs::Mode::empty()).bits();
    assert_eq!(task["result"]["text"], json!(format!("{umask:04o}")));
    let mode = |path: &Path| Ok::<_, std::io::Error>(std::fs::metadata(path)?.permissions().mode() & 0o777);
    assert_eq!(mode(&repo.path().join(format!(".git/refs/heads/hive/{id}-1")))?, 0o666 & !umask);
    assert_eq!(mode(&hive.folder().join("admin.token"))?, 0o600);
    Ok(())
}

fn until(mut holds: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !holds() {
        ensure!(began.elapsed() < PATIENCE, "it does not come to be");
        std::thread::yield_now();
    }
    Ok(())
}
