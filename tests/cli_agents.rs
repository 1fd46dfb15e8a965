//! `hive agent …`, `hive queue …`, `hive events` and `hive system` over the real program.

use anyhow::Result;
use serde_json::json;
use tests::Hive;

use crate::cli::{at, busy, fine, run};

#[tokio::test]
async fn add_prints_the_id_alone_and_every_flag_reaches_the_agent() -> Result<()> {
    let hive = Hive::start().await?;
    let flags =
        ["--role", "reviewer", "--capabilities", "rust,docker", "--capacity", "4", "--label", "team=blue"];
    let (out, err) = fine(&hive, &[&["agent", "add", "ada"], &flags[..]].concat())?;
    let id = out.trim_end();
    assert!(id.starts_with("agent_") && out.lines().count() == 1, "{out}");
    assert!(
        err.contains("ada is registered") && err.contains(&format!("/api/v2/agents/{id}/lease")),
        "{err}"
    );
    let mut agent = hive.get(&format!("/api/v2/agents/{id}")).await?;
    if let Some(names) = agent["capabilities"].as_array_mut() {
        names.sort_by_key(ToString::to_string);
    }
    let expected = json!({"name": "ada", "role": "reviewer", "capabilities": ["docker", "rust"], "capacity": 4,
        "labels": {"team": "blue"}});
    for field in ["name", "role", "capabilities", "capacity", "labels"] {
        assert_eq!(agent[field], expected[field], "{field}");
    }
    Ok(())
}

#[tokio::test]
async fn a_process_is_added_with_every_flag_and_paths_from_where_one_stands() -> Result<()> {
    let hive = Hive::start().await?;
    let folder = tempfile::tempdir()?;
    let here = folder.path().canonicalize()?;
    std::fs::write(here.join("ada.env"), "# for ada\nKEY=hunter2-swordfish\nMODE=a b\n")?;
    let flags = "--capacity|3|--env-file|ada.env|--inherit-env|PATH,LANG|--prompt|argument|--result|json-last|--repository|.\
        |--base|main|--keep|never|--cwd|src|--timeout|10m|--cpu|90s|--memory|2G|--file-size|100M|--open-files|64\
        |--arg|-x|--arg|two words|--|cat|-u";
    let flags: Vec<&str> = flags.split('|').collect();
    let mut command = at(&hive, &[&["agent", "add", "ada"], &flags[..]].concat());
    let told = run({
        command.current_dir(&here);
        command
    })?;
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.err.contains("for each task the hive starts: cat -u -x 'two words'"), "{}", told.err);
    let agent = hive.get(&format!("/api/v2/agents/{}", told.out.trim_end())).await?;
    let expected = json!({
        "kind": "process", "preset": null, "command": ["cat", "-u"], "args": ["-x", "two words"], "cwd": "src",
        "env_names": ["KEY", "MODE"], "inherit_env": ["LANG", "PATH"], "prompt": "argument", "result": "json-last",
        "workspace": {"kind": "git_worktree", "repository": here, "base": "main", "keep": "never"},
        "timeout_ms": 600_000,
        "limits": {"cpu_ms": 90_000, "memory_bytes": 2_147_483_648_u64, "file_bytes": 104_857_600, "open_files": 64},
    });
    assert_eq!((&agent["link"], &agent["capacity"]), (&expected, &json!(3)));
    let (shown, _) = fine(&hive, &["agent", "show", "ada"])?;
    let worktree = format!("a git worktree of {} from main, never kept", here.display());
    for part in [
        "process",
        "cat -u -x 'two words'",
        "KEY, MODE",
        "LANG, PATH",
        &worktree,
        "as an argument",
        "10 min",
        "2 GiB of memory",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!(told.out + &told.err + &shown).contains("hunter2"), "values of the environment are not shown");
    Ok(())
}

