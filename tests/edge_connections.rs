//! Connections that are slow, idle, half closed or many: when each ends, what it costs, and that others are served meanwhile.

use std::io::Write;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tests::sockets::{Socket, open_files, request, resident_kib, until_open_files};
use tests::{Hive, Options};

const BYTE_EACH: Duration = Duration::from_millis(40);

async fn hive(settings: &[(&'static str, u64)]) -> Result<Hive> {
    let options = settings.iter().fold(Options::default(), |options, (key, value)| options.set(key, value));
    Hive::start_with(options).await
}

/// Runs something that blocks beside calls of others, and counts how many of those were answered meanwhile.
async fn beside<T: Send + 'static>(
    hive: &Hive,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<(T, usize)> {
    let working = tokio::task::spawn_blocking(work);
    let mut answered = 0;
    while !working.is_finished() {
        hive.get("/api/v2/system").await?;
        answered += 1;
    }
    Ok((working.await??, answered))
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_408_on_every_request_of_a_connection() -> Result<()> {
    let hive = hive(&[("HIVE__SERVER__HEAD_TIMEOUT_MS", 600)]).await?;
    let whole = request(&hive, "GET", "/api/v2/system", None) + &"x".repeat(10_000);
    let mut first = Socket::to(&hive)?;
    let mut second = Socket::to(&hive)?;
    second.send(request(&hive, "GET", "/api/v2/system", None))?;
    assert_eq!(second.answer()?.status, 200);
    let slow = whole.replace("\r\n\r\n", "\r\nx: ");
    let trickle = move || {
        let bytes = slow.into_bytes();
        let took = [first.trickle(&bytes, BYTE_EACH)?, second.trickle(&bytes, BYTE_EACH)?];
        Ok(([first, second], took))
    };
    let ((sockets, took), answered) = beside(&hive, trickle).await?;
    for mut socket in sockets {
        let answer = socket.answer()?;
        assert_eq!((answer.status, answer.problem()?.as_str()), (408, "malformed_json"), "{answer:?}");
        assert_eq!((answer.field("connection"), socket.rest()?.as_str()), (Some("close"), ""));
    }
    assert!(took.iter().all(|took| *took >= Duration::from_millis(500)), "not before the limit: {took:?}");
    assert!(answered > 0, "others are served meanwhile");
    // A client that says nothing at all has the same time.
    let mut silent = Socket::to(&hive)?;
    assert_eq!(silent.answer()?.status, 408);
    Ok(())
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_408_and_nothing_is_stored() -> Result<()> {
    let hive = hive(&[("HIVE__SERVER__BODY_TIMEOUT_MS", 600)]).await?;
    let task = json!({"title": "t", "input": "x".repeat(10_000)});
    let whole = request(&hive, "POST", "/api/v2/tasks", Some(&task));
    let (head, body) = whole.split_once("\r\n\r\n").context("a body")?;
    let mut socket = Socket::to(&hive)?;
    socket.send(format!("{head}\r\n\r\n"))?;
    let body = body.as_bytes().to_vec();
    let trickle = move || Ok((socket.trickle(&body, BYTE_EACH)?, socket));
    let ((took, mut socket), answered) = beside(&hive, trickle).await?;
    let answer = socket.answer()?;
    assert_eq!((answer.status, answer.problem()?.as_str()), (408, "malformed_json"), "{answer:?}");
    assert!(took >= Duration::from_millis(500) && answered > 0, "{took:?}, {answered} others");
    assert_eq!(hive.get("/api/v2/tasks").await?["items"], json!([]));
    let metrics = hive.request(reqwest::Method::GET, "/metrics").send().await?.text().await?;
    assert!(metrics.contains("hive_http_bodies_in_flight_bytes 0\n"), "its room is given back");
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_closed_its_sending_side_gets_its_answer_and_leaves_nothing_open() -> Result<()> {
    let hive = Hive::start().await?;
    let before = open_files(&hive)?;
    for number in 0..20 {
        let mut socket = Socket::to(&hive)?;
        socket.send(request(&hive, "POST", "/api/v2/tasks", Some(&json!({"title": number.to_string()}))))?;
        socket.close_sending()?;
        let answer = socket.answer()?;
        assert_eq!((answer.status, &answer.json()?["title"]), (201, &json!(number.to_string())));
        assert_eq!(socket.rest()?, "", "the other side closes, too");
    }
    // A few files may be the store's, which it opened meanwhile; not one for each of the twenty.
    until_open_files(&hive, before + 8)?;
    assert_eq!(hive.get("/api/v2/tasks").await?["total_estimate"], 20);
    Ok(())
}

#[tokio::test]
async fn a_lease_whose_client_closes_its_sending_side_ends_empty_and_takes_nothing() -> Result<()> {
    let hive = Hive::start().await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let path = format!("/api/v2/agents/{agent}/lease");
    let mut socket = Socket::to(&hive)?;
    socket.send(request(&hive, "POST", &path, Some(&json!({"wait_ms": 30_000}))))?;
    let began = Instant::now();
    socket.close_sending()?;
    let answer = socket.answer()?;
    assert_eq!((answer.status, answer.json()?), (200, json!({"assignments": []})));
    assert!(began.elapsed() < Duration::from_secs(25), "it does not wait until its time is over");
    let task = hive.submit(&json!({"title": "t"})).await?;
    let leased = hive.lease(&agent, 1, 10_000).await?;
    assert_eq!((&leased[0]["task_id"], &leased[0]["attempt"]), (&json!(task), &json!(1)));
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_ends_after_its_limit_and_a_call_that_waits_for_longer_does_not() -> Result<()> {
    let limits = [("HIVE__SERVER__IDLE_TIMEOUT_MS", 700), ("HIVE__SERVER__HEAD_TIMEOUT_MS", 300)];
    let hive = hive(&limits).await?;
    let agent = hive.agent("ada", &[], 1).await?;
    let path = format!("/api/v2/agents/{agent}/lease");
    for (method, path, body) in
        [("GET", "/api/v2/system", None), ("POST", path.as_str(), Some(json!({"wait_ms": 2_000})))]
    {
        let mut socket = Socket::to(&hive)?;
        socket.send(request(&hive, method, path, body.as_ref()))?;
        assert_eq!(socket.answer()?.status, 200, "a request under way has no limit on its connection");
        let answered = Instant::now();
        assert_eq!(socket.rest()?, "", "an idle connection ends without a word");
        let stayed = answered.elapsed();
        ensure!(stayed >= Duration::from_millis(600), "{method}: closed after {stayed:?}, too early");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answers_is_cut_off() -> Result<()> {
    let hive = hive(&[("HIVE__SERVER__WRITE_TIMEOUT_MS", 600)]).await?;
    let id = hive.submit(&json!({"title": "large", "input": "x".repeat(1_000_000)})).await?;
    let path = format!("/api/v2/tasks/{id}");
    let before = open_files(&hive)?;
    let mut socket = Socket::to(&hive)?;
    // Far more than the kernel buffers between the two.
    for _ in 0..100 {
        socket.send(request(&hive, "GET", &path, None))?;
    }
    assert_eq!(socket.answer()?.status, 200, "the first one is taken, and no other");
    until_open_files(&hive, before)?;
    let took = socket.rest()?.matches("HTTP/1.1 200").count();
    assert!(took < 99, "{took} answers came after the first");
    Ok(())
}

/// As many open files as the machine allows this process, and the hive that it starts.
fn raise_open_files(at_least: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < at_least) {
        ensure!(
            limit.maximum.is_none_or(|maximum| maximum >= at_least),
            "this test needs {at_least} open files; raise `ulimit -Hn`"
        );
        setrlimit(Resource::Nofile, Rlimit { current: Some(at_least), maximum: limit.maximum })?;
    }
    Ok(())
}

#[tokio::test]
async fn slow_a_thousand_idle_connections_cost_little_and_end_after_the_limit() -> Result<()> {
    const COUNT: usize = 1_000;
    raise_open_files(4_096)?;
    let hive = hive(&[("HIVE__SERVER__IDLE_TIMEOUT_MS", 10_000)]).await?;
    hive.get("/api/v2/system").await?;
    let (files, memory) = (open_files(&hive)?, resident_kib(&hive)?);
    let asked = request(&hive, "GET", "/api/v2/system", None);
    let mut sockets = (0..COUNT).map(|_| Socket::to(&hive)).collect::<Result<Vec<_>>>()?;
    for socket in &mut sockets {
        socket.send(&asked)?;
        assert_eq!(socket.answer()?.status, 200);
    }
    let more = resident_kib(&hive)?.saturating_sub(memory);
    let each = more as f64 / COUNT as f64;
    println!("{each:.1} KiB for each idle connection");
    ensure!(each < 32.0, "{each:.1} KiB for each idle connection");
    // Among them the hive goes on.
    let mut other = Socket::to(&hive)?;
    other.send(request(&hive, "POST", "/api/v2/tasks", Some(&json!({"title": "t"}))))?;
    assert_eq!(other.answer()?.status, 201);
    for socket in &mut sockets {
        assert_eq!(socket.rest()?, "", "each ends without a word");
    }
    drop(other);
    // A few files may be the store's, which it opened meanwhile.
    until_open_files(&hive, files + 8)
}

#[tokio::test]
async fn slow_pipelined_submits_are_answered_in_their_order_and_memory_stays_bounded() -> Result<()> {
    const CONNECTIONS: usize = 32;
    const SUBMITS: usize = 100;
    let hive = Hive::start().await?;
    let mut threads = Vec::new();
    for connection in 0..CONNECTIONS {
        let submits: Vec<String> = (0..SUBMITS)
            .map(|number| json!({"title": format!("{connection}-{number}"), "input": "x".repeat(10_000)}))
            .map(|task| request(&hive, "POST", "/api/v2/tasks", Some(&task)))
            .collect();
        let mut socket = Socket::to(&hive)?;
        threads.push(tokio::task::spawn_blocking(move || -> Result<()> {
            let mut sender = socket.sender()?;
            std::thread::scope(|scope| {
                let sending = scope.spawn(move || {
                    sender.write_all(submits.concat().as_bytes())?;
                    // Every other one says so when it has sent everything; that takes no answer from it.
                    if connection % 2 == 0 { sender.shutdown(Shutdown::Write) } else { Ok(()) }
                });
                for number in 0..SUBMITS {
                    let answer = socket.answer()?;
                    ensure!(answer.status == 201, "{answer:?}");
                    ensure!(
                        answer.json()?["title"] == format!("{connection}-{number}"),
                        "{number}: {answer:?}"
                    );
                }
                Ok(sending.join().ok().context("a sender")??)
            })
        }));
    }
    let mut peak = 0;
    while threads.iter().any(|thread| !thread.is_finished()) {
        peak = peak.max(resident_kib(&hive)?);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for thread in threads {
        thread.await??;
    }
    println!("{} MiB resident at most", peak / 1_024);
    assert_eq!(hive.get("/api/v2/tasks").await?["total_estimate"], CONNECTIONS * SUBMITS);
    ensure!(peak < 160 * 1_024, "{} MiB resident", peak / 1_024);
    Ok(())
}
