//! The OpenAPI document and what is made from it: the copies in `docs/`, the page, the lint, and schemathesis against a
//! real hive.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Hive, Options, program};

use crate::api_tasks::claim;

/// What a program that checks the document may take; schemathesis is done in a third of it.
const EXAMPLES: &str = "10";

pub(crate) fn document() -> Result<Value> {
    Ok(serde_json::to_value(api::openapi())?)
}

/// Where `tests/run` installs the programs that look at the document.
pub(crate) fn tool(path: &str) -> Result<PathBuf> {
    let target = program().parent().and_then(Path::parent).context("a target folder")?.to_owned();
    let tool = target.join("contract").join(path);
    ensure!(tool.exists(), "{} is not there: run `tests/run`, which installs it", tool.display());
    Ok(tool)
}

fn place(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Compares a file of `docs/` with what the program says; with HIVE_TESTS_UPDATE set, writes it.
pub(crate) fn expect_file(name: &str, value: &Value) -> Result<()> {
    let (path, text) = (place("../docs").join(name), format!("{value:#}\n"));
    if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
        std::fs::write(&path, text)?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
        bail!("docs/{name} is not what the program says; HIVE_TESTS_UPDATE=1 writes it anew");
    }
    Ok(())
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_pages_with_the_document_and_the_collection_are_what_the_program_says() -> Result<()> {
    let document = document()?;
    expect_file("openapi.json", &document)?;
    expect_file("agent-hive.postman_collection.json", &api::postman::collection(&document))
}

/// A part of a page, as it is served to whoever asks: of its kind, under a policy that lets nothing of another host in, and
/// only to be read.
pub async fn page_part(hive: &Hive, path: &str, kind: &str) -> Result<reqwest::Response> {
    let client = reqwest::Client::new();
    let answer = client.get(format!("{}{path}", hive.url)).send().await?;
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (StatusCode::OK, &kind.parse()?),
        "{path}"
    );
    let policy = answer.headers()["content-security-policy"].to_str()?.to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{policy}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer", "{path}");
    let refused = client.post(format!("{}{path}", hive.url)).send().await?;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["allow"]),
        (405, &"GET, HEAD".parse()?),
        "{path}"
    );
    Ok(answer)
}

#[tokio::test]
async fn a_hive_serves_the_document_and_its_page_to_whoever_asks() -> Result<()> {
    let hive = Hive::start().await?;
    let client = reqwest::Client::new();
    let served: Value = client.get(format!("{}/api/v2/openapi.json", hive.url)).send().await?.json().await?;
    assert_eq!(served, document()?);
    let mut all = String::new();
    for (path, kind) in [
        ("/api/docs", "text/html; charset=utf-8"),
        ("/api/docs/page.js", "text/javascript; charset=utf-8"),
        ("/api/docs/page.css", "text/css; charset=utf-8"),
    ] {
        let answer = page_part(&hive, path, kind).await?;
        assert!(answer.headers().contains_key("x-correlation-id"), "{path}");
        all.push_str(&answer.text().await?);
    }
    // It needs no other host: there is no address of one in it.
    for word in ["http://", "https://", "//cdn", "@import", "import("] {
        assert!(!all.contains(word), "the page has {word}");
    }
    for name in ["<script>", "style=", "onclick=\"", "innerHTML", "eval("] {
        assert!(!all.contains(name), "the page has {name}, which its policy forbids or which is unsafe");
    }
    Ok(())
}

#[tokio::test]
async fn a_browser_without_any_network_shows_every_operation_and_tries_them() -> Result<()> {
    let hive = Hive::start().await?;
    let chromium =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser"].into_iter().find(|path| Path::new(path).exists());
    let chromium = chromium.context("Chromium is not there: apt-get install -y chromium")?;
    let output = Command::new("node")
        .arg(place("openapi/page.mjs"))
        .arg(tool("node_modules/playwright-core/index.mjs")?)
        .args([chromium, &hive.url, &hive.token])
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", said(&output));
    let seen: Value = serde_json::from_slice(&output.stdout)?;
    let document = document()?;
    let items = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let known = items.filter_map(Value::as_object).flat_map(|item| item.values());
    let known: BTreeSet<&str> = known.filter_map(|operation| operation["operationId"].as_str()).collect();
    let cards = seen["operations"].as_array().context("cards")?;
    assert_eq!(cards.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>(), known);
    assert_eq!(
        (&seen["hosts"], &seen["complaints"]),
        (&json!([hive.url]), &json!([])),
        "it stays here, without a word"
    );
    assert_eq!(
        (&seen["refused"], &seen["found"]),
        (&json!("is not valid"), &json!(["POSTLease assignments"]))
    );
    assert_eq!(
        seen["complaintsOfRefusal"].as_array().map(Vec::len),
        Some(1),
        "{}",
        seen["complaintsOfRefusal"]
    );
    assert_eq!(
        (&seen["submitted"]["state"], &seen["shown"]["id"]),
        (&json!("queued"), &seen["submitted"]["id"])
    );
    let command = seen["command"].as_str().context("a command")?;
    assert!(command.starts_with("curl -X POST") && !command.contains(&hive.token), "{command}");
    Ok(())
}

