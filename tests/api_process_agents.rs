//! Process agents over HTTP: registered, changed, shown; what is refused, and what is never shown again.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Hive, Options, expect};

use crate::api_tasks::patch;

const SECRET: &str = "hunter2-swordfish-of-the-wire";

fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str()).collect()
}

/// A link that names everything.
fn everything() -> Value {
    json!({
        "kind": "process", "command": ["cat", "-u"], "args": ["-"], "cwd": "src", "env": {"KEY": SECRET, "B": ""},
        "inherit_env": ["PATH", "HOME"], "prompt": "argument", "result": "json-last", "timeout_ms": 600_000,
        "workspace": {"kind": "git_worktree", "repository": "/srv/repo", "base": "main", "keep": "always"},
        "limits": {"cpu_ms": 1_000, "memory_bytes": 1 << 30, "file_bytes": 1 << 20, "open_files": 64},
    })
}

#[tokio::test]
async fn a_process_agent_is_registered_and_shown_with_everything_but_the_values_of_its_environment()
-> Result<()> {
    let hive = Hive::start().await?;
    let body = json!({"name": "cat", "capacity": 3, "link": everything()});
    let agent = hive.post("/api/v2/agents", &body, 201).await?;
    let mut expected = everything();
    let link = expected.as_object_mut().context("an object")?;
    link.remove("env");
    link.insert("env_names".into(), json!(["B", "KEY"]));
    link.insert("inherit_env".into(), json!(["HOME", "PATH"]));
    link.insert("preset".into(), Value::Null);
    assert_eq!(agent["link"], expected);
    let path = format!("/api/v2/agents/{}", agent["id"].as_str().context("an id")?);
    assert_eq!(hive.get(&path).await?["link"], expected);
    assert_eq!(hive.get("/api/v2/agents").await?["items"][0]["link"], expected);
    let least = json!({"name": "least", "link": {"kind": "process", "command": ["cat"]}});
    let least = hive.post("/api/v2/agents", &least, 201).await?;
    let usual = json!({
        "kind": "process", "preset": null, "command": ["cat"], "args": [], "cwd": null, "env_names": [],
        "inherit_env": [], "prompt": "stdin", "result": "text", "workspace": {"kind": "none"}, "timeout_ms": null,
        "limits": {},
    });
    assert_eq!(least["link"], usual);
    Ok(())
}

#[tokio::test]
async fn an_agent_from_a_preset_shows_which_and_what_takes_its_place() -> Result<()> {
    let hive = Hive::start().await?;
    let body = json!({"name": "sh", "link": {"kind": "process", "preset": "shell", "timeout_ms": 5_000}});
    let agent = hive.post("/api/v2/agents", &body, 201).await?;
    let link = &agent["link"];
    assert_eq!((&link["preset"], &link["timeout_ms"]), (&json!("shell"), &json!(5_000)));
    let command = link["command"].as_array().context("a command")?;
    assert!(!command.is_empty(), "the preset's own: {link}");
    let path = format!("/api/v2/agents/{}", agent["id"].as_str().context("an id")?);
    let kept = patch(&hive, &path, &json!({"link": {"timeout_ms": 6_000}})).await?;
    assert_eq!(kept["link"]["preset"], "shell");
    let own = patch(&hive, &path, &json!({"link": {"command": ["cat"]}})).await?;
    assert_eq!((&own["link"]["preset"], &own["link"]["command"]), (&Value::Null, &json!(["cat"])));
    Ok(())
}

#[tokio::test]
async fn a_link_changes_field_by_field_and_stays_changed_over_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.post("/api/v2/agents", &json!({"name": "cat", "link": everything()}), 201).await?;
    let path = format!("/api/v2/agents/{}", agent["id"].as_str().context("an id")?);
    let mut expected = agent["link"].clone();
    for (field, value) in [
        ("args", json!(["x"])),
        ("cwd", json!("lib")),
        ("inherit_env", json!(["LANG"])),
        ("prompt", json!("file")),
        ("result", json!("text")),
        ("timeout_ms", json!(7)),
        ("limits", json!({"open_files": 99})),
        ("workspace", json!({"kind": "git_worktree", "repository": "/srv/other", "keep": "never"})),
        ("command", json!(["cat"])),
    ] {
        let changed = patch(&hive, &path, &json!({"link": {field: value}})).await?;
        expected[field] = value;
        assert_eq!(changed["link"], expected, "{field} and nothing else");
    }
    let changed = patch(&hive, &path, &json!({"link": {"env": {"OTHER": SECRET}}})).await?;
    expected["env_names"] = json!(["OTHER"]);
    assert_eq!(changed["link"], expected);
    hive.kill()?;
    let hive = Hive::start_with(options).await?;
    assert_eq!(hive.get(&path).await?["link"], expected);
    Ok(())
}

