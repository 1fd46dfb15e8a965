//! What sessions cost and how fast they hear: so many of them, of which one of ten never reads, events at a steady rate, and
//! afterwards bursts that are written faster than they can be delivered.
//!
//! Readers look at each frame's place and count what they have. The measurement fails where one of them lacks an event without
//! having been told, and, while the rate is steady, where not every event was delivered to every reader and timed.
//!
//! The readers are one thread of this machine: where it has no time left (`load` near 1), what they measure is an upper bound
//! of what the hive takes, and a lower one of what it delivers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::loopback;
use crate::plan::{Plan, rate};
use crate::process::own_cpu;
use crate::report::{Case, Ceiling, Latency, Run};
use crate::server::Server;

/// What it is about.
pub const ABOUT: &str =
    "Deliveries of events to WebSocket sessions per second, in bursts; their latency at a steady rate";
/// Sessions, and events a second while the rate is steady.
const SHAPES: [(usize, u64); 4] = [(100, 50), (1_000, 20), (1_000, 200), (5_000, 5)];
/// Events a second where the sessions were asked for.
const RATE: u64 = 200;
/// Events of one commit at a steady rate.
const TASKS_A_COMMIT: u64 = 4;
/// Of so many sessions one never reads.
const MUTE_OF: usize = 10;
/// Tasks of one commit of a burst, deliveries that a burst has at least, and how many bursts there are.
const BURST: usize = 1_000;
const BURST_DELIVERIES: usize = 2_000_000;
const BURSTS: usize = 3;
/// How long everything that was written may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(120);

/// What all readers saw.
struct Seen {
    latency: RefCell<Histogram<u64>>,
    delivered: Cell<u64>,
    /// Bytes of all frames.
    bytes: Cell<usize>,
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

/// The sessions of a run.
struct Audience {
    seen: Rc<Seen>,
    /// Where each reader is.
    places: Vec<Rc<Cell<u64>>>,
    /// Those that never read.
    mutes: Vec<TcpStream>,
}

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let shapes = match plan.clients {
        Some(sessions) => vec![(sessions, RATE)],
        None => SHAPES.into_iter().take(if plan.is_quick { 1 } else { SHAPES.len() }).collect(),
    };
    let (mut cases, mut ceilings) = (Vec::new(), Vec::new());
    for (sessions, per_second) in shapes {
        let name = format!("{sessions} sessions, {per_second} events a second");
        let frame_bytes = Cell::new(0);
        let run = |server| fan_out(server, plan, (sessions, per_second), &frame_bytes);
        cases.push(plan.case(&name, "deliveries", run).await?);
        ceilings.push(loopback::frames(plan, (sessions, frame_bytes.get()), &name).await?);
    }
    Ok((cases, ceilings))
}

async fn fan_out(
    server: Server,
    plan: &Plan,
    (sessions, per_second): (usize, u64),
    frame_bytes: &Cell<usize>,
) -> Result<Run> {
    let rss_before = server.rss_mib()?;
    let audience = gather(&server, sessions).await?;
    let Audience { seen, places, mutes } = &audience;
    let rss_mib = server.rss_mib()?;
    let (server_cpu, client_cpu, began) = (server.cpu()?, own_cpu()?, Instant::now());
    let written = write(&server, per_second, plan.time).await?;
    arrived(&server, places).await?;
    let took = began.elapsed().as_secs_f64();
    let busy = [
        ("hive", (server.cpu()? - server_cpu).as_secs_f64() / took),
        ("load", (own_cpu()? - client_cpu).as_secs_f64() / took),
    ];
    let steady = (seen.delivered.get(), seen.skipped.get());
    let expected = written * u64::try_from(places.len())?;
    seen.is_timed.set(false);
    let (server_cpu, client_cpu, began) = (server.cpu()?, own_cpu()?, Instant::now());
    let per_second = bursts(&server, places, seen, plan).await?;
    let took = began.elapsed().as_secs_f64();
    let timed = seen.latency.borrow().len();
    frame_bytes.set(seen.bytes.get() / usize::try_from(seen.delivered.get().max(1))?);
    ensure!(seen.gaps.get() == 0, "readers lack events that they were not told of");
    ensure!(steady == (expected, 0), "{} of {expected} deliveries, {} skipped", steady.0, steady.1);
    ensure!(timed == expected, "{timed} of {expected} deliveries were timed");
    let told = ws_metrics(&server).await?;
    let figures = [
        ("never read: times that their sockets took nothing", count(&told, "hive_ws_backpressure_total")?),
        ("never read: events that were skipped", by_label(&told, "hive_ws_drops_total")?),
        ("never read: sessions that were closed", by_label(&told, "hive_ws_disconnections_total")?),
        ("KiB a session", (rss_mib - rss_before) * 1_024.0 / lossy(sessions)),
        ("sessions that never read", lossy(mutes.len())),
        ("bytes a frame", lossy(frame_bytes.get())),
        ("deliveries a second at the steady rate", rate(steady.0, plan.time.as_secs_f64())),
        ("events skipped in bursts, and told to be", rate(seen.skipped.get() - steady.1, 1.0)),
        ("processors of the hive in bursts", (server.cpu()? - server_cpu).as_secs_f64() / took),
        ("processors of the load in bursts", (own_cpu()? - client_cpu).as_secs_f64() / took),
    ];
    let latency = Latency::of(&seen.latency.borrow());
    Ok(Run {
        per_second,
        count: seen.delivered.get(),
        latency: BTreeMap::from([("commit to receive".to_owned(), latency)]),
        cpus: busy.map(|(name, busy)| (name.to_owned(), busy)).into(),
        rss_mib: server.rss_mib()?,
        figures: figures.map(|(name, value)| (name.to_owned(), value)).into(),
        ..Run::default()
    })
}

