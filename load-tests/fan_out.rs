//! What sessions cost and how fast they hear: so many of them, of which one of ten never reads, 200 events a second, and
//! afterwards bursts that are written faster than they can be delivered.
//!
//! Readers look at each frame's place and count what they have. The measurement fails where one of them lacks an event without
//! having been told, and, while the rate is steady, where not every event was delivered to every reader and timed.
//!
//! The readers are one thread of this machine: where it has no time left (`client_cpus` near 1), what they measure is an upper
//! bound of what the hive takes, and a lower one of what it delivers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::process::own_cpu;
use crate::server::Server;

/// Events a second, a few in each commit.
const RATE: u64 = 200;
const TASKS_A_COMMIT: u64 = 4;
/// Of so many sessions one never reads.
const MUTE_OF: usize = 10;
/// Tasks of one commit of a burst, deliveries that a burst has at least, and how many bursts there are.
const BURST: usize = 1_000;
const BURST_DELIVERIES: usize = 2_000_000;
const BURSTS: usize = 3;
/// From commit to the client's receive, of 95 of 100 events.
const P95_GOAL_MS: f64 = 50.0;
/// How long everything that was written may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// What all readers saw.
struct Seen {
    latency: RefCell<Histogram<u64>>,
    delivered: Cell<u64>,
    /// Whether times are taken now.
    is_timed: Cell<bool>,
    /// When the first and the last event were delivered since this was last cleared.
    first_at: Cell<Option<Instant>>,
    last_at: Cell<Option<Instant>>,
    /// Holes that nobody told of.
    gaps: Cell<u64>,
    /// Events that were skipped, and told to be.
    skipped: Cell<u64>,
}