#[test]
fn the_linter_finds_nothing_in_the_document() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, format!("{:#}", document()?))?;
    let output = Command::new(tool("node_modules/.bin/redocly")?)
        .args(["lint", "--format", "stylish", "--max-problems", "50", "--config"])
        .arg(place("openapi/redocly.yaml"))
        .arg(&file)
        .envs([("REDOCLY_TELEMETRY", "off"), ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true"), ("NO_COLOR", "1")])
        .stdin(Stdio::null())
        .output()?;
    let said = said(&output);
    ensure!(output.status.success() && said.contains("Your API description is valid"), "{said}");
    Ok(())
}

/// A hive in which there is something of everything, and whose processes find no programs.
async fn furnished() -> Result<Hive> {
    let hive = Hive::start_with(Options::default().set("PATH", "/nonexistent")).await?;
    let worker = hive.agent("worker", &[], 100).await?;
    let link =
        json!({"kind": "process", "command": ["/bin/true"], "env": {"TOKEN": "x"}, "timeout_ms": 1000});
    let process = hive.post("/api/v2/agents", &json!({"name": "process", "link": link}), 201).await?;
    let process = process["id"].as_str().context("an id")?;
    hive.post(&format!("/api/v2/agents/{process}/drain"), &json!({}), 200).await?;
    let dead = hive.submit(&json!({"title": "dead", "attempts_max": 1, "labels": {"a": "b"}})).await?;
    let done = hive.submit(&json!({"title": "done", "input": {"n": 1}})).await?;
    let working = hive.submit(&json!({"title": "working", "kind": "k", "requires": []})).await?;
    for _ in 0..3 {
        claim(&hive, &worker).await?;
    }
    let report = |id: &str, verb: &str| format!("/api/v2/tasks/{id}/{verb}");
    let error = json!({"attempt": 1, "error": {"kind": "k", "message": "m"}, "usage": {"cost_usd": 0.5}});
    hive.post(&report(&dead, "output"), &json!({"attempt": 1, "text": "t"}), 200).await?;
    hive.post(&report(&dead, "fail"), &error, 200).await?;
    hive.post(&report(&done, "complete"), &json!({"attempt": 1, "result": [1]}), 200).await?;
    hive.post(&report(&working, "heartbeat"), &json!({"attempt": 1, "progress": 0.5}), 200).await?;
    hive.post("/api/v2/queues/nightly/pause", &json!({}), 200).await?;
    hive.post("/api/v2/auth/keys", &json!({"name": "viewer", "role": "viewer"}), 201).await?;
    Ok(hive)
}

/// HIVE_TESTS_EXAMPLES takes another number of examples an operation, for a longer look by hand.
#[tokio::test]
async fn slow_schemathesis_finds_nothing_with_all_checks_and_the_links_followed() -> Result<()> {
    let hive = furnished().await?;
    let examples = std::env::var("HIVE_TESTS_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let folder = tempfile::tempdir()?;
    let output = Command::new(tool("venv/bin/schemathesis")?)
        .arg("--config-file")
        .arg(place("openapi/schemathesis.toml"))
        .args(["--no-color", "run", &format!("{}/api/v2/openapi.json", hive.url)])
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--workers", "1"])
        .args(["--seed", "1", "--max-examples", &examples, "--header"])
        .arg(format!("Authorization: Bearer {}", hive.token))
        .env("SCHEMATHESIS_HOOKS", place("openapi/hooks.py"))
        .env("HIVE_CONTRACT_URL", &hive.url)
        .env("HIVE_CONTRACT_TOKEN", &hive.token)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()?;
    let said = said(&output);
    ensure!(output.status.success(), "{said}\n{}", hive.log());
    // It says so itself when it could not reach an operation, or a phase found nothing to do.
    ensure!(said.contains("No issues found") && !said.contains("WARNINGS"), "{said}");
    for phase in ["Coverage", "Fuzzing", "Stateful"] {
        ensure!(
            said.lines().any(|line| line.contains('✅') && line.contains(phase)),
            "{phase} did not run: {said}"
        );
    }
    let health = hive.request(Method::GET, "/health").send().await?.json::<Value>().await?;
    assert_eq!(health["status"], "healthy", "{health}");
    Ok(())
}
