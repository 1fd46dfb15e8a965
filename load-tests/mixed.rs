//! Everything at once, at a fixed rate: submits, reads of several kinds, and workers that complete what is submitted. Each
//! arrives whether or not the ones before were answered; the time counts from when it was due.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::pace::{Pool, arrivals};
use crate::plan::{Plan, verified, watch};
use crate::report::{Case, Ceiling, Run};
use crate::sample::Sample;
use crate::server::Server;
use crate::tally::{Tally, WARM_UP};
use crate::task::{Numbers, Template};
use crate::worker::{Work, over_session};

/// What it is about.
pub const ABOUT: &str = "Submits, reads and completions at a fixed rate; counts requests, beside which workers complete every task";
/// Requests a second.
const RATES: [f64; 2] = [867.5, 8_675.0];
/// How long it lasts, unless another time was asked for.
pub const TIME: Duration = Duration::from_secs(300);
/// Of so many requests this many are of each kind.
const MIX: [(Kind, u32); 5] =
    [(Kind::Submit, 8), (Kind::Task, 6), (Kind::List, 2), (Kind::System, 2), (Kind::Health, 2)];
/// The worker's slots.
const SLOTS: usize = 1_000;
/// Connections at the beginning.
const CONNECTIONS: usize = 64;
/// Ids that reads choose from.
const KNOWN: usize = 1_000;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Submit,
    Task,
    List,
    System,
    Health,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Task => "one task",
            Self::List => "20 tasks",
            Self::System => "system",
            Self::Health => "health",
        }
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// Measures it.
pub async fn measure(plan: &Plan) -> Result<(Vec<Case>, Vec<Ceiling>)> {
    let mut cases = Vec::new();
    // Arrivals that do not wait need a machine with time to spare, or more connections than there may be.
    let rates: &[f64] = if plan.is_quick { &RATES[..1] } else { &RATES };
    for rate in rates.iter().copied() {
        let name = format!("{rate} requests a second");
        cases.push(plan.case(&name, "requests", |server| arrive(server, plan, rate)).await?);
    }
    Ok((cases, Vec::new()))
}

/// What all requests of a run know.
struct Mix {
    pool: Pool,
    template: Template,
    numbers: Numbers,
    requests: Tally,
    submits: Tally,
    kinds: Vec<(Kind, Tally)>,
    /// The ids of tasks, the newest last.
    known: RefCell<Vec<String>>,
    place: crate::wire::Place,
}

/// One run.
pub async fn arrive(server: Server, plan: &Plan, rate: f64) -> Result<Run> {
    let agent = server.agent("load", SLOTS, &[]).await?;
    let begin = Instant::now() + WARM_UP;
    let tally = || Tally::from(begin, plan.time);
    let place = server.place();
    let mut kinds = Vec::new();
    for (kind, _) in MIX {
        kinds.push((kind, tally()?));
    }
    let mix = Rc::new(Mix {
        pool: Pool::new(place.clone(), CONNECTIONS).await?,
        template: Template::new(&place, ""),
        numbers: Numbers::default(),
        requests: tally()?,
        submits: tally()?,
        kinds,
        known: RefCell::default(),
        place,
    });
    let (completions, is_submitted) = (tally()?, Rc::new(Cell::new(false)));
    let is_over = {
        let (submits, completions, is_submitted) =
            (mix.submits.clone(), completions.clone(), Rc::clone(&is_submitted));
        Rc::new(move || is_submitted.get() && completions.all() >= submits.all())
    };
    let work =
        Work { completions: completions.clone(), starts: tally()?, sample: Sample::default(), is_over };
    let load = async {
        ask_at(&mix, rate).await?;
        is_submitted.set(true);
        anyhow::Ok(())
    };
    let worker = over_session(&mix.place, &agent, &work, SLOTS);
    let ((), (), cpus) = tokio::try_join!(load, worker, watch(&server, &mix.requests))?;
    let run = verified(&server, &completions, (&work.sample, "completed"), cpus).await?;
    let mut latency: BTreeMap<_, _> =
        mix.kinds.iter().map(|(kind, tally)| (kind.name().to_owned(), tally.latency())).collect();
    latency.insert("all requests".to_owned(), mix.requests.latency());
    latency.insert("submit to start".to_owned(), work.starts.latency());
    Ok(Run {
        per_second: crate::plan::rate(mix.requests.count(), plan.time.as_secs_f64()),
        count: mix.requests.count(),
        refused: mix.requests.refused(),
        latency,
        figures: BTreeMap::from([("completed tasks per second".to_owned(), run.per_second)]),
        ..run
    })
}

/// Asks at a rate until the end, and waits for all answers.
async fn ask_at(mix: &Rc<Mix>, rate: f64) -> Result<()> {
    let turn: Vec<Kind> = MIX.iter().flat_map(|(kind, count)| (0..*count).map(|_| *kind)).collect();
    let mut due = arrivals(rate, Instant::now(), mix.requests.end());
    let mut under_way = JoinSet::new();
    // A stride that meets every place, so that kinds do not come in blocks.
    for place in (0_usize..).step_by(7) {
        let Some(due) = due.recv().await else { break };
        let kind = turn.get(place % turn.len()).copied().unwrap_or(Kind::Health);
        let mix = Rc::clone(mix);
        under_way.spawn_local(async move { mix.ask(kind, due).await });
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    Ok(())
}

impl Mix {
    async fn ask(&self, kind: Kind, due: Instant) -> Result<()> {
        let newest = || {
            let known = self.known.borrow();
            let place = known.len().wrapping_mul(31) % known.len().max(1);
            known.get(place).map(|id| format!("/api/v2/tasks/{id}"))
        };
        let request = match kind {
            Kind::Submit => {
                let mut template = self.template.clone();
                template.with(self.numbers.next(), due).to_vec()
            }
            Kind::Task => self.place.get(&newest().unwrap_or_else(|| "/api/v2/system".to_owned())),
            Kind::List => self.place.get("/api/v2/tasks?limit=20"),
            Kind::System => self.place.get("/api/v2/system"),
            Kind::Health => self.place.get("/health/ready"),
        };
        let mut wire = self.pool.take().await?;
        let answer = wire.ask(&request).await?;
        if answer.status == 503 {
            // More than it can take at this moment; nothing was stored.
            self.requests.refuse();
            self.pool.give_back(wire);
            return Ok(());
        }
        let good = if kind == Kind::Submit { 201 } else { 200 };
        ensure!(answer.status == good, "{} was answered {}: {}", kind.name(), answer.status, answer.text());
        self.requests.add_due(due, 1);
        if let Some((_, tally)) = self.kinds.iter().find(|(known, _)| *known == kind) {
            tally.add_due(due, 1);
        }
        if kind == Kind::Submit {
            self.submits.add_due(due, 1);
            let number = self.submits.all();
            // One of eight is enough to choose from.
            if number % 8 == 1 {
                let Named { id } = serde_json::from_slice(answer.body)?;
                let mut known = self.known.borrow_mut();
                if known.len() >= KNOWN {
                    known.remove(0);
                }
                known.push(id);
            }
        }
        self.pool.give_back(wire);
        Ok(())
    }
}
