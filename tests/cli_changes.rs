//! Commands that say why, put back, change and look closer, over the real program: `hive task explain`, `redrive`, `update`
//! and `attempts`, `hive queue show` and `limit`, `hive agent update` and `restart`, `hive system …`.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::Hive;

use crate::cli::{answered, at, bare, busy, fine, finish, run, shown, told};

const NOWHERE: &str = "task_0000000000000";

/// A task that is a dead letter; answers its id.
async fn dead(hive: &Hive, agent: &str, task: Value) -> Result<String> {
    hive.submit(&task).await?;
    let report = json!({"error": {"kind": "x", "message": "y"}, "retryable": false});
    finish(hive, agent, "fail", report).await
}

#[tokio::test]
async fn explain_tells_the_state_and_every_reason_and_json_has_the_numbers() -> Result<()> {
    let (hive, _, done) = busy().await?;
    let id = hive.submit(&json!({"title": "t", "requires": ["docker"]})).await?;
    fine(&hive, &["queue", "pause", "default"])?;
    let (out, err) = fine(&hive, &["task", "explain", &id])?;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines[0], err.as_str()), (format!("{id} is queued").as_str(), ""));
    assert!(lines[1].starts_with("  queue_paused: the queue default is paused"), "{out}");
    assert!(lines[2].starts_with("  no_capable_agent: none of 1 agents"), "{out}");
    let json = fine(&hive, &["task", "explain", &id, "--json"])?.0;
    assert_eq!(json.trim_end(), answered(&hive, &format!("/api/v2/tasks/{id}/explain")).await?.trim_end());
    let (out, _) = fine(&hive, &["task", "explain", &done])?;
    assert!(out.contains("is completed\n  completed: attempt 1 completed it at "), "{out}");
    assert_eq!(run(at(&hive, &["task", "explain", NOWHERE]))?.code, 5);
    Ok(())
}

#[tokio::test]
async fn redrive_by_id_prints_who_is_back_and_names_who_is_refused() -> Result<()> {
    let (hive, agent, done) = busy().await?;
    let (one, two) = (
        dead(&hive, &agent, json!({"title": "1"})).await?,
        dead(&hive, &agent, json!({"title": "2"})).await?,
    );
    let told = run(at(&hive, &["task", "redrive", &one, &done, NOWHERE, &two]))?;
    assert_eq!((told.code, told.out.as_str()), (6, format!("{one}\n{two}\n").as_str()), "{}", told.err);
    let notes: Vec<&str> = told.err.lines().collect();
    assert!(notes[0].starts_with(&format!("{done}: ")) && notes[1].starts_with(NOWHERE), "{}", told.err);
    assert_eq!(notes[2], "2 tasks put back, 1 refused (not_found), 1 refused (state_conflict)");
    for id in [&one, &two] {
        assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["state"], "queued");
    }
    let missing = run(at(&hive, &["task", "redrive", NOWHERE, &done]))?;
    assert_eq!(missing.code, 5, "the code of the first one: {}", missing.err);
    Ok(())
}

