//! The hive about itself.

use anyhow::{Context, Result};
use serde_json::json;
use tests::Hive;

use crate::api_tasks::claim;

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
