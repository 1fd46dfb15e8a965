//! `hive task …` over the real program.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::Hive;

use crate::cli::{at, fine, finish, run, run_with, shown, told};

/// Submits a task over the command line and answers its id.
fn submitted(hive: &Hive, arguments: &[&str]) -> Result<String> {
    let (out, _) = fine(hive, &[&["task", "submit"], arguments].concat())?;
    Ok(out.trim_end().to_owned())
}

#[tokio::test]
async fn submit_prints_the_id_alone_and_every_flag_reaches_the_task() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &["rust", "docker"], 1).await?;
    let flags = "--input|{\"b\": 1.0}|--queue|night|--kind|report|--priority|9|--requires|rust,docker\
        |--label|team=blue|--label|a=b=c|--agent|ada|--delay|42m30s|--idempotency-key|k1|--attempts-max|7\
        |--backoff-initial|2s|--backoff-factor|1.5|--backoff-max|1m|--backoff-jitter|0\
        |--timeout-schedule-to-start|1h|--timeout-start-to-close|2h|--timeout-heartbeat|10s|--timeout-schedule-to-close|1d";
    let flags: Vec<&str> = flags.split('|').collect();
    let (out, err) = fine(&hive, &[&["task", "submit", "Write it"], &flags[..]].concat())?;
    let id = out.strip_suffix('\n').context("a line")?;
    assert!(id.starts_with("task_") && id.len() == 18, "{out:?}");
    assert_eq!(err, "");
    let task = hive.get(&format!("/api/v2/tasks/{id}")).await?;
    let expected = json!({
        "title": "Write it", "input": {"b": 1.0}, "queue": "night", "kind": "report", "priority": 9,
        "requires": ["docker", "rust"], "labels": {"team": "blue", "a": "b=c"}, "agent_id": agent,
        "state": "scheduled", "attempts_max": 7,
        "backoff": {"initial_ms": 2_000, "factor": 1.5, "max_ms": 60_000, "jitter": 0.0},
        "timeouts": {"schedule_to_start_ms": 3_600_000, "start_to_close_ms": 7_200_000, "heartbeat_ms": 10_000,
            "schedule_to_close_ms": 86_400_000},
    });
    for (field, value) in expected.as_object().context("an object")? {
        let mut there = task[field].clone();
        if let Some(names) = there.as_array_mut() {
            names.sort_by_key(ToString::to_string);
        }
        assert_eq!(&there, value, "{field}");
    }
    Ok(())
}

#[tokio::test]
async fn a_delay_is_read_whole_or_refused() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("ada", &[], 1).await?;
    let task = shown(&hive, &["task", "submit", "t", "--delay", "42m30s", "--json"])?;
    let seconds = |field: &str| -> Result<f64> {
        let text = task[field].as_str().context(field.to_owned())?;
        let clock = text.get(11..text.len() - 1).context("a time of day")?;
        let parts: Vec<f64> = clock.split(':').map(str::parse).collect::<Result<_, _>>()?;
        Ok(parts[0] * 3_600.0 + parts[1] * 60.0 + parts[2])
    };
    let delay = (seconds("eligible_at")? - seconds("created_at")?).rem_euclid(86_400.0);
    assert!((delay - 2_550.0).abs() < 0.001, "{delay} s in {task}");
    for wrong in ["42m30sx", "42m30", "42m 30s", "30", "", "-5s", "1.5h"] {
        let told = run(at(&hive, &["task", "submit", "t", &format!("--delay={wrong}")]))?;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{wrong:?}: {}", told.err);
        assert!(told.err.contains("--delay"), "{wrong:?}: {}", told.err);
    }
    assert_eq!(hive.get("/api/v2/system").await?["tasks"]["total"], 1, "what is refused is not submitted");
    Ok(())
}