#[tokio::test]
async fn redrive_puts_back_what_fits_every_flag_and_all_of_it_over_several_calls() -> Result<()> {
    let hive = Hive::start().await?;
    let (ada, eve) = (hive.agent("ada", &["a"], 1).await?, hive.agent("eve", &["e"], 1).await?);
    let night = json!({"title": "n", "queue": "night", "kind": "report", "labels": {"team": "blue"}, "requires": ["a"]});
    let night = dead(&hive, &ada, night).await?;
    let day = dead(&hive, &eve, json!({"title": "d", "labels": {"team": "red"}, "requires": ["e"]})).await?;
    let sparing: [&[&str]; 6] = [
        &["--queue", "noon"],
        &["--kind", "essay"],
        &["--label", "team=green"],
        &["--created-after", "2100-01-01T00:00:00Z"],
        &["--created-before", "1h"],
        &["--queue", "night", "--agent", "eve"],
    ];
    for flags in sparing {
        let (out, err) = fine(&hive, &[&["task", "redrive"], flags].concat())?;
        assert_eq!((out.as_str(), err.contains("no dead letter fits")), ("", true), "{flags:?}: {err}");
    }
    let every = "--queue night --kind report --label team=blue --agent ada --created-after 1h --created-before 2100-01-01T00:00:00Z";
    let every: Vec<&str> = every.split(' ').collect();
    let (out, err) = fine(&hive, &[&["task", "redrive"], &every[..]].concat())?;
    assert_eq!((out, err), (format!("{night}\n"), "1 task put back\n".to_owned()));
    let (out, _) = fine(&hive, &["task", "redrive", "--agent", "eve"])?;
    assert_eq!(out, format!("{day}\n"));

    let tasks: Vec<Value> = (0..1_000)
        .map(|number| json!({"title": number.to_string(), "agent_id": ada, "requires": ["a"], "queue": "many"}))
        .collect();
    let more: Vec<Value> = tasks.iter().take(5).cloned().collect();
    fine(&hive, &["agent", "update", "ada", "--capacity", "1005"])?;
    for part in [tasks, more] {
        hive.post("/api/v2/tasks/bulk", &json!({"tasks": part}), 200).await?;
    }
    fine(&hive, &["task", "cancel", &night, "--force"])?;
    let mut held = Vec::new();
    while held.len() < 1_005 {
        held.extend(hive.lease(&ada, 1_000, 10_000).await?);
    }
    let error = json!({"kind": "x", "message": "y"});
    for part in held.chunks(1_000) {
        let items: Vec<Value> = part
            .iter()
            .map(|held| json!({"task_id": held["task_id"], "attempt": held["attempt"], "error": error, "retryable": false}))
            .collect();
        let told = hive.post("/api/v2/leases/complete", &json!({"items": items}), 200).await?;
        let ended = |item: &Value| item["status"] == 200;
        assert!(told["items"].as_array().is_some_and(|items| items.iter().all(ended)), "{told}");
    }
    let (out, err) = fine(&hive, &["task", "redrive", "--queue", "many", "--limit", "2"])?;
    assert_eq!((out.lines().count(), err.as_str()), (2, "2 tasks put back\n"));
    let (out, err) = fine(&hive, &["task", "redrive", "--all"])?;
    assert_eq!((out.lines().count(), err.as_str()), (1_003, "1,003 tasks put back\n"));
    let left = hive.get("/api/v2/dead-letters").await?;
    assert_eq!(left["items"], json!([]));
    Ok(())
}

