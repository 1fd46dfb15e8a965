//! The log as server-sent events: the same events as everywhere else, and what is not sent is told.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tests::{Hive, PATIENCE, database};

use crate::live_resume::{log_after, write};

const STREAM: &str = "/api/v2/events/stream";

/// Reads server-sent events until it has `count` of them: (id, data).
async fn sse(hive: &Hive, last: Option<i64>, count: usize) -> Result<Vec<(i64, Value)>> {
    let mut request = hive.request(Method::GET, STREAM);
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    let answer = request.send().await?;
    ensure!(answer.status() == 200 && answer.headers()["content-type"] == "text/event-stream");
    let mut body = answer.bytes_stream();
    let (mut text, mut events) = (String::new(), Vec::new());
    while events.len() < count {
        let piece =
            tokio::time::timeout(tests::PATIENCE, body.next()).await?.context("the stream ended")??;
        text.push_str(std::str::from_utf8(&piece)?);
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some((id, data)) = event.split_once("\ndata: ") {
                let id = id.strip_prefix("id: ").context(event.to_owned())?.parse()?;
                events.push((id, serde_json::from_str(data)?));
            }
            text = rest.to_owned();
        }
    }
    Ok(events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_sent_events_tell_the_same_and_go_on_after_the_last_one_that_came() -> Result<()> {
    let hive = Hive::start().await?;
    write(&hive, 1_000, Duration::from_millis(500)).await?;
    let (mut last, mut seen) = (0, Vec::new());
    let reading = async {
        while seen.len() < 1_000 {
            for (id, event) in sse(&hive, Some(last), 90).await? {
                ensure!(id == last + 1 && event["seq"] == id, "{event} after {last}");
                last = id;
                seen.push(event);
            }
        }
        anyhow::Ok(())
    };
    let (written, read) = tokio::join!(write(&hive, 1_000, Duration::from_secs(2)), reading);
    written?;
    read?;
    let log = log_after(&hive, 0).await?;
    ensure!(seen.iter().zip(1..).all(|(event, seq)| log.get(&seq) == Some(event)));
    let live = tokio::join!(sse(&hive, None, 1), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        hive.submit(&json!({"title": "live"})).await
    });
    let (id, event) = live.0?.pop().context("an event")?;
    ensure!(event["task_id"] == json!(live.1?) && id > last, "from now on: {event}");
    let bad = hive.request(Method::GET, "/api/v2/events/stream").header("last-event-id", "x").send().await?;
    ensure!(bad.status() == 422);
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_a_stream_of_events() -> Result<()> {
    let mut hive = Hive::start().await?;
    let answer = hive.request(Method::GET, "/api/v2/events/stream").send().await?;
    hive.signal(rustix::process::Signal::TERM)?;
    let _ = tokio::time::timeout(tests::PATIENCE, answer.text()).await.context("the stream goes on")?;
    ensure!(hive.ended().await?.success());
    Ok(())
}

/// A stream after a place.
async fn stream(hive: &Hive, last: i64) -> Result<Response> {
    let request = hive.request(Method::GET, STREAM).header("last-event-id", last.to_string());
    Ok(request.send().await?.error_for_status()?)
}

/// Reads until it has this; answers all that came.
async fn until(answer: &mut Response, awaited: &str) -> Result<String> {
    let mut text = String::new();
    let read = async {
        while !text.contains(awaited) {
            let piece = answer.chunk().await?.context("the stream ended")?;
            text.push_str(std::str::from_utf8(&piece)?);
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, read).await.with_context(|| format!("{awaited:?} never came"))??;
    Ok(text)
}

#[tokio::test]
async fn events_that_are_not_kept_any_more_are_told_also_when_none_is_left() -> Result<()> {
    let hive = Hive::start().await?;
    for _ in 0..5 {
        hive.submit(&json!({"title": "t"})).await?;
    }
    let head = hive.get("/api/v2/system").await?["log"]["last_seq"].as_i64().context("a head")?;
    // As retention leaves it.
    database::of(
        &hive,
        &format!("DELETE FROM events WHERE seq < {head}; UPDATE hive SET events_floor = {head} - 1"),
    )?;
    let told = until(&mut stream(&hive, 1).await?, &format!("id: {head}\ndata: ")).await?;
    let expected = format!("event: skipped\nid: {0}\ndata: {{\"from\":2,\"to\":{0}}}\n\n", head - 1);
    ensure!(told.starts_with(&expected), "{told}");
    database::of(&hive, &format!("DELETE FROM events; UPDATE hive SET events_floor = {head}"))?;
    let mut emptied = stream(&hive, 0).await?;
    let told = until(&mut emptied, "\n\n").await?;
    ensure!(told == format!("event: skipped\nid: {head}\ndata: {{\"from\":1,\"to\":{head}}}\n\n"), "{told}");
    hive.submit(&json!({"title": "next"})).await?;
    let told = until(&mut emptied, "\n\n").await?;
    ensure!(told.starts_with(&format!("id: {}\ndata: ", head + 1)), "and it goes on: {told}");
    Ok(())
}

#[tokio::test]
async fn a_place_beyond_the_end_is_of_another_log_and_the_stream_says_so_and_begins_at_the_end() -> Result<()>
{
    let hive = Hive::start().await?;
    hive.submit(&json!({"title": "t"})).await?;
    let head = hive.get("/api/v2/system").await?["log"]["last_seq"].as_i64().context("a head")?;
    for place in [head + 1, i64::MAX] {
        let mut answer = stream(&hive, place).await?;
        let told = until(&mut answer, "\n\n").await?;
        let expected = format!("event: skipped\nid: {head}\ndata: {{\"from\":1,\"to\":{head}}}\n\n");
        ensure!(told == expected, "{place}: {told}");
    }
    let mut answer = stream(&hive, head + 7).await?;
    until(&mut answer, "\n\n").await?;
    hive.submit(&json!({"title": "next"})).await?;
    let told = until(&mut answer, "\n\n").await?;
    ensure!(told.starts_with(&format!("id: {}\ndata: ", head + 1)), "{told}");
    Ok(())
}

#[tokio::test]
async fn there_are_256_streams_at_most_and_one_that_ends_makes_room() -> Result<()> {
    let hive = Hive::start().await?;
    let mut streams = try_join_all((0..256).map(|_| stream(&hive, 0))).await?;
    let refused = hive.request(Method::GET, STREAM).send().await?;
    ensure!(refused.status() == 503, "{refused:?}");
    let problem: Value = refused.json().await?;
    ensure!(problem["code"] == "overloaded", "{problem}");
    streams.pop();
    let began = std::time::Instant::now();
    while hive.request(Method::GET, STREAM).send().await?.status() != 200 {
        ensure!(began.elapsed() < PATIENCE, "a stream that ended is still counted");
    }
    Ok(())
}
