//! Tasks that kill whoever works on them: each is a dead letter after as many attempts as it has, and the rest goes on.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{Hive, Options};

/// How many poison tasks there are among the others.
const POISONED: usize = 4;

/// The states of tasks, and how often each failed.
async fn fates(hive: &Hive, ids: &[String]) -> Result<Vec<(Value, Value)>> {
    let mut fates = Vec::new();
    for id in ids {
        let task = hive.task_ended(id).await?;
        fates.push((task["state"].clone(), task["failures"].clone()));
    }
    Ok(fates)
}

#[tokio::test]
async fn tasks_that_kill_their_processes_are_dead_letters_and_the_agent_goes_on_with_the_others() -> Result<()>
{
    let hive = Hive::start().await?;
    let agent = hive.command_agent("sh", 2, json!({"preset": "shell"})).await?;
    let (mut poison, mut fine) = (Vec::new(), Vec::new());
    for number in 0..POISONED {
        poison.push(hive.ask("sh", "kill -9 $$").await?);
        fine.push(hive.ask("sh", &format!("echo {number}")).await?);
        fine.push(hive.ask("sh", "true").await?);
    }
    assert_eq!(fates(&hive, &poison).await?, vec![(json!("failed"), json!(3)); POISONED]);
    assert_eq!(fates(&hive, &fine).await?, vec![(json!("completed"), json!(0)); 2 * POISONED]);
    let dead = hive.get("/api/v2/dead-letters").await?;
    assert_eq!(dead["items"].as_array().map(Vec::len), Some(POISONED), "{dead}");
    let shown = hive.get(&format!("/api/v2/agents/{agent}")).await?;
    ensure!(shown["state"] == "idle", "it is not the agent's fault: {shown}");
    Ok(())
}

/// One worker after the other: one that dies of poison says nothing more, and the next one takes its place.
async fn mortal_workers(hive: &Hive, agent: &str) -> Result<()> {
    loop {
        for held in hive.lease(agent, 1, 200).await? {
            if held["title"] == "poison" {
                continue;
            }
            let path = format!("/api/v2/tasks/{}/complete", held["task_id"].as_str().context("an id")?);
            hive.post(&path, &json!({"attempt": held["attempt"], "result": null}), 200).await?;
        }
    }
}

#[tokio::test]
async fn tasks_that_kill_their_workers_without_a_word_are_dead_letters_and_the_others_are_worked_on()
-> Result<()> {
    let hive = Hive::start_with(Options::default().set("HIVE__LEASE__TTL_MS", 1_000)).await?;
    let agent = hive.agent("ada", &[], 50).await?;
    let (mut poison, mut fine) = (Vec::new(), Vec::new());
    for _ in 0..POISONED {
        let task = |title: &str| json!({"title": title, "backoff": {"initial_ms": 10}});
        poison.push(hive.submit(&task("poison")).await?);
        fine.push(hive.submit(&task("fine")).await?);
    }
    let ended = async {
        let poison = fates(&hive, &poison).await?;
        Ok::<_, anyhow::Error>((poison, fates(&hive, &fine).await?))
    };
    let (poison, fine) = tokio::select! {
        ended = ended => ended?,
        never = mortal_workers(&hive, &agent) => {
            never?;
            anyhow::bail!("the workers went home")
        }
    };
    assert_eq!(poison, vec![(json!("failed"), json!(3)); POISONED]);
    ensure!(fine.iter().all(|(state, _)| state == "completed"), "{fine:?}");
    Ok(())
}