/// Opens the sessions, a hundred at a time; each is behind its first frame.
async fn gather(server: &Server, sessions: usize) -> Result<Audience> {
    let seen = Rc::new(Seen {
        latency: RefCell::new(Histogram::new(3)?),
        delivered: Cell::new(0),
        bytes: Cell::new(0),
        is_timed: Cell::new(true),
        first_at: Cell::new(None),
        last_at: Cell::new(None),
        gaps: Cell::new(0),
        skipped: Cell::new(0),
    });
    let mutes = sessions / MUTE_OF;
    let (mut silent, mut places) = (Vec::new(), Vec::new());
    for chunk in (0..sessions).collect::<Vec<_>>().chunks(100) {
        let opened = try_join_all(chunk.iter().map(|number| open(server, *number < mutes))).await?;
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
    Ok(Audience { seen, places, mutes: silent })
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
            seen.bytes.set(seen.bytes.get() + payload.len());
            look(payload, now, &place, &seen);
            rest = behind;
        }
        let kept = bytes.len() - rest.len();
        bytes.drain(..kept);
    }
}

/// The first whole frame, and what stands behind it.
pub fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
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
async fn write(server: &Server, per_second: u64, time: Duration) -> Result<u64> {
    let a_commit = per_second.min(TASKS_A_COMMIT);
    let tasks: Vec<Value> = (0..a_commit).map(|_| json!({"title": "t"})).collect();
    let body = json!({"tasks": tasks}).to_string();
    let mut due = tokio::time::interval(Duration::from_micros(1_000_000 * a_commit / per_second));
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < time {
        due.tick().await;
        let (status, answer) = server.post("/api/v2/tasks/bulk", body.clone()).await?;
        ensure!(status == 200, "{answer}");
        written += a_commit;
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
async fn bursts(server: &Server, places: &[Rc<Cell<u64>>], seen: &Seen, plan: &Plan) -> Result<f64> {
    let tasks: Vec<Value> = (0..BURST).map(|_| json!({"title": "t"})).collect();
    let body = json!({"tasks": tasks}).to_string();
    let (bursts, deliveries) =
        if plan.is_quick { (1, BURST_DELIVERIES / 10) } else { (BURSTS, BURST_DELIVERIES) };
    let commits = deliveries.div_ceil(places.len().max(1) * BURST);
    let mut rates = Vec::new();
    for _ in 0..bursts {
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
        rates.push(rate(seen.delivered.get() - before, took.as_secs_f64()));
    }
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().context("a burst")
}

/// What the hive counted of its sessions. None of the readers is closed, or skips an event, while this is asked for.
async fn ws_metrics(server: &Server) -> Result<Value> {
    let url = format!("{}/api/dashboard/metrics/websockets", server.url);
    let request = server.client.get(url).bearer_auth(&server.token).header("accept", "application/json");
    Ok(request.send().await?.error_for_status()?.json().await?)
}

/// A count without labels. One that the hive does not tell is no zero.
fn count(told: &Value, name: &str) -> Result<f64> {
    told.get(name).and_then(Value::as_f64).with_context(|| format!("{name} is no count in {told}"))
}

/// A count, over all its labels. The hive tells one as soon as there is something to count.
fn by_label(told: &Value, name: &str) -> Result<f64> {
    let Some(counts) = told.get(name) else { return Ok(0.0) };
    let sum = counts.as_object().and_then(|counts| counts.values().map(Value::as_f64).sum());
    sum.with_context(|| format!("{name} is no count with labels in {told}"))
}

/// Exact up to 2^53.
const fn lossy(count: usize) -> f64 {
    count as f64
}