#[tokio::test]
async fn input_comes_byte_for_byte_from_the_flag_a_file_or_stdin() -> Result<()> {
    let hive = Hive::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("in.json");
    std::fs::write(&file, "{\"from\":  \"file\", \"n\": 1.50}\n")?;
    let inputs = [
        (submitted(&hive, &["a", "--input", "[1,  2]"])?, "[1,  2]"),
        (
            submitted(&hive, &["b", "--input", &format!("@{}", file.display())])?,
            "{\"from\":  \"file\", \"n\": 1.50}",
        ),
        (
            run_with(at(&hive, &["task", "submit", "c", "--input", "-"]), "{\"from\": \"stdin\"}\n")?.out,
            "{\"from\": \"stdin\"}",
        ),
        (submitted(&hive, &["d", "--input", "-1"])?, "-1"),
    ];
    for (id, input) in inputs {
        let (out, _) = fine(&hive, &["task", "show", id.trim(), "--json"])?;
        assert!(out.contains(&format!("\"input\":{input}")), "{input} in {out}");
    }
    for (wrong, stdin) in [("hello", ""), ("-", "{"), ("@/nowhere", "")] {
        let told = run_with(at(&hive, &["task", "submit", "t", "--input", wrong]), stdin)?;
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{wrong}: {}", told.err);
    }
    Ok(())
}

#[tokio::test]
async fn submit_that_waits_ends_with_the_result_on_stdout() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let waiting = at(&hive, &["task", "submit", "t", "--wait", "--timeout", "1m"]).spawn()?;
    finish(&hive, &agent, "complete", json!({"result": {"words": [1, 2]}})).await?;
    let told = told(waiting)?;
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, "{\"words\":[1,2]}\n", ""));
    Ok(())
}

#[tokio::test]
async fn a_task_that_fails_or_is_canceled_ends_its_wait_with_1_and_nothing_on_stdout() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let waiting = at(&hive, &["task", "submit", "t", "--wait"]).spawn()?;
    let error = json!({"error": {"kind": "broken", "message": "the model is out"}, "retryable": false});
    let task = finish(&hive, &agent, "fail", error).await?;
    let told = told(waiting)?;
    assert_eq!((told.code, told.out.as_str()), (1, ""));
    assert_eq!(told.err, format!("{task} failed after 1 attempt: broken: the model is out\n"));

    let canceled = submitted(&hive, &["u", "--delay", "1h"])?;
    fine(&hive, &["task", "cancel", &canceled])?;
    let told = run(at(&hive, &["task", "wait", &canceled]))?;
    assert_eq!((told.code, told.out.as_str()), (1, ""));
    assert!(told.err.contains(&format!("{canceled} is canceled")), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn a_wait_that_is_over_ends_with_7_and_the_task_goes_on() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let told = run(at(&hive, &["task", "submit", "t", "--wait", "--timeout", "100ms"]))?;
    assert_eq!((told.code, told.out.as_str()), (7, ""));
    assert!(
        told.err.contains("is still queued") && told.err.contains("hive task wait task_"),
        "{}",
        told.err
    );
    let task = finish(&hive, &agent, "complete", json!({"result": 5})).await?;
    let told = run(at(&hive, &["task", "wait", &task, "--timeout", "0s"]))?;
    assert_eq!((told.code, told.out.as_str()), (0, "5\n"));
    Ok(())
}

#[tokio::test]
async fn a_wait_for_several_prints_one_line_each_in_their_order() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let first = submitted(&hive, &["first"])?;
    finish(&hive, &agent, "complete", json!({"result": {"a": "b c"}})).await?;
    let second = submitted(&hive, &["second"])?;
    let failed = json!({"error": {"kind": "x", "message": "y"}, "retryable": false});
    finish(&hive, &agent, "fail", failed).await?;
    let third = submitted(&hive, &["third"])?;
    finish(&hive, &agent, "complete", json!({})).await?;
    let told = run(at(&hive, &["task", "wait", &third, &first, &second]))?;
    assert_eq!((told.code, told.out.as_str()), (1, "null\n{\"a\":\"b c\"}\nnull\n"));
    assert!(told.err.starts_with(&second), "{}", told.err);
    let told = run(at(&hive, &["task", "wait", &first, &third, "--json"]))?;
    let ids: Vec<Value> = told.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!((told.code, &ids[0]["id"], &ids[1]["id"]), (0, &json!(first), &json!(third)));
    Ok(())
}

