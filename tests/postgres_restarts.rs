//! A PostgreSQL server that goes away and comes back, again and again, under the ledger: 503 meanwhile, then it goes on by
//! itself, and no promise is broken.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::database::Server;
use tests::ledger::{Crowd, Remote, Verdict, check, promises, report};
use tests::{Hive, Options, PATIENCE};

/// Asks until a submit is answered like this.
async fn answered(remote: &Remote, status: StatusCode) -> Result<()> {
    let began = Instant::now();
    loop {
        // Whoever is answered 503 may have been accepted all the same; a worker takes what was.
        let told = remote.send(Method::POST, "/api/v2/tasks", None, &json!({"title": "probe"})).await;
        if told.as_ref().is_some_and(|told| told.status == status) {
            return Ok(());
        }
        ensure!(began.elapsed() < PATIENCE, "no submit is answered {status}, but {told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A server that ends as in a crash after each of these times, and is away for as long as somebody needs to be refused.
async fn restarted(lives: impl Iterator<Item = Duration>) -> Result<(Verdict, u64, u64)> {
    let server = Server::start()?;
    let options =
        Options::default().set("HIVE__DATABASE__URL", &server.url).set("HIVE__LEASE__TTL_MS", 2_000);
    let hive = Hive::start_with(options).await?;
    let remote = Remote::new(&hive.url, &hive.token)?;
    let books = tempfile::tempdir()?;
    let agent = remote.agent("steady", 1_000).await?;
    let crowd = Crowd::begin(&remote, &agent, books.path(), "crowd", (16, 8));
    let mut cycles = 0;
    for life in lives {
        let before = crowd.counts.accepted.load(Ordering::Relaxed);
        tokio::time::sleep(life).await;
        ensure!(
            crowd.counts.accepted.load(Ordering::Relaxed) > before,
            "nothing was accepted:\n{}",
            hive.log()
        );
        server.crash()?;
        answered(&remote, StatusCode::SERVICE_UNAVAILABLE).await?;
        server.recover()?;
        answered(&remote, StatusCode::CREATED).await?;
        cycles += 1;
    }
    let replayed = crowd.counts.replayed.load(Ordering::Relaxed);
    crowd.end(&remote).await?;
    let verdict = check(&remote, &promises(books.path())?).await?;
    let broken: Vec<_> = verdict.breaches.iter().take(20).map(ToString::to_string).collect();
    assert_eq!(broken, Vec::<String>::new());
    let actors: Value = hive.get("/api/v2/system/actors?prefix=hive/writer").await?;
    ensure!(actors["items"][0]["restarts"] == 0, "that a server is away is no failure of an actor: {actors}");
    Ok((verdict, replayed, cycles))
}

#[tokio::test]
async fn a_server_that_is_restarted_three_times_under_work_costs_time_and_no_promise() -> Result<()> {
    restarted([700, 300, 1_500].map(Duration::from_millis).into_iter()).await?;
    Ok(())
}

#[tokio::test]
async fn chaos_a_server_that_is_restarted_every_five_to_forty_seconds_for_five_minutes_costs_no_promise()
-> Result<()> {
    // 5 minutes in lives of 5 to 40 seconds.
    let lives = [5, 40, 12, 27, 8, 35, 18, 5, 31, 10, 22, 40, 6, 15, 26].map(Duration::from_secs);
    let (verdict, replayed, cycles) = restarted(lives.into_iter()).await?;
    let figures = json!({"cycles": cycles, "replayed": replayed, "database": "postgresql"});
    report("restart of the server", &verdict, figures)
}
