//! The page at `/`: what is served, and what a real browser makes of it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{Hive, Options, free_address};

use crate::openapi::{page_part, tool};

#[tokio::test]
async fn the_page_is_served_to_whoever_asks_and_nothing_of_it_is_elsewhere_or_inline() -> Result<()> {
    let hive = Hive::start().await?;
    let client = reqwest::Client::new();
    let mut all = String::new();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
    ] {
        let answer = page_part(&hive, path, kind).await?;
        let policy = answer.headers()["content-security-policy"].to_str()?;
        ensure!(policy.contains("; connect-src 'self';"), "{policy}");
        let text = answer.text().await?;
        ensure!(!text.contains(&hive.token), "{path}");
        all.push_str(&text);
        let head = client.head(format!("{}{path}", hive.url)).send().await?;
        assert_eq!((head.status(), head.text().await?.as_str()), (StatusCode::OK, ""), "{path}");
    }
    for word in [
        "http://",
        "https://",
        "//cdn",
        "@import",
        "import(",
        "<script>",
        "style=",
        "onclick=\"",
        "innerHTML",
        "eval(",
    ] {
        ensure!(!all.contains(word), "the page has {word}");
    }
    Ok(())
}

/// A browser that goes through `front_page/page.mjs`, a step at a time.
struct Browser {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    fn start(hive: &Hive) -> Result<Self> {
        let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
        let chromium = chromium.into_iter().find(|path| Path::new(path).exists());
        let chromium = chromium.context("Chromium is not there: apt-get install -y chromium")?;
        let mut command = Command::new("node");
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("front_page/page.mjs"))
            .arg(tool("node_modules/playwright-core/index.mjs")?)
            .args([chromium, &hive.url, &hive.token]);
        // Where somebody wants to look at it.
        command.args(std::env::var_os("HIVE_TESTS_PICTURES"));
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("its words")?).lines();
        Ok(Self { child, lines })
    }

    /// What it saw when its next step is done.
    fn saw(&mut self) -> Result<Value> {
        let line = self.lines.next().context("the browser ended early; it says why above")??;
        Ok(serde_json::from_str(&line)?)
    }

    fn go_on(&mut self) -> Result<()> {
        Ok(self.child.stdin.as_mut().context("its ear")?.write_all(b"\n")?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It closes what it started when its ear closes; one that hangs has a time of its own for each step.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_browser_signs_in_by_the_link_and_watches_tasks_a_restart_and_an_alert() -> Result<()> {
    let (folder, address) = (tempfile::tempdir()?, free_address()?);
    let start = || Hive::start_with(Options::default().folder(&folder.path().join("data")).bind(&address));
    let mut hive = start().await?;
    let mut browser = Browser::start(&hive)?;

    let seen = browser.saw()?;
    let hint = seen["hint"].as_str().context("a hint")?;
    ensure!(hint.contains("cat hive-data/admin.token") && hint.contains("hive auth key create"), "{hint}");
    assert_eq!((&seen["focus"], &seen["shown"]), (&json!("token"), &json!(false)));
    let refused = seen["refused"].as_str().context("a refusal")?;
    ensure!(refused.starts_with("This token is not valid here."), "{refused}");
    // The browser itself complains of the 401, and of nothing else.
    let complaints = seen["complaintsOfRefusal"].as_array().context("complaints")?;
    ensure!(complaints.len() == 1 && complaints[0].to_string().contains("401"), "{complaints:?}");
    browser.go_on()?;

    let seen = browser.saw()?;
    assert_eq!(seen["address"], format!("{}/", hive.url), "the token is gone from the address");
    assert_eq!(seen["isKept"], true, "this tab knows it after a reload");
    browser.go_on()?;

    let ada = hive.agent("ada", &[], 20).await?;
    let hostile = "<img src=x onerror=alert(1)><b>bold</b>";
    hive.submit(&json!({"title": "count the words"})).await?;
    hive.submit(&json!({"title": hostile})).await?;
    let work = async |verb: &str, report: Value| -> Result<()> {
        for assignment in hive.lease(&ada, 20, 10_000).await? {
            let task = assignment["task_id"].as_str().context("an id")?;
            let mut report = report.clone();
            report["attempt"] = assignment["attempt"].clone();
            hive.post(&format!("/api/v2/tasks/{task}/{verb}"), &report, 200).await?;
        }
        Ok(())
    };
    work("complete", json!({"result": 1})).await?;
    let seen = browser.saw()?;
    assert_eq!(seen["titles"], json!([hostile, "count the words"]), "a name is text and nothing else");
    assert_eq!(seen["images"], 0);
    ensure!(seen["agents"].to_string().contains("ada"), "{}", seen["agents"]);
    let before = ascending(&seen["seqs"])?;
    hive.kill()?;
    browser.go_on()?;

    let away = browser.saw()?;
    assert_eq!(away["away"], "reconnecting");
    drop(hive);
    let hive = start().await?;
    hive.submit(&json!({"title": "after the restart", "attempts_max": 1})).await?;
    browser.go_on()?;
    let seen = browser.saw()?;
    let seqs = ascending(&seen["seqs"])?;
    ensure!(seqs.starts_with(&before) && seqs.len() > before.len(), "{seqs:?} after {before:?}");
    let (first, last) = (seqs[0], seqs[seqs.len() - 1]);
    let whole: Vec<i64> = (first..=last).collect();
    assert_eq!(seqs, whole, "no hole and no double across the restart");
    assert_eq!((&seen["notes"], &seen["complaintsOfRestart"]), (&json!([]), &json!([])));

    let tasks: Vec<Value> =
        (0..10).map(|number| json!({"title": format!("dead {number}"), "attempts_max": 1})).collect();
    hive.post("/api/v2/tasks/bulk", &json!({"tasks": tasks}), 200).await?;
    let error = json!({"error": {"kind": "broken", "message": "it cannot be done"}});
    while hive.get("/api/v2/system").await?["tasks"]["failed"].as_i64() < Some(11) {
        let assignments = hive.lease(&ada, 20, 10_000).await?;
        ensure!(!assignments.is_empty(), "not all of them came");
        for assignment in assignments {
            let task = assignment["task_id"].as_str().context("an id")?;
            let mut report = error.clone();
            report["attempt"] = assignment["attempt"].clone();
            hive.post(&format!("/api/v2/tasks/{task}/fail"), &report, 200).await?;
        }
    }
    browser.go_on()?;
    let seen = browser.saw()?;
    let alert = seen["alert"]["text"].as_str().context("an alert")?;
    ensure!(alert.starts_with("dead_letter_burst: 1") && alert.contains("/api/v2/dead-letters"), "{alert}");
    assert_eq!((&seen["alert"]["role"], &seen["overflow"]), (&json!("alert"), &json!(0)));
    browser.go_on()?;

    let seen = browser.saw()?;
    assert_eq!((&seen["forgotten"], &seen["leftovers"]), (&Value::Null, &json!([0, 0, 0, 0])));
    assert_eq!(seen["complaints"], json!([]), "not a word on the console");
    assert_eq!(seen["requests"], json!([address]), "it asks this hive and nobody else");
    assert_eq!(seen["leaks"], json!([]), "no address that it asked for holds the token");
    hive.until("/api/dashboard/websocket/stats", |stats| stats["websocket_stats"]["total_connections"] == 0)
        .await?;
    browser.go_on()?;
    ensure!(browser.child.wait()?.success());
    ensure!(!hive.log().contains(&hive.token), "the token is in no log");
    Ok(())
}

fn ascending(seqs: &Value) -> Result<Vec<i64>> {
    let newest_first = seqs.as_array().context("a list")?;
    newest_first.iter().rev().map(|seq| seq.as_i64().context("a seq")).collect()
}