/// Measures and prints. Runs within a `LocalSet`.
pub async fn measure(sessions: usize, time: Duration, as_json: bool) -> Result<()> {
    let server = Server::start(None).await?;
    let rss_before = server.rss_mib()?;
    let seen = Rc::new(Seen {
        latency: RefCell::new(Histogram::new(3)?),
        delivered: Cell::new(0),
        is_timed: Cell::new(true),
        first_at: Cell::new(None),
        last_at: Cell::new(None),
        gaps: Cell::new(0),
        skipped: Cell::new(0),
    });
    let mutes = sessions / MUTE_OF;
    let readers = sessions - mutes;
    let mut silent = Vec::new();
    let mut places = Vec::new();
    for chunk in (0..sessions).collect::<Vec<_>>().chunks(100) {
        let opened = try_join_all(chunk.iter().map(|number| open(&server, *number < mutes))).await?;
        for (number, stream) in chunk.iter().zip(opened) {
            if *number < mutes {
                silent.push(stream);
            } else {
                let place = Rc::new(Cell::new(0));
                places.push(Rc::clone(&place));
                tokio::task::spawn_local(read(stream, place, Rc::clone(&seen)));
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let per_session_kib = (server.rss_mib()? - rss_before) * 1_024.0 / lossy(sessions);
    let (server_cpu, client_cpu, began) = (server.cpu()?, own_cpu()?, Instant::now());
    let written = write(&server, time).await?;
    arrived(&server, &places).await?;
    let took = began.elapsed().as_secs_f64();
    let server_cpus = (server.cpu()? - server_cpu).as_secs_f64() / took;
    let client_cpus = (own_cpu()? - client_cpu).as_secs_f64() / took;
    let steady = (seen.delivered.get(), seen.skipped.get());
    let expected = written * u64::try_from(readers)?;
    seen.is_timed.set(false);
    let client_cpu = own_cpu()?;
    let began = Instant::now();
    let burst = bursts(&server, &places, &seen).await?;
    let burst_client_cpus = (own_cpu()? - client_cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let metrics = ws_metrics(&server).await?;
    let timed = seen.latency.borrow().len();
    let millis = |quantile: f64| lossy_u64(seen.latency.borrow().value_at_quantile(quantile)) / 1_000.0;
    let verdict = if millis(0.95) < P95_GOAL_MS { "met" } else { "missed" };
    let report = json!({
        "scenario": "fan_out", "sessions": sessions, "never_read": mutes, "events": written,
        "expected_deliveries": expected, "deliveries": steady.0, "timed": timed, "skipped": steady.1, "gaps": seen.gaps.get(),
        "p50_ms": millis(0.5), "p95_ms": millis(0.95), "p99_ms": millis(0.99), "max_ms": millis(1.0),
        "p95_goal": format!("{verdict}: under {P95_GOAL_MS} ms"),
        "server_cpus": server_cpus, "client_cpus": client_cpus,
        "rss_kib_a_session": per_session_kib, "rss_mib_at_end": server.rss_mib()?,
        "burst_deliveries_per_second": burst, "burst_client_cpus": burst_client_cpus,
        "burst_skipped_and_told": seen.skipped.get() - steady.1,
        "never_readers": {"backpressure": metrics["hive_ws_backpressure_total"],
            "ended": metrics["hive_ws_disconnections_total"], "skipped_events": metrics["hive_ws_drops_total"]},
    });
    drop(silent);
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(
            "fan_out, {sessions} sessions of which {mutes} never read, {RATE} events a second, one machine for server and load"
        );
        for (name, value) in report.as_object().context("a report")?.iter() {
            println!("{name:>28}  {value}");
        }
    }
    ensure!(seen.gaps.get() == 0, "readers lack events that they were not told of");
    ensure!(steady == (expected, 0), "{} of {expected} deliveries, {} skipped", steady.0, steady.1);
    ensure!(timed == expected, "{timed} of {expected} deliveries were timed");
    Ok(())
}

/// A session behind its handshake.
async fn open(server: &Server, is_mute: bool) -> Result<TcpStream> {
    let address = server.url.strip_prefix("http://").context("an address")?;
    let socket = TcpSocket::new_v4()?;
    if is_mute {
        socket.set_recv_buffer_size(4_096)?;
    }
    let mut stream = socket.connect(address.parse()?).await?;
    stream.set_nodelay(true)?;
    let head = format!(
        "GET /api/dashboard/ws/tasks?subscriptions=tasks HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {}\r\n\r\n",
        server.token
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    ensure!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    Ok(stream)
}

/// Reads to the end.
async fn read(mut stream: TcpStream, place: Rc<Cell<u64>>, seen: Rc<Seen>) {
    let mut bytes = Vec::with_capacity(4_096);
    let mut room = vec![0_u8; 65_536];
    loop {
        match stream.read(&mut room).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(room.get(..count).unwrap_or_default()),
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut rest = bytes.as_slice();
        while let Some((payload, behind)) = frame(rest) {
            look(payload, now, &place, &seen);
            rest = behind;
        }
        let kept = bytes.len() - rest.len();
        bytes.drain(..kept);
    }
}

/// The first whole frame, and what stands behind it.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, at) = match *bytes.get(1)? {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    bytes.get(at..)?.split_at_checked(length)
}

fn look(payload: &[u8], now: Duration, place: &Cell<u64>, seen: &Seen) {
    let offset = number_behind(payload, br#""offset":"#);
    if payload.starts_with(br#"{"type":"dashboard_initialized"#) {
        place.set(offset.unwrap_or(0));
    } else if payload.starts_with(br#"{"type":"events_skipped"#) {
        let (from, to) = (number_behind(payload, br#""from":"#), number_behind(payload, br#""to":"#));
        if let (Some(from), Some(to)) = (from, to) {
            seen.gaps.set(seen.gaps.get() + u64::from(from != place.get() + 1));
            seen.skipped.set(seen.skipped.get() + to.saturating_sub(from) + 1);
            place.set(to);
        }
    } else if payload.starts_with(br#"{"type":"task_event"#) {
        let is_next = offset == Some(place.get() + 1);
        seen.gaps.set(seen.gaps.get() + u64::from(!is_next));
        place.set(offset.unwrap_or(0));
        seen.delivered.set(seen.delivered.get() + 1);
        let delivered_at = Instant::now();
        seen.first_at.set(seen.first_at.get().or(Some(delivered_at)));
        seen.last_at.set(Some(delivered_at));
        if seen.is_timed.get()
            && let Some(at) = microsecond_of_day(payload)
        {
            let day = 86_400_000_000_u128;
            let waited = (now.as_micros() % day + day - u128::from(at)) % day;
            // A clock that is a little ahead says a day less a moment.
            let waited = if waited > day / 2 { 0 } else { waited };
            let _ = seen.latency.borrow_mut().record(u64::try_from(waited).unwrap_or(0));
        }
    }
}

/// Where the last such key ends.
fn behind(payload: &[u8], key: &[u8]) -> Option<usize> {
    payload.windows(key.len()).rposition(|part| part == key).map(|at| at + key.len())
}

/// The number behind the last place of a key.
fn number_behind(payload: &[u8], key: &[u8]) -> Option<u64> {
    let digits = payload.get(behind(payload, key)?..)?;
    let digits = digits.split(|byte| !byte.is_ascii_digit()).next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// When the event was committed, in microseconds of its day: the `at` of the event, as `2026-11-21T23:20:00.123456Z`.
fn microsecond_of_day(payload: &[u8]) -> Option<u64> {
    let key = br#""timestamp":""#;
    let at = payload.windows(key.len()).position(|part| part == key)? + key.len();
    let text = std::str::from_utf8(payload.get(at..)?.split(|byte| *byte == b'"').next()?).ok()?;
    let (_, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok());
    let seconds = parts.next()?? * 3_600 + parts.next()?? * 60 + parts.next()??;
    Some(seconds * 1_000_000 + format!("{fraction:0<6}").get(..6)?.parse::<u64>().ok()?)
}

/// Writes at a steady rate; answers how many events.
async fn write(server: &Server, time: Duration) -> Result<u64> {
    let tasks: Vec<Value> = (0..TASKS_A_COMMIT).map(|_| json!({"title": "t"})).collect();
    let body = json!({"tasks": tasks}).to_string();
    let pause = Duration::from_micros(1_000_000 * TASKS_A_COMMIT / RATE);
    let mut due = tokio::time::interval(pause);
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < time {
        due.tick().await;
        let (status, answer) = server.post("/api/v2/tasks/bulk", body.clone()).await?;
        ensure!(status == 200, "{answer}");
        written += TASKS_A_COMMIT;
    }
    Ok(written)
}

/// Waits until every reader has the log's last event.
async fn arrived(server: &Server, places: &[Rc<Cell<u64>>]) -> Result<()> {
    let request = server.client.get(format!("{}/api/v2/system", server.url)).bearer_auth(&server.token);
    let system: Value = request.send().await?.json().await?;
    let head = system["log"]["last_seq"].as_u64().context("a head")?;
    let began = Instant::now();
    while places.iter().any(|place| place.get() < head) {
        if began.elapsed() > ARRIVES_WITHIN {
            let behind = places.iter().filter(|place| place.get() < head).count();
            bail!("{behind} readers do not have event {head}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Deliveries per second while more is written than can be delivered, from the first delivery of a burst to its last; the
/// middle one of several bursts.
async fn bursts(server: &Server, places: &[Rc<Cell<u64>>], seen: &Seen) -> Result<f64> {
    let tasks: Vec<Value> = (0..BURST).map(|_| json!({"title": "t"})).collect();
    let body = json!({"tasks": tasks}).to_string();
    let commits = BURST_DELIVERIES.div_ceil(places.len().max(1) * BURST);
    let mut rates = Vec::new();
    for _ in 0..BURSTS {
        let before = seen.delivered.get();
        seen.first_at.set(None);
        seen.last_at.set(None);
        for _ in 0..commits {
            let (status, answer) = server.post("/api/v2/tasks/bulk", body.clone()).await?;
            ensure!(status == 200, "{answer}");
        }
        arrived(server, places).await?;
        let (first, last) = (seen.first_at.get(), seen.last_at.get());
        let took = first.zip(last).map(|(first, last)| last - first).context("nothing was delivered")?;
        rates.push(lossy_u64(seen.delivered.get() - before) / took.as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().context("a burst")
}

async fn ws_metrics(server: &Server) -> Result<Value> {
    let url = format!("{}/api/dashboard/metrics/websockets", server.url);
    let request = server.client.get(url).bearer_auth(&server.token).header("accept", "application/json");
    Ok(request.send().await?.json().await?)
}

const fn lossy(count: usize) -> f64 {
    count as f64
}

const fn lossy_u64(count: u64) -> f64 {
    count as f64
}