#[tokio::test]
async fn every_broken_rule_of_agent_and_link_is_told_at_once() -> Result<()> {
    let hive = Hive::start().await?;
    let body = json!({"name": "No Name", "capacity": 0, "link": {
        "kind": "process", "command": [], "env": {"HIVE_TOKEN": SECRET}, "timeout_ms": 0, "prompt": "pigeon",
        "workspace": {"kind": "directory", "path": "here", "base": "x"}, "limits": {"open_files": 1}, "shell": true,
    }});
    let problem = hive.post("/api/v2/agents", &body, 422).await?;
    assert_eq!(problem["code"], "unknown_field");
    let mut told = fields(&problem);
    told.sort_unstable();
    told.dedup();
    let expected = [
        "capacity",
        "link.command",
        "link.env.HIVE_TOKEN",
        "link.limits.open_files",
        "link.prompt",
        "link.shell",
        "link.timeout_ms",
        "link.workspace.base",
        "link.workspace.path",
        "name",
    ];
    assert_eq!(told, expected);
    for (link, field) in [
        (json!({"kind": "process"}), "link.command"),
        (json!({"kind": "process", "preset": "shell", "command": ["cat"]}), "link.preset"),
        (json!({"kind": "process", "preset": "no-such-preset"}), "link.preset"),
        (json!({"kind": "process", "command": ["no-such-program-anywhere"]}), "link.command"),
        (json!({"kind": "worker", "command": ["cat"]}), "link.command"),
        (json!({"kind": "robot"}), "link.kind"),
        (json!({}), "link.kind"),
    ] {
        let problem = hive.post("/api/v2/agents", &json!({"name": "a", "link": link}), 422).await?;
        assert_eq!(fields(&problem), [field], "{link}: {problem}");
    }
    assert_eq!(hive.get("/api/v2/agents").await?["items"], json!([]), "what is refused is not there");
    Ok(())
}

#[tokio::test]
async fn a_worker_becomes_no_process_and_a_process_no_worker() -> Result<()> {
    let hive = Hive::start().await?;
    let worker = hive.agent("worker", &[], 1).await?;
    let cat = json!({"name": "cat", "link": {"kind": "process", "command": ["cat"]}});
    let cat = hive.post("/api/v2/agents", &cat, 201).await?;
    let cat = cat["id"].as_str().context("an id")?;
    for (agent, link, field) in [
        (worker.as_str(), json!({"command": ["cat"]}), "link"),
        (worker.as_str(), json!({"kind": "process", "command": ["cat"]}), "link.kind"),
        (cat, json!({"kind": "worker"}), "link.kind"),
        (cat, json!({"kind": "process"}), "link.kind"),
        (cat, json!({"preset": "shell"}), "link.preset"),
    ] {
        let path = format!("/api/v2/agents/{agent}");
        let request = hive.request(Method::PATCH, &path).json(&json!({"link": link}));
        let problem = expect(request.send().await?, StatusCode::UNPROCESSABLE_ENTITY).await?;
        assert_eq!(fields(&problem), [field], "{link}: {problem}");
    }
    Ok(())
}

#[tokio::test]
async fn a_value_of_the_environment_is_in_no_answer_event_log_or_document() -> Result<()> {
    let options = Options::default().set("HIVE__LOG__LEVEL", "debug");
    let hive = Hive::start_with(options).await?;
    let agent = hive.post("/api/v2/agents", &json!({"name": "cat", "link": everything()}), 201).await?;
    let path = format!("/api/v2/agents/{}", agent["id"].as_str().context("an id")?);
    let mut told = vec![agent.to_string()];
    for (link, status) in [
        (everything(), 409),
        (json!({"kind": "process", "command": ["cat"], "env": SECRET}), 422),
        (json!({"kind": "process", "command": ["cat"], "env": {"A B": SECRET}}), 422),
        (json!({"kind": "process", "command": ["cat"], "env": {"A": format!("{SECRET}\0")}}), 422),
        (json!({"kind": "process", "command": ["no-such-program-anywhere"], "env": {"A": SECRET}}), 422),
    ] {
        let body = json!({"name": "cat", "link": link});
        told.push(hive.post("/api/v2/agents", &body, status).await?.to_string());
    }
    told.push(patch(&hive, &path, &json!({"link": {"env": {"A": SECRET}}})).await?.to_string());
    for path in [&path, "/api/v2/agents", "/api/v2/events", "/api/v2/system/actors", "/api/v2/openapi.json"] {
        told.push(hive.get(path).await?.to_string());
    }
    told.push(hive.request(Method::GET, "/metrics").send().await?.text().await?);
    told.push(hive.log());
    for text in told {
        assert!(!text.contains("hunter2"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_same_key_registers_one_process_agent() -> Result<()> {
    let hive = Hive::start().await?;
    let ask = async |timeout_ms: u64| -> Result<(u16, Value)> {
        let body =
            json!({"name": "cat", "link": {"kind": "process", "command": ["cat"], "timeout_ms": timeout_ms}});
        let request = hive.request(Method::POST, "/api/v2/agents").header("Idempotency-Key", "k").json(&body);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    };
    let (first, again, other) = (ask(1).await?, ask(1).await?, ask(2).await?);
    assert_eq!((first.0, again.0, &first.1), (201, 201, &again.1));
    assert_eq!((other.0, &other.1["code"]), (422, &json!("idempotency_mismatch")));
    Ok(())
}
