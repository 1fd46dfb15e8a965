//! Lists that are read page by page while others write: nothing twice, and nothing missed that was there all along.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tests::Hive;

use crate::api_tasks::{act, claim};

/// More than two pages of each list are there before, so that writers meet a reader in the middle.
const THERE: usize = 24;
const LIMIT: usize = 5;

/// Reads a list to its end, page by page, and calls `between` with the number of each page that was read; answers the
/// value of `field` of every item, in order.
async fn walk(
    hive: &Hive,
    list: &str,
    field: &str,
    mut between: impl AsyncFnMut(usize) -> Result<()>,
) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    let mut page = hive.get(&format!("{list}limit={LIMIT}")).await?;
    for number in 0.. {
        let items = page["items"].as_array().context("items")?;
        ensure!(items.len() <= LIMIT, "a page of {}", items.len());
        seen.extend(items.iter().map(|item| item[field].to_string()));
        between(number).await?;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        page = hive.get(&format!("{list}limit={LIMIT}&cursor={cursor}")).await?;
    }
    Ok(seen)
}

/// Nothing stands twice, all of `constant` is there, and in the order in which it was.
fn check(seen: &[String], constant: &[String]) -> Result<()> {
    let mut times = BTreeMap::<&String, u32>::new();
    for id in seen {
        *times.entry(id).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "seen twice: {twice:?}");
    let wanted: BTreeSet<&String> = constant.iter().collect();
    let found: Vec<&String> = seen.iter().filter(|id| wanted.contains(id)).collect();
    ensure!(
        found == constant.iter().collect::<Vec<_>>(),
        "was there all along: {constant:?}; seen: {found:?}"
    );
    Ok(())
}

fn quoted(ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| json!(id).to_string()).collect()
}

/// Tasks in a queue, the newest first.
async fn submitted(hive: &Hive, queue: &str, count: usize) -> Result<Vec<String>> {
    let bodies: Vec<Value> =
        (0..count).map(|_| json!({"title": "t", "queue": queue, "attempts_max": 1, "kind": queue})).collect();
    let answer = hive.post("/api/v2/tasks/bulk", &json!({"tasks": bodies}), 200).await?;
    let items = answer["items"].as_array().context("items")?;
    let ids: Result<Vec<_>> =
        items.iter().map(|item| Ok(item["task"]["id"].as_str().context("an id")?.to_owned())).collect();
    let mut ids = ids?;
    ids.sort_unstable();
    ids.reverse();
    Ok(ids)
}

/// All that waits is leased and fails for good.
async fn failed(hive: &Hive, agent: &str, tasks: &[String]) -> Result<()> {
    // A lease call answers as soon as there is one assignment, and what comes too late for its answer is claimed again.
    let mut left = tasks.len();
    while left > 0 {
        let held = hive.lease(agent, u32::try_from(left)?, 30_000).await?;
        left -= held.len();
        try_join_all(held.iter().map(|assignment| fail(hive, assignment))).await?;
    }
    Ok(())
}

async fn fail(hive: &Hive, assignment: &Value) -> Result<()> {
    let id = assignment["task_id"].as_str().context("an id")?;
    let error = json!({"attempt": assignment["attempt"], "error": {"kind": "k", "message": "m"}});
    act(hive, id, "fail", &error, 200).await.map(|_| ())
}

/// Every second one: those that change, and those that stay as they are.
fn halves(ids: &[String]) -> (Vec<String>, Vec<String>) {
    let (changing, staying): (Vec<_>, Vec<_>) = ids.iter().enumerate().partition(|(place, _)| place % 2 == 0);
    let plain = |half: Vec<(usize, &String)>| half.into_iter().map(|(_, id)| id.clone()).collect();
    (plain(changing), plain(staying))
}

#[tokio::test]
async fn tasks_that_come_and_change_while_a_list_is_read_neither_repeat_nor_hide_others() -> Result<()> {
    let hive = Hive::start().await?;
    for list in
        ["/api/v2/tasks?", "/api/v2/tasks?state=queued&", "/api/v2/tasks?queue=Q&", "/api/v2/tasks?kind=Q&"]
    {
        let queue = format!("q{}", list.len());
        let there = submitted(&hive, &queue, THERE).await?;
        let (changing, staying) = halves(&there);
        let list = list.replace('Q', &queue);
        let seen = walk(&hive, &list, "id", async |page| {
            // Behind the reader, at the reader and before the reader: each changes in one way or the other.
            for (place, id) in changing.iter().enumerate().skip(page * 3).take(3) {
                match place % 2 {
                    0 => act(&hive, id, "cancel", &json!({}), 200).await.map(|_| ())?,
                    _ => {
                        let patch = hive.request(reqwest::Method::PATCH, &format!("/api/v2/tasks/{id}"));
                        let answer = patch.json(&json!({"priority": 9})).send().await?;
                        ensure!(answer.status().is_success(), "{}", answer.status());
                    }
                }
            }
            submitted(&hive, &queue, 3).await.map(|_| ())
        })
        .await?;
        check(&seen, &quoted(&staying)).with_context(|| list.clone())?;
        ensure!(seen.len() < THERE * 6, "{list}: {} items, what came later included", seen.len());
    }
    Ok(())
}

