//! `ledger`: holds a running hive to what it promised. See `tests/ledger.rs`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tests::ledger::crowd::{Counts, Worker};
use tests::ledger::{Book, Crowd, Remote, check, promises, self_test};

const USAGE: &str = "usage: ledger --self-test
       ledger work AGENT NAME BOOKS MS  a worker that thinks MS about a task and writes down in the folder BOOKS what
                                        it is promised
       ledger crowd SECONDS BOOKS       64 clients and 32 workers, and a check at the end
       ledger check BOOKS               compares BOOKS with what the hive says now

The hive is named by HIVE_SERVER and HIVE_TOKEN, as for `hive`. Ends with 1 where a promise is broken.";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ledger: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(words: &[&str]) -> Result<ExitCode> {
    match words {
        ["--self-test"] => {
            for fault in self_test::run().await? {
                println!("found: {fault}");
            }
            Ok(ExitCode::SUCCESS)
        }
        ["work", agent, name, books, think_ms] => {
            let book = Book::open(&PathBuf::from(books), name)?;
            let think = Duration::from_millis(think_ms.parse().context("MS is a number")?);
            let mut worker =
                Worker { hive: remote()?, agent: (*agent).to_owned(), name: (*name).to_owned(), book, think };
            worker.work(&Counts::default(), &AtomicBool::new(false)).await?;
            Ok(ExitCode::SUCCESS)
        }
        ["crowd", seconds, books] => {
            let (books, seconds) = (PathBuf::from(books), seconds.parse().context("SECONDS is a number")?);
            std::fs::create_dir_all(&books)?;
            let hive = remote()?;
            let agent = hive.agent(&format!("ledger-{}", std::process::id()), 1_000).await?;
            let crowd = Crowd::begin(&hive, &agent, &books, "crowd", (64, 32));
            let counts = std::sync::Arc::clone(&crowd.counts);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            crowd.end(&hive).await?;
            println!("{} submits answered before", counts.replayed.load(Ordering::Relaxed));
            verdict(&hive, books).await
        }
        ["check", books] => verdict(&remote()?, PathBuf::from(books)).await,
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

fn remote() -> Result<Remote> {
    let of = |name: &str| std::env::var(name).with_context(|| format!("{name} names the hive"));
    let token = match std::env::var("HIVE_TOKEN") {
        Ok(token) => token,
        Err(_) => std::fs::read_to_string("hive-data/admin.token").context("HIVE_TOKEN names no token")?,
    };
    Remote::new(of("HIVE_SERVER").as_deref().unwrap_or("http://127.0.0.1:18080"), token.trim())
}

async fn verdict(hive: &Remote, books: PathBuf) -> Result<ExitCode> {
    let promises = promises(&books)?;
    if promises.is_empty() {
        bail!("{} holds no promise", books.display());
    }
    let verdict = check(hive, &promises).await?;
    println!(
        "{} submits, {} completions, {} refusals, {} events: {} broken",
        verdict.accepted,
        verdict.completed,
        verdict.refused,
        verdict.events,
        verdict.breaches.len()
    );
    verdict.breaches.iter().take(20).for_each(|breach| println!("broken: {breach}"));
    Ok(if verdict.breaches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
