//! Output over HTTP as it is written: followed to the end, taken up where it broke, ended by a stop.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use client::{Client, Followed};
use domain::TaskState;
use protocol::OutputEvent;
use protocol::output_stream::OutputPlace;
use serde_json::json;
use tests::{Hive, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::api_tasks::{act, claim, failure, hasty};

fn caller(hive: &Hive) -> Result<Client> {
    Ok(Client::new(&hive.url, Some(&hive.token))?)
}

/// A hive with a worker that has a task.
async fn working() -> Result<(Hive, String, String)> {
    let hive = Hive::start().await?;
    let agent = hive.agent("writer", &[], 1).await?;
    let task = hive.submit(&hasty("t", 3)).await?;
    claim(&hive, &agent).await?;
    Ok((hive, agent, task))
}

async fn write(hive: &Hive, task: &str, attempt: u32, text: &str) -> Result<()> {
    act(hive, task, "output", &json!({"attempt": attempt, "text": text}), 200).await.map(|_| ())
}

/// The rest of a stream: texts, and how the task ended where it says so.
async fn rest(stream: &mut client::Follow) -> Result<(String, Option<TaskState>)> {
    let mut text = String::new();
    loop {
        match tokio::time::timeout(PATIENCE, stream.next()).await?? {
            Some(Followed { event: OutputEvent::Output(piece), .. }) => text.push_str(&piece.text),
            Some(Followed { event: OutputEvent::End(end), .. }) => return Ok((text, Some(end.state))),
            None => return Ok((text, None)),
        }
    }
}

async fn piece(stream: &mut client::Follow) -> Result<(OutputPlace, String)> {
    let next = tokio::time::timeout(PATIENCE, stream.next()).await??;
    match next.context("a piece")?.event {
        OutputEvent::Output(piece) => Ok((piece.place(), piece.text)),
        OutputEvent::End(end) => anyhow::bail!("the end: {end:?}"),
    }
}

#[tokio::test]
async fn output_is_followed_over_all_attempts_until_the_task_has_ended() -> Result<()> {
    let (hive, agent, task) = working().await?;
    write(&hive, &task, 1, "stored ").await?;
    let mut stream = caller(&hive)?.follow_output(&task, None).await?;
    assert_eq!(piece(&mut stream).await?.1, "stored ");
    write(&hive, &task, 1, "live ").await?;
    assert_eq!(piece(&mut stream).await?.1, "live ");
    act(&hive, &task, "fail", &failure(1), 200).await?;
    claim(&hive, &agent).await?;
    write(&hive, &task, 2, "again").await?;
    act(&hive, &task, "complete", &json!({"attempt": 2}), 200).await?;
    assert_eq!(rest(&mut stream).await?, ("again".to_owned(), Some(TaskState::Completed)));
    assert!(stream.next().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_piece_arrives_soon_after_it_was_stored() -> Result<()> {
    let (hive, _, task) = working().await?;
    let mut stream = caller(&hive)?.follow_output(&task, None).await?;
    let mut worst = Duration::ZERO;
    for round in 0..20 {
        write(&hive, &task, 1, &format!("{round}")).await?;
        let began = Instant::now();
        piece(&mut stream).await?;
        worst = worst.max(began.elapsed());
    }
    // A stream that is told of nothing looks once a second.
    ensure!(worst < Duration::from_millis(500), "{worst:?}");
    Ok(())
}

#[tokio::test]
async fn a_stream_that_broke_goes_on_after_its_last_piece_also_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = tests::Options::default().folder(&folder.path().join("data")).bind(tests::free_address()?);
    let mut hive = Hive::start_with(options.clone()).await?;
    let agent = hive.agent("writer", &[], 1).await?;
    let task = hive.submit(&hasty("t", 3)).await?;
    claim(&hive, &agent).await?;
    for text in ["a", "b", "c"] {
        write(&hive, &task, 1, text).await?;
    }
    let mut stream = caller(&hive)?.follow_output(&task, None).await?;
    piece(&mut stream).await?;
    let (place, text) = piece(&mut stream).await?;
    assert_eq!((place.to_string().as_str(), text.as_str()), ("1.2", "b"));
    hive.kill()?;
    let broken = tokio::time::timeout(PATIENCE, async { while let Ok(Some(_)) = stream.next().await {} });
    broken.await.context("the client sees that the stream is gone")?;
    let hive = Hive::start_with(options).await?;
    let mut stream = caller(&hive)?.follow_output(&task, Some(place)).await?;
    assert_eq!(piece(&mut stream).await?.1, "c");
    act(&hive, &task, "complete", &json!({"attempt": 1}), 200).await?;
    assert_eq!(rest(&mut stream).await?, (String::new(), Some(TaskState::Completed)));
    Ok(())
}

#[tokio::test]
async fn a_large_output_comes_whole_and_in_order() -> Result<()> {
    let (hive, _, task) = working().await?;
    let mut expected = String::new();
    for number in 0..120 {
        let text = format!("{number}:{}\n", "\u{1}ä".repeat(20_000));
        write(&hive, &task, 1, &text).await?;
        expected.push_str(&text);
    }
    act(&hive, &task, "complete", &json!({"attempt": 1}), 200).await?;
    let mut stream = caller(&hive)?.follow_output(&task, None).await?;
    let (text, state) = rest(&mut stream).await?;
    assert_eq!(state, Some(TaskState::Completed));
    assert!(text == expected, "{} bytes in place of {}", text.len(), expected.len());
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_streams_and_does_not_wait_for_them() -> Result<()> {
    let (mut hive, _, task) = working().await?;
    write(&hive, &task, 1, "a").await?;
    let mut stream = caller(&hive)?.follow_output(&task, None).await?;
    piece(&mut stream).await?;
    let began = Instant::now();
    let (status, end) = tokio::join!(hive.terminate(), rest(&mut stream));
    assert!(status?.success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}, half of the drain's time", began.elapsed());
    assert_eq!(end?, (String::new(), None), "a stop is not the end of the task");
    Ok(())
}

/// A stream of which nothing is read after its status, and little fits on its way.
async fn unread(hive: &Hive, task: &str) -> Result<TcpStream> {
    let address = hive.url.strip_prefix("http://").context("an address")?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(16_384)?;
    let mut stream = socket.connect(address.parse()?).await?;
    let head = format!("GET /api/v2/tasks/{task}/output?follow=true HTTP/1.1\r\nHost: {address}\r\n");
    let login = format!("Authorization: Bearer {}\r\n\r\n", hive.token);
    stream.write_all((head + &login).as_bytes()).await?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await?;
    assert_eq!(&first, b"HTTP/1.1 200");
    Ok(stream)
}

#[tokio::test]
async fn a_stop_does_not_wait_for_streams_that_nobody_reads() -> Result<()> {
    let (mut hive, _, task) = working().await?;
    let silent = unread(&hive, &task).await?;
    for _ in 0..100 {
        write(&hive, &task, 1, &"x".repeat(65_536)).await?;
    }
    let began = Instant::now();
    assert!(hive.terminate().await?.success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}, half of the drain's time", began.elapsed());
    drop(silent);
    Ok(())
}

#[tokio::test]
async fn followers_that_do_not_read_cost_little_memory() -> Result<()> {
    let (hive, _, task) = working().await?;
    let text = "x".repeat(65_536);
    for _ in 0..100 {
        write(&hive, &task, 1, &text).await?;
    }
    let before = resident(&hive)?;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(unread(&hive, &task).await?);
    }
    // 50 times 6.5 MB wait to be read; what is held in the hive is a few pieces of each.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let more = resident(&hive)?.saturating_sub(before);
    ensure!(more < 100 << 20, "{} MiB more", more >> 20);
    assert_eq!(hive.get(&format!("/api/v2/tasks/{task}")).await?["state"], "working", "it goes on");
    drop(silent);
    Ok(())
}

/// Memory of the hive's process, in bytes.
fn resident(hive: &Hive) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hive.pid()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("a size")?;
    let kib: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
    Ok(kib * 1_024)
}