#[test]
fn redrive_and_update_say_what_is_missing_and_what_does_not_go_together() -> Result<()> {
    let commands: [&[&str]; 10] = [
        &["task", "redrive"],
        &["task", "redrive", "--limit", "3"],
        &["task", "redrive", NOWHERE, "--all"],
        &["task", "redrive", NOWHERE, "--queue", "q"],
        &["task", "redrive", "--all", "--queue", "q"],
        &["task", "redrive", "--created-after", "yesterday"],
        &["task", "update", NOWHERE],
        &["task", "update", NOWHERE, "--label", "a=1", "--no-labels"],
        &["agent", "update", "ada", "--no-limits", "--memory", "1G"],
        &["queue", "limit", "q", "many"],
    ];
    for arguments in commands {
        let told = run(bare(arguments))?;
        assert_eq!((told.code, told.out.as_str(), told.err.is_empty()), (2, "", false), "{arguments:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_task_is_changed_and_its_labels_are_set_together() -> Result<()> {
    let hive = Hive::start().await?;
    let id = hive.submit(&json!({"title": "t", "labels": {"team": "blue", "month": "may"}})).await?;
    let path = format!("/api/v2/tasks/{id}");
    let (out, err) = fine(&hive, &["task", "update", &id, "--priority", "9"])?;
    assert_eq!(out, "");
    assert_eq!(err, format!("{id} has the priority 9 and the labels month=may, team=blue now\n"));
    let task = shown(&hive, &["task", "update", &id, "--label", "team=red", "--json"])?;
    assert_eq!((&task["labels"], &task["priority"]), (&json!({"team": "red"}), &json!(9)));
    fine(&hive, &["task", "update", &id, "--no-labels"])?;
    assert_eq!(hive.get(&path).await?["labels"], json!({}));
    assert_eq!(run(at(&hive, &["task", "update", NOWHERE, "--priority", "1"]))?.code, 5);
    hive.post(&format!("{path}/cancel"), &json!({}), 200).await?;
    let ended = run(at(&hive, &["task", "update", &id, "--priority", "1"]))?;
    assert_eq!((ended.code, ended.err.contains("canceled")), (6, true), "{}", ended.err);
    Ok(())
}

#[tokio::test]
async fn attempts_are_listed_the_latest_first_and_a_page_at_a_time() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 1).await?;
    let id = hive.submit(&json!({"title": "t", "backoff": {"initial_ms": 0}})).await?;
    let (out, err) = fine(&hive, &["task", "attempts", &id])?;
    assert_eq!((out, err), (String::new(), format!("no attempts; `hive task explain {id}` says why\n")));
    let error = json!({"error": {"kind": "broken", "message": "out of paper"}});
    finish(&hive, &ada, "fail", error).await?;
    finish(&hive, &ada, "complete", json!({"usage": {"input_tokens": 812}})).await?;
    let (out, _) = fine(&hive, &["task", "attempts", &id])?;
    let outcomes: Vec<Vec<&str>> =
        out.lines().take(3).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        (&outcomes[1][..2], &outcomes[2][..2]),
        (&["2", "succeeded"][..], &["1", "failed"][..]),
        "{out}"
    );
    assert!(out.contains("broken: out of paper") && out.contains("812 tokens in"), "{out}");
    let (out, err) = fine(&hive, &["task", "attempts", &id, "--limit", "1"])?;
    assert!(out.contains("succeeded") && !out.contains("broken"), "{out}");
    let cursor = err.trim().rsplit(' ').next().unwrap_or_default();
    assert!(fine(&hive, &["task", "attempts", &id, "--cursor", cursor])?.0.contains("broken"), "{err}");
    let json = fine(&hive, &["task", "attempts", &id, "--json"])?.0;
    assert_eq!(json.trim_end(), answered(&hive, &format!("/api/v2/tasks/{id}/attempts")).await?.trim_end());
    Ok(())
}