#[tokio::test]
async fn dead_letters_that_are_put_back_and_come_while_the_list_is_read_neither_repeat_nor_hide_others()
-> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("worker", &[], 1000).await?;
    let there = submitted(&hive, "q", THERE).await?;
    failed(&hive, &agent, &there).await?;
    let (changing, staying) = halves(&there);
    for list in ["/api/v2/dead-letters?", "/api/v2/tasks?state=failed&"] {
        let seen = walk(&hive, list, "id", async |page| {
            for id in changing.iter().skip(page * 3).take(3) {
                // Put back, and dead again: it leaves the list and comes back while the list is read.
                let retried =
                    hive.request(reqwest::Method::POST, &format!("/api/v2/tasks/{id}/retry")).send().await?;
                ensure!(retried.status().is_success(), "{}", retried.status());
                fail(&hive, &claim(&hive, &agent).await?).await?;
            }
            let new = submitted(&hive, "q", 2).await?;
            failed(&hive, &agent, &new).await
        })
        .await?;
        check(&seen, &quoted(&staying)).context(list)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_log_is_read_without_a_hole_or_a_repeat_while_it_grows() -> Result<()> {
    let hive = Hive::start().await?;
    submitted(&hive, "q", THERE).await?;
    let seen = walk(&hive, "/api/v2/events?", "seq", async |page| {
        // The reader of a log that grows faster than it reads would never end.
        if page < 8 { submitted(&hive, "q", 3).await.map(|_| ()) } else { Ok(()) }
    })
    .await?;
    let seqs: Vec<u64> = seen.iter().map(|seq| Ok(seq.parse()?)).collect::<Result<_>>()?;
    let gapless: Vec<u64> = (1..=u64::try_from(seqs.len())?).collect();
    assert_eq!(seqs, gapless, "every event once and in order");
    ensure!(seqs.len() >= THERE + 8 * 3, "{} events", seqs.len());
    Ok(())
}

#[tokio::test]
async fn output_is_read_without_a_hole_or_a_repeat_while_it_is_written() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("worker", &[], 1).await?;
    let task = hive.submit(&json!({"title": "t"})).await?;
    claim(&hive, &agent).await?;
    let write = async |number: usize| {
        act(&hive, &task, "output", &json!({"attempt": 1, "text": format!("{number};")}), 200)
            .await
            .map(|_| ())
    };
    for number in 0..THERE {
        write(number).await?;
    }
    let mut next = THERE;
    let seen = walk(&hive, &format!("/api/v2/tasks/{task}/output?"), "text", async |page| {
        if page < 8 {
            for _ in 0..3 {
                write(next).await?;
                next += 1;
            }
        }
        Ok(())
    })
    .await?;
    let text: String = seen.iter().map(|piece| piece.trim_matches('"').to_owned()).collect();
    let written: String = (0..next).map(|number| format!("{number};")).collect();
    assert_eq!(text, written);
    Ok(())
}

#[tokio::test]
async fn attempts_and_events_of_a_task_are_read_whole_while_more_of_them_come() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("worker", &[], 1).await?;
    let backoff = json!({"initial_ms": 0, "factor": 1.0, "max_ms": 0, "jitter": 0.0});
    let task = hive.submit(&json!({"title": "t", "attempts_max": 100, "backoff": backoff})).await?;
    let again = async || fail(&hive, &claim(&hive, &agent).await?).await;
    for _ in 0..12 {
        again().await?;
    }
    let path = format!("/api/v2/tasks/{task}");
    let attempts = walk(&hive, &format!("{path}/attempts?"), "attempt", async |_| again().await).await?;
    let there: Vec<String> = (1..=12).rev().map(|attempt: u32| attempt.to_string()).collect();
    check(&attempts, &there)?;
    let events: Vec<Value> = {
        let seen =
            walk(
                &hive,
                &format!("{path}/events?"),
                "seq",
                async |page| {
                    if page < 3 { again().await } else { Ok(()) }
                },
            )
            .await?;
        seen.iter().map(|seq| Ok(serde_json::from_str(seq)?)).collect::<Result<_>>()?
    };
    ensure!(events.windows(2).all(|pair| pair[0].as_u64() < pair[1].as_u64()), "{events:?}");
    let whole = hive.get(&format!("{path}/events?limit=200")).await?;
    let all: Vec<Value> =
        whole["items"].as_array().context("items")?.iter().map(|event| event["seq"].clone()).collect();
    assert_eq!(events, all);
    Ok(())
}

#[tokio::test]
async fn a_filter_that_fits_little_answers_after_ten_thousand_rows_with_a_cursor_that_goes_on() -> Result<()>
{
    let hive = Hive::start().await?;
    let rare = submitted(&hive, "rare", 1).await?;
    for _ in 0..21 {
        submitted(&hive, "many", 1_000).await?;
    }
    let mut cursor = String::new();
    let mut pages = Vec::new();
    let mut found = Vec::new();
    loop {
        let page = hive.get(&format!("/api/v2/tasks?kind=rare{cursor}")).await?;
        let items = page["items"].as_array().context("items")?;
        pages.push(items.len());
        found.extend(items.iter().map(|item| item["id"].as_str().unwrap_or_default().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        ensure!(pages.len() < 10, "it never ends: {pages:?}");
    }
    assert_eq!((pages, found), (vec![0, 0, 1], rare), "10,000 rows, 10,000 rows, and the rest");
    Ok(())
}
