//! The worker of a comparison: a process of its own that works over one session, and says on request what it has counted.

use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, mpsc};

use crate::report::Latency;
use crate::sample::Sample;
use crate::tally::Tally;
use crate::task::micros_at;
use crate::wire::Place;
use crate::worker::{Work, over_session};

/// The argument that makes this program a worker; behind it stand address, token, agent and slots.
pub const PEER_WORKER: &str = "peer-worker";
/// Longer than any comparison.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);
/// How often it is asked how far it is.
const ASKED_EVERY: Duration = Duration::from_millis(5);

/// How far a worker is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Count {
    /// Assignments that it has read.
    pub started: u64,
    /// Completions that were acknowledged.
    pub done: u64,
    /// When the first assignment was read, in microseconds since 1970; 0 before.
    pub first_start: u64,
    /// When the last completion was acknowledged.
    pub last_done: u64,
}

/// What a worker has seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// How far it is.
    pub count: Count,
    /// From when tasks were due until their assignments were read.
    pub starts: Latency,
}

/// What is asked of a worker: a line each, answered with a line of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Question {
    /// A [`Count`].
    Count,
    /// All that was [`Seen`].
    Seen,
    /// Count from now on.
    Clear,
}

/// Works until its input ends.
pub async fn work(mut words: impl Iterator<Item = String>) -> Result<()> {
    let mut word = || words.next().context("address, token, agent and slots");
    let (place, agent, slots) = (Place { address: word()?, token: word()? }, word()?, word()?.parse()?);
    let tally = || Tally::from(Instant::now(), FOR_EVER);
    let work = Work {
        completions: tally()?,
        starts: tally()?,
        sample: Sample::default(),
        is_over: Rc::new(|| false),
    };
    tokio::select! {
        ended = over_session(&place, &agent, &work, slots) => ended,
        ended = answer(&work) => ended,
    }
}

async fn answer(work: &Work) -> Result<()> {
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let told = match serde_json::from_str(&line)? {
            Question::Count => serde_json::to_string(&count(work))?,
            Question::Seen => {
                serde_json::to_string(&Seen { count: count(work), starts: work.starts.latency() })?
            }
            Question::Clear => {
                work.starts.clear();
                work.completions.clear();
                serde_json::to_string(&count(work))?
            }
        };
        println!("{told}");
    }
    Ok(())
}

/// The lines of the standard input, as they come.
#[expect(clippy::disallowed_methods, reason = "it ends with the input, or with the process")]
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (say, said) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        // Nobody asks any more once the worker has ended.
        lines.take_while(|line| say.send(line.clone()).is_ok()).for_each(drop);
    });
    said
}

fn count(work: &Work) -> Count {
    let first_start = work.starts.first_and_last().map_or(0, |(first, _)| micros_at(first));
    let last_done = work.completions.first_and_last().map_or(0, |(_, last)| micros_at(last));
    Count { started: work.starts.all(), done: work.completions.all(), first_start, last_done }
}

/// A worker process; ended when dropped.
pub struct WorkerProcess {
    child: Child,
    talk: Mutex<Talk>,
}

struct Talk {
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl WorkerProcess {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(place: &Place, agent: &str, slots: usize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([PEER_WORKER, &place.address, &place.token, agent, &slots.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let questions = child.stdin.take().context("its input")?;
        let answers = BufReader::new(child.stdout.take().context("its words")?).lines();
        let process = Self { child, talk: Mutex::new(Talk { questions, answers }) };
        process.clear().await?;
        Ok(process)
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the worker has ended")
    }

    /// Makes it count from now on.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn clear(&self) -> Result<()> {
        self.ask::<Count>(Question::Clear).await?;
        Ok(())
    }

    /// What it has seen once it is so far, or when it has been waited for so long.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn until(&self, patience: Duration, is_so_far: impl Fn(&Count) -> bool) -> Result<Seen> {
        let began = Instant::now();
        while began.elapsed() < patience && !is_so_far(&self.ask(Question::Count).await?) {
            tokio::time::sleep(ASKED_EVERY).await;
        }
        self.ask(Question::Seen).await
    }

    async fn ask<T: DeserializeOwned>(&self, question: Question) -> Result<T> {
        let Talk { questions, answers } = &mut *self.talk.lock().await;
        questions.write_all(format!("{}\n", serde_json::to_string(&question)?).as_bytes()).await?;
        let answer = answers.next_line().await?.context("the worker has ended")?;
        Ok(serde_json::from_str(&answer)?)
    }
}
