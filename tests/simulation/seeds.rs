//! Many seeds, on all processors.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::run::{Played, play};
use crate::world::Figures;

/// Which seeds are played; with `HIVE_SIM_STOP` set, only until one breaks a promise.
pub struct Seeds(pub RangeInclusive<u64>);

/// Names the variable that stops at the first seed that breaks a promise.
pub const STOP: &str = "HIVE_SIM_STOP";

impl Seeds {
    /// From the one to the other, unless `HIVE_SIM_SEEDS` says others (`1-10000`).
    pub fn wanted(first: u64, last: u64) -> Result<Self> {
        let Ok(said) = std::env::var("HIVE_SIM_SEEDS") else { return Ok(Self(first..=last)) };
        let (first, last) = said.split_once('-').context("HIVE_SIM_SEEDS is two numbers, as 1-10000")?;
        Ok(Self(first.parse()?..=last.parse()?))
    }
}

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    pub seeds: u64,
    pub figures: Figures,
    pub virtual_us: u64,
    /// Seeds that broke a promise, the lowest first, with the first promise each.
    pub broken: Vec<(u64, String)>,
}

impl Summary {
    fn add(&mut self, played: &Played) {
        let Figures { calls, commits, events, crashes, faults } = played.figures;
        self.seeds += 1;
        self.virtual_us += played.took_us;
        self.figures.calls += calls;
        self.figures.commits += commits;
        self.figures.events += events;
        self.figures.crashes += crashes;
        self.figures.faults += faults;
        if let Some(first) = played.breaches.first() {
            self.broken.push((played.seed, first.clone()));
        }
    }

    /// What went wrong, and how to see it again.
    pub fn advice(&self) -> String {
        let lines: Vec<String> =
            self.broken.iter().take(20).map(|(seed, what)| format!("seed {seed}: {what}")).collect();
        let seed = self.broken.first().map_or(0, |(seed, _)| *seed);
        format!(
            "{} of {} seeds break a promise:\n{}\nthe history of the first: HIVE_SIM_SEED={seed} cargo nextest run \
             --release -p simulation --no-capture one_seed",
            self.broken.len(),
            self.seeds,
            lines.join("\n")
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { calls, commits, events, crashes, faults } = self.figures;
        write!(
            f,
            "{} seeds, {} virtual minutes, {calls} calls, {commits} commits, {events} events, {crashes} crashes, {faults} faults, {} broken",
            self.seeds,
            self.virtual_us / 60_000_000,
            self.broken.len()
        )
    }
}

/// Plays them all; stops early once enough are broken.
pub fn play_all(seeds: &Seeds) -> Result<Summary> {
    let (next, last) = (AtomicU64::new(*seeds.0.start()), *seeds.0.end());
    let (summary, stops) = (Mutex::new(Summary::default()), std::env::var_os(STOP).is_some());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_enough = stops && summary.lock().is_ok_and(|summary| !summary.broken.is_empty());
            if seed > last || is_enough {
                return anyhow::Ok(());
            }
            let played = play(seed)?;
            let mut summary = summary.lock().expect("nobody panics here");
            summary.add(&played);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        hands.into_iter().try_for_each(|hand| hand.join().expect("seeds are played apart"))
    })?;
    let mut summary = summary.into_inner()?;
    summary.broken.sort();
    Ok(summary)
}
