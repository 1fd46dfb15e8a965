//! What a holder tells of its attempt on the way: cost and output.

use anyhow::Result;
use serde_json::json;
use tests::Hive;

use crate::api_tasks::{act, claim, each};

#[tokio::test]
async fn what_a_heartbeat_says_an_attempt_cost_is_shown_and_counts_when_the_report_says_nothing() -> Result<()>
{
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 9).await?;
    let spent = json!({"input_tokens": 7, "cost_usd": 0.5});
    for (report, expected) in [(json!({}), &spent), (json!({"usage": {"cpu_ms": 3}}), &json!({"cpu_ms": 3}))]
    {
        let id = hive.submit(&json!({"title": "t"})).await?;
        claim(&hive, &agent).await?;
        act(&hive, &id, "heartbeat", &json!({"attempt": 1, "usage": {"input_tokens": 2}}), 200).await?;
        act(&hive, &id, "heartbeat", &json!({"attempt": 1, "usage": spent}), 200).await?;
        act(&hive, &id, "heartbeat", &json!({"attempt": 1, "progress": 0.5}), 200).await?;
        assert_eq!(hive.get(&format!("/api/v2/tasks/{id}")).await?["usage"], spent);
        let mut report = report;
        report["attempt"] = json!(1);
        act(&hive, &id, "complete", &report, 200).await?;
        assert_eq!(&hive.get(&format!("/api/v2/tasks/{id}")).await?["usage"], expected);
        act(&hive, &id, "complete", &report, 200).await?;
    }
    let id = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    act(&hive, &id, "heartbeat", &json!({"attempt": 1, "usage": {"cost_usd": -1}}), 422).await?;
    Ok(())
}

#[tokio::test]
async fn output_that_is_sent_again_with_what_was_known_to_be_stored_is_stored_once() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 9).await?;
    let id = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    let piece = |text: &str, after: u64| json!({"attempt": 1, "text": text, "after_bytes": after});
    for (piece, stored) in
        [(piece("one ", 0), 4), (piece("one ", 0), 4), (piece("two", 4), 7), (piece("two", 4), 7)]
    {
        let told = act(&hive, &id, "output", &piece, 200).await?;
        assert_eq!(told["stored_bytes"], stored, "{piece}");
    }
    let output = hive.get(&format!("/api/v2/tasks/{id}/output")).await?;
    assert_eq!(each(&output, "text"), [json!("one "), json!("two")]);
    act(&hive, &id, "output", &json!({"attempt": 1, "text": "t", "after_bytes": -1}), 422).await?;
    Ok(())
}
