//! The hive about itself.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;
use tests::{Hive, Options};

use crate::api_tasks::{act, claim};

#[tokio::test]
async fn the_one_node_tells_its_process_its_attempts_and_what_it_uses() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    let nodes = hive.get("/api/v2/system/nodes").await?;
    let [node] = nodes["items"].as_array().context("items")?.as_slice() else { panic!("{nodes}") };
    let system = hive.get("/api/v2/system").await?;
    for member in ["node", "phase", "version", "started_at"] {
        assert_eq!(node[member], system[member], "{member}");
    }
    assert_eq!((&node["pid"], &node["attempts"]), (&json!(hive.pid()), &json!(1)));
    // Those that wait for the disk come and go.
    assert!(node["threads"].as_u64().is_some_and(|threads| (4..100).contains(&threads)), "{node}");
    let resident = node["memory_bytes"].as_u64().context("memory")?;
    assert!((1 << 20..1 << 30).contains(&resident), "{resident} bytes");
    assert!(node["cpu_ms"].as_u64().is_some_and(|ms| ms < 60_000), "{node}");
    Ok(())
}

#[tokio::test]
async fn performance_over_time_counts_requests_and_tasks_and_measures_waits_and_runs() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 9).await?;
    let began = std::time::Instant::now();
    let done = hive.submit(&json!({"title": "done"})).await?;
    let tried =
        hive.submit(&json!({"title": "tried", "attempts_max": 2, "backoff": {"initial_ms": 1}})).await?;
    hive.submit(&json!({"title": "later", "delay_ms": 3_600_000})).await?;
    claim(&hive, &agent).await?;
    claim(&hive, &agent).await?;
    let error = json!({"kind": "e", "message": "m"});
    act(&hive, &done, "complete", &json!({"attempt": 1}), 200).await?;
    act(&hive, &tried, "fail", &json!({"attempt": 1, "error": error}), 200).await?;
    claim(&hive, &agent).await?;
    act(&hive, &tried, "fail", &json!({"attempt": 2, "error": error}), 200).await?;
    hive.get("/api/v2/system").await?;
    let held_ms = began.elapsed().as_secs_f64() * 1_000.0;

    let told = hive.get("/api/v2/monitoring/performance?range=5m").await?;
    let total = &told["total"];
    for (member, count) in [("submitted", 3), ("started", 3), ("completed", 1), ("retried", 1), ("failed", 1)]
    {
        assert_eq!(total[member], count, "{member} of {total}");
    }
    assert_eq!(
        (&total["wait_ms"]["count"], &total["run_ms"]["count"], &total["errors"]),
        (&json!(3), &json!(3), &json!(0))
    );
    // One registration, three submits, three lease calls, three ends and one question; the calls for work wait on purpose.
    assert_eq!((&total["requests"], &total["request_ms"]["count"]), (&json!(11), &json!(8)));
    for times in ["request_ms", "wait_ms", "run_ms"] {
        let of = |member: &str| total[times][member].as_f64().context("milliseconds");
        let ascending = [of("p50")?, of("p95")?, of("p99")?, of("max")?];
        assert!(
            ascending.is_sorted() && ascending[3] <= held_ms * 1.01,
            "{times} {ascending:?} within {held_ms} ms"
        );
        assert!(ascending[0] > 0.0, "{times} is measured");
    }
    let steps = told["steps"].as_array().context("steps")?;
    assert_eq!((&told["step_seconds"], steps.len()), (&json!(60), 6));
    let submitted: u64 = steps.iter().filter_map(|step| step["submitted"].as_u64()).sum();
    assert_eq!(submitted, 3);
    assert_eq!(
        steps[0]["request_ms"],
        json!({"count": 0, "p50": null, "p95": null, "p99": null, "max": null})
    );
    Ok(())
}

#[tokio::test]
async fn performance_survives_a_stop_and_what_a_kill_leaves_out_is_not_made_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = Options::default().folder(&folder.path().join("data"));
    let mut hive = Hive::start_with(options.clone()).await?;
    hive.submit(&json!({"title": "t"})).await?;
    hive.terminate().await?;
    let mut hive = Hive::start_with(options.clone()).await?;
    hive.submit(&json!({"title": "t"})).await?;
    for range in ["5m", "24h", "25h", "30d"] {
        // What was answered is counted a moment later.
        let path = format!("/api/v2/monitoring/performance?range={range}");
        hive.until(&path, |told| told["total"]["submitted"] == 2).await?;
    }
    hive.kill()?;
    let hive = Hive::start_with(options).await?;
    let told = hive.get("/api/v2/monitoring/performance").await?;
    assert_eq!(told["total"]["submitted"], 1, "its last minute went with the killed one");
    Ok(())
}

#[tokio::test]
async fn a_range_that_is_none_is_refused_by_its_name() -> Result<()> {
    let hive = Hive::start().await?;
    for range in ["4m", "31d", "1", "-1h", ""] {
        let answer = hive
            .request(Method::GET, &format!("/api/v2/monitoring/performance?range={range}"))
            .send()
            .await?;
        assert_eq!(answer.status(), 422, "{range}");
        let problem: serde_json::Value = answer.json().await?;
        assert_eq!(problem["errors"][0]["field"], "range");
    }
    Ok(())
}