#[tokio::test]
async fn tasks_are_listed_by_when_they_were_handed_in() -> Result<()> {
    let (hive, _, task) = busy().await?;
    let listed = |flags: &[&str]| fine(&hive, &[&["task", "list"], flags].concat());
    assert!(listed(&["--created-after", "1h"])?.0.contains(&task));
    assert!(listed(&["--created-before", "2100-01-01T00:00:00Z"])?.0.contains(&task));
    assert_eq!(listed(&["--created-before", "1h"])?, (String::new(), "no tasks\n".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_queue_takes_a_limit_and_shows_it_and_who_waits() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 5).await?;
    let (out, err) = fine(&hive, &["queue", "limit", "night", "1"])?;
    assert_eq!(
        (out.as_str(), err.as_str()),
        ("", "1 task of the queue night may be worked on at a time now\n")
    );
    for priority in [5, 9, 9] {
        hive.submit(&json!({"title": "t", "queue": "night", "priority": priority})).await?;
    }
    assert_eq!(hive.lease(&ada, 5, 10_000).await?.len(), 1, "the limit holds");
    let (out, _) = fine(&hive, &["queue", "show", "night"])?;
    for part in ["limit      1 at a time", "waiting    1 of priority 9, 1 of priority 5", "working    1"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    let (out, _) = fine(&hive, &["queue", "list"])?;
    let row = out.lines().find(|line| line.starts_with("night")).context("a row")?;
    assert_eq!(row.split_whitespace().take(4).collect::<Vec<_>>(), ["night", "open", "1", "2"]);
    assert_eq!(shown(&hive, &["queue", "limit", "night", "2", "--json"])?["concurrency_limit"], 2);
    assert_eq!(hive.lease(&ada, 5, 10_000).await?.len(), 1, "room for one more");
    let (_, err) = fine(&hive, &["queue", "limit", "night", "1"])?;
    assert!(err.contains("2 are worked on and go on"), "{err}");
    let (_, err) = fine(&hive, &["queue", "limit", "night", "none"])?;
    assert_eq!(err, "the queue night has no limit now\n");
    let json = fine(&hive, &["queue", "show", "night", "--json"])?.0;
    assert_eq!(json.trim_end(), answered(&hive, "/api/v2/queues/night").await?.trim_end());
    let told = run(at(&hive, &["queue", "limit", "night", "100001"]))?;
    assert_eq!((told.code, told.err.contains("100000")), (8, true), "{}", told.err);
    assert_eq!(run(at(&hive, &["queue", "show", "nowhere"]))?.code, 5);
    Ok(())
}

#[tokio::test]
async fn a_worker_is_changed_in_what_is_named_and_no_more() -> Result<()> {
    let hive = Hive::start().await?;
    fine(&hive, &["agent", "add", "ada", "--capabilities", "rust", "--label", "a=1", "--capacity", "2"])?;
    let flags = ["--role", "reviewer", "--capabilities", "docker,go", "--capacity", "7", "--label", "b=2"];
    let (out, err) = fine(&hive, &[&["agent", "update", "ada"], &flags[..]].concat())?;
    assert_eq!((out.as_str(), err.starts_with("ada is changed")), ("", true), "{err}");
    let ada = shown(&hive, &["agent", "show", "ada", "--json"])?;
    let (role, capacity, labels) = (&ada["role"], &ada["capacity"], &ada["labels"]);
    assert_eq!((role, capacity, labels), (&json!("reviewer"), &json!(7), &json!({"b": "2"})));
    assert_eq!(ada["capabilities"], json!(["docker", "go"]));
    let ada = shown(&hive, &["agent", "update", "ada", "--no-capabilities", "--no-labels", "--json"])?;
    assert_eq!((&ada["capabilities"], &ada["labels"], &ada["capacity"]), (&json!([]), &json!({}), &json!(7)));
    for (flags, code, part) in [
        (&[][..], 2, "nothing was named that is to change"),
        (&["--timeout", "5m"], 8, "this one is a worker"),
        (&["--capacity", "10001"], 8, "capacity"),
    ] {
        let told = run(at(&hive, &[&["agent", "update", "ada"], flags].concat()))?;
        assert_eq!((told.code, told.err.contains(part)), (code, true), "{flags:?}: {}", told.err);
    }
    assert_eq!(run(at(&hive, &["agent", "update", "nobody", "--capacity", "1"]))?.code, 5);
    Ok(())
}

#[tokio::test]
async fn a_process_is_changed_flag_by_flag_and_paths_stay_below_its_workspace() -> Result<()> {
    let hive = Hive::start().await?;
    let folder = tempfile::tempdir()?;
    let here = folder.path().canonicalize()?;
    std::fs::write(here.join("new.env"), "KEY=hunter2-swordfish\n")?;
    let mut add = at(&hive, &["agent", "add", "sh", "--cpu", "5s", "--", "cat"]);
    add.current_dir(&here);
    assert_eq!(run(add)?.code, 0);
    let update = |flags: &str| -> Result<Value> {
        let mut command = at(&hive, &["agent", "update", "sh", "--json"]);
        command.args(flags.split('|')).current_dir(&here);
        let told = run(command)?;
        anyhow::ensure!(told.code == 0, "{flags}: {}", told.err);
        assert!(!(told.out.clone() + &told.err).contains("hunter2"), "{}", told.out);
        Ok(serde_json::from_str::<Value>(&told.out)?["link"].clone())
    };
    let link = update(
        "--cwd|src|--env-file|new.env|--inherit-env|LANG|--prompt|file|--result|json-last|--timeout|5m|--arg|-x",
    )?;
    let expected = json!({
        "kind": "process", "preset": null, "command": ["cat"], "args": ["-x"], "cwd": here.join("src"),
        "env_names": ["KEY"], "inherit_env": ["LANG"], "prompt": "file", "result": "json-last",
        "workspace": {"kind": "none"}, "timeout_ms": 300_000,
        "limits": {"cpu_ms": 5_000, "memory_bytes": null, "file_bytes": null, "open_files": null},
    });
    for (field, value) in expected.as_object().context("an object")? {
        if field != "limits" {
            assert_eq!(&link[field], value, "{field}");
        }
    }
    assert_eq!(link["limits"]["cpu_ms"], 5_000);
    let link = update("--memory|1G|--directory|work|--cwd|src")?;
    assert!(
        link["limits"]["memory_bytes"] == 1 << 30 && link["limits"]["cpu_ms"].is_null(),
        "set together: {link}"
    );
    assert_eq!((&link["workspace"]["path"], &link["cwd"]), (&json!(here.join("work")), &json!("src")));
    let link = update("--|./run.sh|y")?;
    assert_eq!(link["command"], json!(["./run.sh", "y"]), "below the folder that it has");
    let link = update("--no-workspace|--no-limits|--cwd|src|--|cat")?;
    assert!(link["limits"]["memory_bytes"].is_null() && link["workspace"]["kind"] == "none", "{link}");
    assert_eq!(link["cwd"], json!(here.join("src")), "there is nothing to be below any more");
    Ok(())
}

#[tokio::test]
async fn a_restarted_agent_begins_anew_and_only_who_may_restarts_it() -> Result<()> {
    let hive = Hive::start().await?;
    let ada = hive.agent("ada", &[], 1).await?;
    let mut waiting = at(&hive, &["agent", "lease", "ada", "--wait", "30s"]).spawn()?;
    let began = Instant::now();
    while waiting.try_wait()?.is_none() {
        // again and again: it may not wait yet
        let (out, err) = fine(&hive, &["agent", "restart", "ada"])?;
        assert_eq!((out.as_str(), err.as_str()), ("", "ada begins anew; it keeps what it works on\n"));
    }
    assert!(began.elapsed() < Duration::from_secs(25), "a call that waits is ended by it");
    let waited = told(waiting)?;
    assert_eq!((waited.code, waited.out.as_str()), (0, ""), "{}", waited.err);
    assert_eq!(shown(&hive, &["agent", "restart", &ada, "--json"])?["name"], "ada");
    assert_eq!(run(at(&hive, &["agent", "restart", "nobody"]))?.code, 5);
    let (key, _) = fine(&hive, &["auth", "key", "create", "v", "--role", "viewer"])?;
    let mut denied = at(&hive, &["agent", "restart", &ada]);
    denied.env("HIVE_TOKEN", key.trim_end());
    let denied = run(denied)?;
    assert_eq!((denied.code, denied.err.contains("admin or operator")), (4, true), "{}", denied.err);
    Ok(())
}

#[tokio::test]
async fn the_tree_of_actors_is_shown_indented_with_what_failed_and_json_is_the_answer() -> Result<()> {
    let (hive, agent, _) = busy().await?;
    let (out, err) = fine(&hive, &["system", "actors"])?;
    let lines: Vec<&str> = out.lines().collect();
    for part in ["ACTOR", "hive  ", "  agents  ", &format!("    {agent}  "), "  janitors  ", "    reaper  "] {
        assert!(lines.iter().any(|line| line.starts_with(part)), "{part:?} in {out}");
    }
    assert!(out.contains("supervisor") && out.contains("running"), "{out}");
    assert!(err.contains("actors, 0 restarts since the start"), "{err}");
    let (out, err) = fine(&hive, &["system", "actors", "--prefix", "hive/agents", "--kind", "agent"])?;
    assert!(out.lines().count() == 2 && out.contains(&format!("hive/agents/{agent}")), "{out}");
    assert!(err.ends_with("; 1 shown\n"), "{err}");
    let tree = shown(&hive, &["system", "actors", "--json", "--limit", "1"])?;
    assert_eq!(
        (&tree["items"][0]["path"], tree["items"].as_array().map(Vec::len)),
        (&json!("hive"), Some(1))
    );
    assert_eq!(run(at(&hive, &["system", "actors", "--limit", "0"]))?.code, 2);
    Ok(())
}

#[tokio::test]
async fn the_one_node_is_listed_with_what_it_uses() -> Result<()> {
    let (hive, _, _) = busy().await?;
    let (out, _) = fine(&hive, &["system", "nodes"])?;
    let row = out.lines().nth(1).unwrap_or_default();
    for part in ["serving", env!("CARGO_PKG_VERSION"), &hive.pid().to_string(), " MiB"] {
        assert!(row.contains(part), "{part} in {out}");
    }
    let json = shown(&hive, &["system", "nodes", "--json"])?;
    assert_eq!(json["items"][0]["pid"], hive.pid());
    Ok(())
}

#[tokio::test]
async fn health_and_metrics_need_no_token_and_health_has_an_exit_code() -> Result<()> {
    let hive = Hive::start().await?;
    let empty = tempfile::tempdir()?;
    let without = |arguments: &[&str]| {
        let mut command = at(&hive, arguments);
        command.env_remove("HIVE_TOKEN").current_dir(empty.path());
        run(command)
    };
    let told = without(&["system", "health"])?;
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    for part in ["PART", "database", "writer", "healthy", "(all)"] {
        assert!(told.out.contains(part), "{part} in {}", told.out);
    }
    let json = without(&["system", "health", "--json"])?;
    let health: Value = serde_json::from_str(&json.out)?;
    assert!(health["status"] == "healthy" && health["summary"]["unhealthy"] == 0, "{}", json.out);
    let told = without(&["system", "metrics"])?;
    assert!(
        told.code == 0 && told.out.starts_with("# HELP ") && told.out.contains("\nhive_"),
        "{}",
        told.out
    );
    assert_eq!(without(&["system"])?.code, 4, "the rest needs one");
    Ok(())
}

#[tokio::test]
async fn health_ends_with_9_while_a_hive_drains_and_says_which_part_is_not_well() -> Result<()> {
    let hive = Hive::start().await?;
    let mut slow = TcpStream::connect(hive.url.trim_start_matches("http://"))?;
    let login = format!("Authorization: Bearer {}", hive.token);
    write!(slow, "POST /api/v2/tasks HTTP/1.1\r\nHost: x\r\n{login}\r\nContent-Length: 13\r\n\r\n{{")?;
    let began = Instant::now();
    while !fine(&hive, &["system", "metrics"])?.0.contains("\nhive_http_bodies_in_flight_bytes 13\n") {
        assert!(began.elapsed() < tests::PATIENCE, "the call never came to be under way");
    }
    hive.signal(rustix::process::Signal::TERM)?;
    let health = loop {
        let health = run(at(&hive, &["system", "health"]))?;
        if health.code != 0 || began.elapsed() > tests::PATIENCE {
            break health;
        }
    };
    assert_eq!(health.code, 9, "{}{}", health.out, health.err);
    assert!(health.out.contains("degraded") && health.out.contains("draining"), "{}", health.out);
    assert!(health.err.starts_with("hive: "), "{}", health.err);
    Ok(())
}

#[tokio::test]
async fn performance_shows_the_figures_of_a_range_and_json_has_them_all() -> Result<()> {
    let (hive, _, _) = busy().await?;
    let (out, err) = fine(&hive, &["system", "performance", "--range", "90m"])?;
    for part in ["1 h 30 min", "requests", "latency", "p95", "submitted", "SINCE", "RUN P95"] {
        assert!(out.contains(part), "{part} in {out}");
    }
    assert!(err.contains("a line is 1 min"), "{err}");
    let json = shown(&hive, &["system", "performance", "--json"])?;
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(61));
    for range in ["4m", "31d", "90s", "5m30s", "soon"] {
        assert_eq!(run(at(&hive, &["system", "performance", "--range", range]))?.code, 2, "{range}");
    }
    Ok(())
}