#[tokio::test]
async fn a_wait_survives_a_restart_of_the_hive() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = tests::Options::default().folder(&folder.path().join("data")).bind(tests::free_address()?);
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let task = submitted(&hive, &["t"])?;
    let waiting = at(&hive, &["task", "wait", &task, "--timeout", "1m"]).spawn()?;
    hive.kill()?;
    let hive = Hive::start_with(options).await?;
    finish(&hive, &agent, "complete", json!({"result": "kept"})).await?;
    let told = told(waiting)?;
    assert_eq!((told.code, told.out.as_str()), (0, "\"kept\"\n"), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn the_list_filters_by_each_flag_and_goes_on_by_its_cursor() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let done = submitted(&hive, &["done", "--queue", "q1", "--kind", "k1", "--label", "team=blue"])?;
    finish(&hive, &agent, "complete", json!({"result": 1})).await?;
    let other = submitted(&hive, &["other", "--queue", "q2"])?;
    let later = submitted(&hive, &["later", "--delay", "1h"])?;
    for flags in [
        &["--state", "completed"][..],
        &["--queue", "q1"],
        &["--kind", "k1"],
        &["--label", "team=blue"],
        &["--agent", "ada"],
        &["--agent", &agent],
        &["--queue", "q1", "--state", "completed", "--label", "team=blue"],
    ] {
        let (out, err) = fine(&hive, &[&["task", "list"], flags].concat())?;
        let rows: Vec<&str> = out.lines().skip(1).collect();
        assert_eq!((rows.len(), err.as_str()), (1, ""), "{flags:?}: {out}");
        assert!(rows[0].starts_with(&done) && rows[0].contains("completed"), "{flags:?}: {out}");
    }
    let (out, err) = fine(&hive, &["task", "list", "--limit", "2"])?;
    let found: Vec<&str> = out.lines().skip(1).filter_map(|row| row.split_whitespace().next()).collect();
    assert_eq!(found, [later.as_str(), other.as_str()], "newest first");
    let cursor = err.trim().rsplit(' ').next().context("a cursor")?;
    let (out, err) = fine(&hive, &["task", "list", "--limit", "2", "--cursor", cursor])?;
    assert!(out.lines().nth(1).context("a row")?.starts_with(&done), "{out}");
    assert!(!err.contains("--cursor"), "{err}");
    let told = run(at(&hive, &["task", "list", "--queue", "nobody"]))?;
    assert_eq!((told.code, told.out.as_str(), told.err.as_str()), (0, "", "no tasks\n"));
    assert_eq!(run(at(&hive, &["task", "list", "--state", "done"]))?.code, 2);
    Ok(())
}

#[tokio::test]
async fn show_tells_input_result_attempts_and_why_one_failed() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let flags = [
        "t",
        "--input",
        "{\"x\": 1}",
        "--label",
        "team=blue",
        "--backoff-initial",
        "1ms",
        "--backoff-jitter",
        "0",
    ];
    let task = submitted(&hive, &flags)?;
    finish(&hive, &agent, "fail", json!({"error": {"kind": "flaky", "message": "try again"}})).await?;
    let done = json!({"result": {"y": 2}, "usage": {"input_tokens": 1_812}});
    finish(&hive, &agent, "complete", done).await?;
    let (out, err) = fine(&hive, &["task", "show", &task])?;
    assert_eq!(err, "");
    for part in
        ["completed", "team=blue", "{\"x\": 1}", "{\"y\":2}", "1,812 tokens in", "flaky: try again", "1 of 3"]
    {
        assert!(out.contains(part), "{part} in {out}");
    }
    let attempts: Vec<&str> = out.lines().filter(|line| line.contains(&agent)).collect();
    assert!(attempts.iter().any(|line| line.contains("succeeded")), "{out}");
    assert!(attempts.iter().any(|line| line.contains("failed")), "{out}");
    Ok(())
}