#[tokio::test]
async fn a_process_is_added_from_a_preset_and_by_the_path_of_a_program() -> Result<()> {
    let hive = Hive::start().await?;
    let (out, _) = fine(&hive, &["agent", "add", "sh", "--preset", "shell", "--timeout", "5s"])?;
    let agent = hive.get(&format!("/api/v2/agents/{}", out.trim_end())).await?;
    assert_eq!((&agent["link"]["preset"], &agent["link"]["timeout_ms"]), (&json!("shell"), &json!(5_000)));
    assert!(fine(&hive, &["agent", "show", "sh"])?.0.contains("shell"));
    let folder = tempfile::tempdir()?;
    let here = folder.path().canonicalize()?;
    std::os::unix::fs::symlink("/bin/cat", here.join("mine"))?;
    for (name, flags) in [("near", &["--", "./mine"][..]), ("far", &["--directory", "work", "--", "cat"])] {
        let mut command = at(&hive, &[&["agent", "add", name], flags].concat());
        command.current_dir(&here);
        let told = run(command)?;
        assert_eq!(told.code, 0, "{}", told.err);
    }
    let agents = hive.get("/api/v2/agents").await?;
    let link = |place: usize| agents["items"][place]["link"].clone();
    assert_eq!(link(1)["command"], json!([here.join("mine")]));
    assert_eq!(link(0)["workspace"], json!({"kind": "directory", "path": here.join("work")}));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_a_process_is_refused_with_what_to_do_and_repeats_no_secret() -> Result<()> {
    let hive = Hive::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("env");
    std::fs::write(&file, "A=1\nhunter2-swordfish\n")?;
    let file = file.display().to_string();
    for (flags, code, part) in [
        (&["--preset", "shell", "--", "cat"][..], 2, "cannot be used with"),
        (&["--timeout", "5s"], 2, "--preset"),
        (&["--env-file", &file, "--", "cat"], 2, "line 2"),
        (&["--env-file", "/nowhere", "--", "cat"], 2, "cannot read /nowhere"),
        (&["--", "no-such-program-anywhere"], 8, "link.command"),
        (&["--preset", "robot"], 8, "link.preset"),
    ] {
        let told = run(at(&hive, &[&["agent", "add", "ada"], flags].concat()))?;
        assert_eq!((told.code, told.out.as_str()), (code, ""), "{flags:?}: {}", told.err);
        assert!(told.err.contains(part) && !told.err.contains("hunter2"), "{flags:?}: {}", told.err);
    }
    let told = crate::cli::run_with(
        at(&hive, &["agent", "add", "ada", "--env-file", "-", "--", "cat"]),
        "KEY=from stdin\n",
    )?;
    assert_eq!(told.code, 0, "{}", told.err);
    let agent = hive.get(&format!("/api/v2/agents/{}", told.out.trim_end())).await?;
    assert_eq!(agent["link"]["env_names"], json!(["KEY"]));
    Ok(())
}

#[tokio::test]
async fn agents_are_listed_with_their_figures_and_shown_by_name_and_by_id() -> Result<()> {
    let (hive, agent, _) = busy().await?;
    let (out, err) = fine(&hive, &["agent", "list"])?;
    assert_eq!(err, "");
    let lines: Vec<&str> = out.lines().collect();
    let header: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(header, ["ID", "NAME", "STATE", "ROLE", "LOAD", "DONE", "FAILED", "SEEN", "CAPABILITIES"]);
    let row: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(
        (lines.len(), &row[..7]),
        (2, &[&agent, "ada", "idle", "worker", "0/2", "1", "0"][..]),
        "{out}"
    );
    let (by_name, _) = fine(&hive, &["agent", "show", "ada"])?;
    let (by_id, _) = fine(&hive, &["agent", "show", &agent])?;
    assert_eq!(by_name, by_id);
    for part in [agent.as_str(), "rust", "0 of 2", "100.0 %"] {
        assert!(by_name.contains(part), "{part} in {by_name}");
    }
    Ok(())
}

#[tokio::test]
async fn more_agents_than_a_page_are_all_found_by_name() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("first", &[], 1).await?;
    for number in 0..205 {
        hive.agent(&format!("agent-{number}"), &[], 1).await?;
    }
    let (out, _) = fine(&hive, &["agent", "show", "first"])?;
    assert!(out.contains("first"), "{out}");
    let (out, err) = fine(&hive, &["agent", "list", "--limit", "200"])?;
    assert_eq!(out.lines().count(), 201);
    let cursor = err.trim().rsplit(' ').next().unwrap_or_default();
    assert_eq!(fine(&hive, &["agent", "list", "--cursor", cursor])?.0.lines().count(), 7);
    Ok(())
}

