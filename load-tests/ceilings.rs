//! What simpler things do on the same machine, in the same run: a plain actix-web server under the same clients, the disk
//! alone, and SQLite alone.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, ensure};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use futures_util::future::try_join_all;

use crate::plan::{Plan, rate, tally};
use crate::report::Ceiling;
use crate::tally::Tally;
use crate::task::{Numbers, Template};
use crate::wire::Place;

/// The argument that makes this program a plain server.
pub const PLAIN_SERVER: &str = "plain-server";
/// How long the disk alone is measured, each time.
const DISK_TIME: Duration = Duration::from_secs(2);
/// Rows of one commit of SQLite alone: what 64 clients bring at once.
const ROWS: i64 = 64;
/// An answer as long as that of a submit.
const ANSWER: &str = concat!(
    r#"{"id":"task_01gk82kkr0000","title":"load 0000000000","state":"queued","queue":"default","priority":5,"attempt":0,"#,
    r#""failures":0,"attempts_max":3,"created_at":"2026-01-01T00:00:00.000000Z","labels":{},"requires":[],"correlation_id":"#,
    r#""01gk82kkr0000-00000000","timeouts":{},"plain":true}"#
);

/// Serves until it is ended; the first line it prints is where.
pub async fn serve_plainly() -> Result<()> {
    let answer = async |request: HttpRequest, _: web::Bytes| {
        let mut answer = match request.method().as_str() {
            "POST" => HttpResponse::Created(),
            _ => HttpResponse::Ok(),
        };
        answer.content_type("application/json").body(ANSWER)
    };
    let workers = std::thread::available_parallelism()?.get();
    let server = HttpServer::new(move || App::new().default_service(web::to(answer)))
        .workers(workers)
        .bind("127.0.0.1:0")?;
    let address = server.addrs().first().copied().context("an address")?;
    println!("{address}");
    std::io::stdout().flush()?;
    Ok(server.run().await?)
}

/// A plain server; ended when dropped.
struct Plain {
    child: Child,
    place: Place,
}

impl Plain {
    fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(PLAIN_SERVER).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("its words")?).read_line(&mut address)?;
        let place = Place { address: address.trim().to_owned(), token: "none".to_owned() };
        Ok(Self { child, place })
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Requests that a plain actix-web server answers, under as many clients of the same kind.
pub async fn plain_http(plan: &Plan, clients: usize, above: &[String]) -> Result<Ceiling> {
    let mut runs = Vec::new();
    for _ in 0..plan.runs.max(1) {
        let plain = Plain::start()?;
        let (tally, numbers) = (tally(plan)?, Numbers::default());
        try_join_all((0..clients).map(|_| ask(&plain.place, &tally, &numbers))).await?;
        runs.push(rate(tally.count(), plan.time.as_secs_f64()));
    }
    let name = format!("plain actix-web, {clients} clients");
    Ok(Ceiling { name, unit: "requests".to_owned(), runs, above: above.to_vec() })
}

async fn ask(place: &Place, tally: &Tally, numbers: &Numbers) -> Result<()> {
    let (mut wire, mut template) = (place.connect().await?, Template::new(place, ""));
    loop {
        let sent = Instant::now();
        if sent >= tally.end() {
            return Ok(());
        }
        let answer = wire.ask(template.with(numbers.next(), sent)).await?;
        ensure!(answer.status == 201, "the plain server answered {}", answer.status);
        tally.add(sent, 1);
    }
}

/// The disk alone, and SQLite alone, where the hives have their data.
pub fn disk(plan: &Plan, above: &[String]) -> Result<Vec<Ceiling>> {
    let folder = tempfile::tempdir()?;
    let (mut syncs, mut rows) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs.max(1) {
        syncs.push(syncs_per_second(&folder.path().join("plain"))?);
        rows.push(rows_per_second(&folder.path().join("plain.db"))?);
    }
    let ceiling = |name: &str, unit: &str, runs| Ceiling {
        name: name.to_owned(),
        unit: unit.to_owned(),
        runs,
        above: above.to_vec(),
    };
    Ok(vec![
        ceiling("fdatasync of 4 KiB, one after the other", "syncs", syncs),
        ceiling("SQLite alone, synchronous=FULL, 64 rows a commit", "rows", rows),
    ])
}

fn syncs_per_second(path: &std::path::Path) -> Result<f64> {
    let mut file = std::fs::File::create(path)?;
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < DISK_TIME {
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(rate(count, began.elapsed().as_secs_f64()))
}

diesel::table! {
    rows (id) {
        id -> BigInt,
        state -> SmallInt,
        text -> Text,
    }
}

fn rows_per_second(path: &std::path::Path) -> Result<f64> {
    let _ = std::fs::remove_file(path);
    let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
    conn.batch_execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE rows (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, text TEXT NOT NULL)",
    )?;
    let text = "x".repeat(300);
    let (began, mut id) = (Instant::now(), 0_i64);
    while began.elapsed() < DISK_TIME {
        conn.immediate_transaction::<_, diesel::result::Error, _>(|conn| {
            for _ in 0..ROWS {
                id += 1;
                let row = (rows::id.eq(id), rows::state.eq(1_i16), rows::text.eq(&text));
                diesel::insert_into(rows::table).values(row).execute(conn)?;
            }
            Ok(())
        })?;
    }
    Ok(rate(u64::try_from(id)?, began.elapsed().as_secs_f64()))
}