#[tokio::test]
async fn cancel_ends_a_waiting_task_asks_the_holder_of_a_working_one_and_takes_it_with_force() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let waiting = submitted(&hive, &["t", "--delay", "1h"])?;
    let (out, err) = fine(&hive, &["task", "cancel", &waiting])?;
    assert_eq!((out, err), (String::new(), format!("{waiting} is canceled\n")));
    let working = submitted(&hive, &["u"])?;
    hive.lease(&agent, 1, 10_000).await?;
    let (out, err) = fine(&hive, &["task", "cancel", &working])?;
    assert_eq!(out, "");
    assert!(err.contains("asked to end it") && err.contains("--force"), "{err}");
    let task = hive.get(&format!("/api/v2/tasks/{working}")).await?;
    assert_eq!((&task["state"], &task["cancel_requested"]), (&json!("working"), &json!(true)));
    let (_, err) = fine(&hive, &["task", "cancel", &working, "--force"])?;
    assert_eq!(err, format!("{working} is canceled\n"));
    Ok(())
}

#[tokio::test]
async fn retry_puts_a_dead_letter_back_and_it_completes() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let task = submitted(&hive, &["t", "--queue", "night"])?;
    let failed = json!({"error": {"kind": "x", "message": "y"}, "retryable": false});
    finish(&hive, &agent, "fail", failed).await?;
    let (out, err) = fine(&hive, &["task", "retry", &task])?;
    assert_eq!((out, err), (String::new(), format!("{task} is queued again, in the queue night\n")));
    assert_eq!(finish(&hive, &agent, "complete", json!({"result": 1})).await?, task);
    assert_eq!(fine(&hive, &["task", "wait", &task])?.0, "1\n");
    Ok(())
}

#[tokio::test]
async fn output_is_printed_as_it_was_written_attempt_by_attempt() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let task = submitted(&hive, &["t", "--backoff-initial", "1ms", "--backoff-jitter", "0"])?;
    for (attempt, texts, verb) in [(1, ["one\n", "two"], "fail"), (2, ["three ", "four\n"], "complete")] {
        let held = hive.lease(&agent, 1, 10_000).await?;
        assert_eq!(held[0]["attempt"], attempt);
        for text in texts {
            let body = json!({"attempt": attempt, "text": text});
            hive.post(&format!("/api/v2/tasks/{task}/output"), &body, 200).await?;
        }
        let mut report = json!({"attempt": attempt});
        if verb == "fail" {
            report["error"] = json!({"kind": "x", "message": "y"});
        }
        hive.post(&format!("/api/v2/tasks/{task}/{verb}"), &report, 200).await?;
    }
    assert_eq!(fine(&hive, &["task", "output", &task])?, ("three four\n".to_owned(), String::new()));
    assert_eq!(fine(&hive, &["task", "output", &task, "--attempt", "1"])?.0, "one\ntwo");
    let (out, err) = fine(&hive, &["task", "output", &task, "--attempt", "9"])?;
    assert_eq!((out.as_str(), err.contains("attempt 9 has written nothing")), ("", true), "{err}");
    Ok(())
}