#[tokio::test]
async fn a_drained_agent_takes_nothing_until_it_is_resumed_by_name_or_by_id() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 1).await?;
    for (drain, resume) in [("ada", ada.as_str()), (ada.as_str(), "ada")] {
        let (out, err) = fine(&hive, &["agent", "drain", drain])?;
        assert_eq!((out.as_str(), err.contains("ada drains")), ("", true), "{err}");
        let task = hive.submit(&json!({"title": "t"})).await?;
        assert!(hive.lease(&ada, 1, 0).await?.is_empty(), "a drained agent takes nothing");
        let (out, err) = fine(&hive, &["agent", "resume", resume])?;
        assert_eq!((out.as_str(), err.as_str()), ("", "ada takes tasks again\n"));
        let held = hive.lease(&ada, 1, 10_000).await?;
        assert_eq!(held[0]["task_id"], json!(task));
        let done = json!({"attempt": 1});
        hive.post(&format!("/api/v2/tasks/{task}/complete"), &done, 200).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_removed_agent_is_gone_by_name_and_by_id_and_its_name_is_free() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 1).await?;
    let (out, err) = fine(&hive, &["agent", "remove", "ada"])?;
    assert_eq!((out.as_str(), err.starts_with("ada is removed")), ("", true), "{err}");
    for asked in ["ada", ada.as_str()] {
        for verb in ["show", "drain", "resume", "remove"] {
            let told = run(at(&hive, &["agent", verb, asked]))?;
            assert_eq!((told.code, told.out.as_str()), (5, ""), "{verb} {asked}: {}", told.err);
        }
    }
    let again = fine(&hive, &["agent", "add", "ada"])?.0;
    fine(&hive, &["agent", "remove", again.trim_end()])?;
    let told = run(at(&hive, &["agent", "list"]))?;
    assert_eq!((told.code, told.out.as_str()), (0, ""));
    assert!(told.err.contains("no agents yet"), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn a_paused_queue_hands_out_nothing_until_it_is_resumed() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 1).await?;
    let (out, err) = fine(&hive, &["queue", "pause", "night"])?;
    assert_eq!((out.as_str(), err.contains("the queue night hands out nothing now")), ("", true), "{err}");
    let task = hive.submit(&json!({"title": "t", "queue": "night"})).await?;
    assert!(hive.lease(&ada, 1, 0).await?.is_empty(), "a paused queue hands out nothing");
    let (out, _) = fine(&hive, &["queue", "list"])?;
    let row = |name: &str| -> Vec<String> {
        let row = out.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        row.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("night"), ["night", "paused", "-", "1", "0", "0", "0", "0", "0"], "{out}");
    fine(&hive, &["queue", "resume", "night"])?;
    assert_eq!(hive.lease(&ada, 1, 10_000).await?[0]["task_id"], json!(task));
    assert_eq!(run(at(&hive, &["queue", "pause", "No Name"]))?.code, 2);
    Ok(())
}

#[tokio::test]
async fn events_are_told_in_order_after_a_number_within_a_limit_and_of_one_task() -> Result<()> {
    let (hive, _, task) = busy().await?;
    let last = hive.get("/api/v2/system").await?["log"]["last_seq"].as_i64().unwrap_or(0);
    let numbers = |out: &str| -> Vec<i64> {
        let first = |row: &str| row.split_whitespace().next().and_then(|seq| seq.parse().ok());
        out.lines().skip(1).filter_map(first).collect()
    };
    let (out, err) = fine(&hive, &["events", "--after", "0"])?;
    assert_eq!(numbers(&out), (1..=last).collect::<Vec<_>>());
    assert!(!out.contains('\u{1b}') && !err.contains("panicked"), "{err}");
    let (out, err) = fine(&hive, &["events", "--after", "1", "--limit", "2"])?;
    assert_eq!((numbers(&out), err.contains("--after 3")), (vec![2, 3], true), "{err}");
    let (out, _) = fine(&hive, &["events", "--limit", "2"])?;
    assert_eq!(numbers(&out), [last - 1, last], "without --after the newest");
    let (out, _) = fine(&hive, &["events", "--task", &task])?;
    assert!(out.lines().skip(1).all(|row| row.contains(&task)), "{out}");
    for kind in ["task.submitted", "task.completed"] {
        assert_eq!(out.matches(kind).count(), 1, "{kind} in {out}");
    }
    let told = run(at(&hive, &["events", "--after", "999999"]))?;
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, "", "no events\n"));
    Ok(())
}

#[tokio::test]
async fn system_tells_where_and_how_the_hive_is() -> Result<()> {
    let (hive, _, _) = busy().await?;
    let (out, err) = fine(&hive, &["system"])?;
    assert_eq!(err, "");
    let folder = hive.folder().display().to_string();
    for part in [
        &hive.url,
        "serving",
        &folder,
        "2 tasks: 1 scheduled, 1 completed",
        "1 agent: 1 idle",
        "events 1 to ",
    ] {
        assert!(out.contains(part), "{part} in {out}");
    }
    Ok(())
}