/// A command that runs, and the lines that it printed so far.
struct Reading {
    child: std::process::Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Reading {
    fn start(mut command: std::process::Command) -> Result<Self> {
        let mut child = command.spawn()?;
        let out = std::io::BufReader::new(child.stdout.take().context("a stdout")?);
        let (tell, lines) = std::sync::mpsc::channel();
        std::thread::Builder::new().spawn(move || {
            for line in std::io::BufRead::lines(out).map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { child, lines })
    }

    fn line(&self) -> Result<String> {
        Ok(self.lines.recv_timeout(tests::PATIENCE)?)
    }
}

async fn write(hive: &Hive, task: &str, attempt: u32, text: &str) -> Result<()> {
    let body = json!({"attempt": attempt, "text": text});
    hive.post(&format!("/api/v2/tasks/{task}/output"), &body, 200).await.map(|_| ())
}

#[tokio::test]
async fn output_that_is_followed_is_printed_as_it_comes_and_ends_with_the_task() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let task = submitted(&hive, &["t", "--backoff-initial", "1ms", "--backoff-jitter", "0"])?;
    hive.lease(&agent, 1, 10_000).await?;
    write(&hive, &task, 1, "stored\n").await?;
    let reading = Reading::start(at(&hive, &["task", "output", &task, "--follow"]))?;
    assert_eq!(reading.line()?, "stored");
    write(&hive, &task, 1, "live\n").await?;
    assert_eq!(reading.line()?, "live");
    let failed = json!({"attempt": 1, "error": {"kind": "x", "message": "y"}});
    hive.post(&format!("/api/v2/tasks/{task}/fail"), &failed, 200).await?;
    hive.lease(&agent, 1, 10_000).await?;
    write(&hive, &task, 2, "again\n").await?;
    assert_eq!(reading.line()?, "again");
    let failed = json!({"attempt": 2, "error": {"kind": "x", "message": "y"}, "retryable": false});
    hive.post(&format!("/api/v2/tasks/{task}/fail"), &failed, 200).await?;
    let told = told(reading.child)?;
    assert_eq!(told.code, 0, "the end was seen: {}", told.err);
    let expected = format!("attempt 2\n{task} failed after 2 attempts: x: y\n");
    assert_eq!(told.err, expected);
    let (out, err) = fine(&hive, &["task", "output", &task, "-f", "--json"])?;
    let piece: Value = serde_json::from_str(out.trim_end())?;
    assert_eq!((&piece["text"], &piece["attempt"], err.as_str()), (&json!("again\n"), &json!(2), ""));
    assert_eq!(run(at(&hive, &["task", "output", &task, "-f", "--attempt", "1"]))?.code, 2);
    assert_eq!(run(at(&hive, &["task", "output", "task_0000000000001", "-f"]))?.code, 5);
    Ok(())
}

#[tokio::test]
async fn following_output_survives_a_restart_of_the_hive_and_repeats_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = tests::Options::default().folder(&folder.path().join("data")).bind(tests::free_address()?);
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let task = submitted(&hive, &["t"])?;
    hive.lease(&agent, 1, 10_000).await?;
    write(&hive, &task, 1, "before\n").await?;
    let reading = Reading::start(at(&hive, &["task", "output", &task, "--follow"]))?;
    assert_eq!(reading.line()?, "before");
    hive.kill()?;
    let hive = Hive::start_with(options).await?;
    write(&hive, &task, 1, "after\n").await?;
    assert_eq!(reading.line()?, "after");
    hive.post(&format!("/api/v2/tasks/{task}/complete"), &json!({"attempt": 1}), 200).await?;
    assert!(reading.line().is_err(), "nothing twice");
    assert_eq!(told(reading.child)?.code, 0);
    Ok(())
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_task_and_says_so() -> Result<()> {
    let hive = Hive::start().await?;
    hive.agent("ada", &[], 1).await?;
    let arguments = ["task", "submit", "t", "--idempotency-key", "k"];
    let (first, err) = fine(&hive, &arguments)?;
    assert_eq!(err, "");
    let (second, err) = fine(&hive, &arguments)?;
    assert_eq!(first, second);
    assert!(err.contains("this key was used before"), "{err}");
    assert_eq!(hive.get("/api/v2/system").await?["tasks"]["total"], 1);
    Ok(())
}

#[tokio::test]
async fn a_note_says_when_no_agent_can_take_the_task() -> Result<()> {
    let hive = Hive::start().await?;
    let (out, err) = fine(&hive, &["task", "submit", "t"])?;
    assert!(out.starts_with("task_") && out.lines().count() == 1, "{out}");
    assert!(err.contains("no registered agent can take this yet") && err.contains("hive agent add"), "{err}");
    hive.agent("ada", &["rust"], 1).await?;
    assert_eq!(fine(&hive, &["task", "submit", "t", "--requires", "rust"])?.1, "");
    let (_, err) = fine(&hive, &["task", "submit", "t", "--requires", "rust,docker", "--queue", "q"])?;
    assert!(err.contains("it needs: docker, rust") || err.contains("it needs: rust, docker"), "{err}");
    assert!(err.contains("in the queue q"), "{err}");
    Ok(())
}

#[tokio::test]
async fn a_unique_key_names_the_task_that_has_it_or_refuses() -> Result<()> {
    let hive = Hive::start().await?;
    let first = submitted(&hive, &["t", "--unique", "k"])?;
    let (out, err) = fine(&hive, &["task", "submit", "t", "--unique", "k"])?;
    assert_eq!(out.trim_end(), first);
    assert!(err.contains(&format!("{first} has this unique key; nothing new was submitted")), "{err}");
    let told = run(at(&hive, &["task", "submit", "t", "--unique", "k", "--unique-reject"]))?;
    assert_eq!((told.code, told.out.as_str()), (6, ""));
    assert!(told.err.contains(&first), "{}", told.err);
    fine(&hive, &["task", "cancel", &first])?;
    let second = submitted(&hive, &["t", "--unique", "k", "--unique-until", "forever"])?;
    assert_ne!(second, first);
    fine(&hive, &["task", "cancel", &second])?;
    assert_eq!(submitted(&hive, &["t", "--unique", "k"])?, second, "for ever");
    submitted(&hive, &["t", "--unique", "day", "--unique-until", "1d"])?;
    let told = run(at(&hive, &["task", "submit", "t", "--unique", "k", "--unique-until", "soon"]))?;
    assert_eq!(told.code, 2);
    assert!(told.err.contains("terminal or forever"), "{}", told.err);
    Ok(())
}

#[tokio::test]
async fn many_tasks_are_handed_in_line_by_line_and_a_refused_one_is_named() -> Result<()> {
    let hive = Hive::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tasks.jsonl");
    let lines = (0..1_500).map(|number| format!("{{\"title\":\"t{number}\",\"input\":{number}}}\n"));
    std::fs::write(&file, lines.collect::<String>())?;
    let file = file.to_str().context("a path")?;
    let (out, err) = fine(&hive, &["task", "bulk", file, "--idempotency-key", "k"])?;
    let ids: Vec<&str> = out.lines().collect();
    assert_eq!((ids.len(), err.as_str()), (1_500, ""));
    assert_eq!(hive.get(&format!("/api/v2/tasks/{}", ids[1_234])).await?["input"], 1_234);
    let (again, _) = fine(&hive, &["task", "bulk", file, "--idempotency-key", "k"])?;
    assert_eq!(again, out, "the same key makes each task once");
    let bad = "{\"title\":\"good\"}\n\n{\"title\":\"\"}\n{\"title\":\"good\"}\n";
    let told = run_with(at(&hive, &["task", "bulk", "-"]), bad)?;
    assert_eq!((told.code, told.out.lines().count()), (8, 2), "{}", told.err);
    assert!(told.err.contains("line 3: ") && told.err.contains("title: must be"), "{}", told.err);
    let told = run_with(at(&hive, &["task", "bulk", "-"]), "{\"title\":\"good\"}\nno task\n")?;
    assert_eq!((told.code, told.out.as_str()), (2, ""), "nothing is handed in: {}", told.err);
    assert!(told.err.contains("line 2 of -"), "{}", told.err);
    Ok(())
}
