//! What a page says of other task systems, measured on the same machine: `peers.jsonl`, a line a run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::page::bars::{Bars, Row};
use crate::page::document::{Drawing, Part, Plot, Table, code, figure_text, plain};
use crate::page::palette::{CEILING, DOT, series};
use crate::report::Machine;

/// The heading of this part.
pub const HEADING: &str = "Other task systems";
const ABOUT: &str = "The same work given to other systems on this machine, each with its own client and the durability that is named; \
     medians over the runs. Ours come first, then the others by how fast they take tasks. *Enqueue* is one task a request from 64 clients, *bulk* many a request, \
     *drain* the completion of a backlog, *end to end* both at once, and the times are from submit to start at a fixed rate; \
     processor and memory are those of the server meanwhile, end to end.";
/// The name of the file in a folder of reports.
const FILE: &str = "peers.jsonl";
/// What our own system has in its name.
const OURS: &str = "hive";
/// Of so many tasks that were to start in a second, this share did: else a latency is not told.
const STARTED_MIN: f64 = 0.99;

/// One run of one peer.
#[derive(Debug, Clone, Deserialize)]
pub struct PeerRun {
    peer: String,
    /// What it is.
    #[serde(default)]
    desc: String,
    /// What it promises to keep.
    #[serde(default)]
    durability: String,
    /// The day, and the time of the day.
    #[serde(default)]
    when: String,
    /// What was added to each flush, to imitate a slower disk.
    #[serde(default)]
    slowsync_us: u64,
    /// What was measured, by phase and by name.
    #[serde(default)]
    phases: BTreeMap<String, BTreeMap<String, Value>>,
    /// What went wrong.
    #[serde(default)]
    error: Option<String>,
    /// How its process ended.
    #[serde(default)]
    exit: Option<i64>,
    #[serde(default)]
    machine: Option<Machine>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    command: Option<String>,
}

impl PeerRun {
    fn figure(&self, phase: &str, name: &str) -> Option<f64> {
        self.phases.get(phase)?.get(name)?.as_f64()
    }

    /// Whether it was only a look whether everything works.
    #[cfg(test)]
    pub fn is_quick(&self) -> bool {
        self.command.as_ref().is_some_and(|command| command.contains("--quick"))
    }

    fn has_failed(&self) -> bool {
        self.error.is_some() || self.exit.is_some_and(|code| code != 0)
    }
}

/// All runs of one peer.
struct Peer<'a>(Vec<&'a PeerRun>);

impl Peer<'_> {
    fn name(&self) -> &str {
        self.0.first().map_or("", |run| &run.peer)
    }

    fn is_ours(&self) -> bool {
        self.name().contains(OURS)
    }

    /// What each run has, where it has it.
    fn figures(&self, phase: &str, name: &str) -> Vec<f64> {
        self.0.iter().filter_map(|run| run.figure(phase, name)).collect()
    }

    fn median(&self, phase: &str, name: &str) -> Option<f64> {
        median(self.figures(phase, name))
    }

    fn median_text(&self, phase: &str, name: &str) -> Option<String> {
        self.median(phase, name).map(figure_text)
    }

    /// Median and 99 of 100, of runs in which all but few tasks started in time; else how many did.
    fn latency(&self, phase: &str) -> Option<String> {
        let runs: Vec<&&PeerRun> =
            self.0.iter().filter(|run| run.figure(phase, "p50_ms").is_some()).collect();
        let share = |run: &&&PeerRun| Some(run.figure(phase, "started")? / run.figure(phase, "wanted")?);
        let good: Vec<&&&PeerRun> =
            runs.iter().filter(|run| share(run).is_none_or(|share| share >= STARTED_MIN)).collect();
        if good.len() * 2 < runs.len() {
            let started = median(runs.iter().filter_map(share).collect())?;
            return Some(format!("only {} % started", figure_text(100.0 * started)));
        }
        let of = |name| median(good.iter().filter_map(|run| run.figure(phase, name)).collect());
        Some(format!("{} / {}", figure_text(of("p50_ms")?), figure_text(of("p99_ms")?)))
    }
}

/// Reads what is in a folder; nothing where there is none.
///
/// # Errors
/// When a line is no run of a peer.
pub fn read(folder: &Path) -> Result<Vec<PeerRun>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let run = |(number, line)| {
        serde_json::from_str(line)
            .with_context(|| format!("{}:{} is no run of a peer", path.display(), number + 1))
    };
    lines.map(run).collect()
}

/// All of it.
pub fn of(runs: &[PeerRun]) -> Vec<Part> {
    if runs.is_empty() {
        return Vec::new();
    }
    let mut parts = vec![Part::Text(provenance(runs))];
    let mut slow: Vec<u64> = runs.iter().map(|run| run.slowsync_us).collect();
    slow.sort_unstable();
    slow.dedup();
    for slow in slow {
        let peers = grouped(runs.iter().filter(|run| run.slowsync_us == slow));
        if slow > 0 {
            let micros = figure_text(lossy(slow));
            parts.push(Part::Text(format!("### With {micros} µs more for each flush to disk\n")));
        }
        parts.push(Part::Text(what(&peers).markdown() + &failures(&peers)));
        parts.push(Part::Text(table(&peers).markdown()));
        let more = if slow > 0 { format!(", {slow} µs more for each flush") } else { String::new() };
        for (phase, what) in
            [("enqueue", "tasks enqueued per second, 64 clients"), ("e2e", "tasks per second, end to end")]
        {
            parts.extend(plot(&peers, phase, &format!("{what}{more}")).map(Part::Plot));
        }
    }
    parts
}

fn provenance(runs: &[PeerRun]) -> String {
    let days = || runs.iter().filter_map(|run| run.when.split_whitespace().next());
    let (first, last) = (days().min().unwrap_or("an unknown day"), days().max().unwrap_or_default());
    let mut text = format!("## {HEADING}\n\n{ABOUT}\n\nMeasured on {}", plain(first));
    if !last.is_empty() && last != first {
        text += &format!(" to {}", plain(last));
    }
    let told = |of: fn(&PeerRun) -> Option<&String>| {
        let mut all: Vec<String> = runs.iter().filter_map(of).map(|text| code(text)).collect();
        all.sort();
        all.dedup();
        (!all.is_empty()).then(|| all.join(", "))
    };
    if let Some(machine) = runs.iter().find_map(|run| run.machine.as_ref()) {
        let memory = figure_text(lossy(machine.memory_mib));
        let (model, kernel) = (plain(&machine.model), plain(&machine.kernel));
        text += &format!(
            " on {} processors ({model}), {memory} MiB of memory, Linux {kernel}",
            machine.processors
        );
    }
    if let Some(versions) = told(|run| run.version.as_ref()) {
        text += &format!(", ours at commit {versions}");
    }
    if let Some(commands) = told(|run| run.command.as_ref()) {
        text += &format!(", with\n{commands}");
    }
    text + ".\n"
}

/// Ours first, and the faster ones before the slower ones.
fn grouped<'a>(runs: impl Iterator<Item = &'a PeerRun>) -> Vec<Peer<'a>> {
    let mut by_name: BTreeMap<&str, Vec<&PeerRun>> = BTreeMap::new();
    for run in runs {
        by_name.entry(&run.peer).or_default().push(run);
    }
    let mut peers: Vec<Peer> = by_name.into_values().map(Peer).collect();
    let rate = |peer: &Peer| peer.median("enqueue", "rate").unwrap_or_default();
    peers.sort_by(|a, b| b.is_ours().cmp(&a.is_ours()).then(rate(b).total_cmp(&rate(a))));
    peers
}

fn what(peers: &[Peer]) -> Table {
    let mut table = Table::new(3, &["system", "what it is", "what is durable", "runs"]);
    for peer in peers {
        let said = |of: fn(&PeerRun) -> &String| {
            peer.0.first().map(|run| of(run).clone()).filter(|text| !text.is_empty())
        };
        let runs = peer.0.len().to_string();
        table.rows.push(vec![
            Some(peer.name().to_owned()),
            said(|run| &run.desc),
            said(|run| &run.durability),
            Some(runs),
        ]);
    }
    table
}

fn table(peers: &[Peer]) -> Table {
    let heads = [
        "system",
        "enqueue/s",
        "p50 ms",
        "flushes/s meanwhile",
        "bulk/s",
        "drain/s",
        "end to end/s",
        "at 100/s, p50 / p99 ms",
        "at 500/s, p50 / p99 ms",
        "processor of the server, %",
        "memory, MiB",
    ];
    let mut table = Table::new(1, &heads);
    for peer in peers {
        table.rows.push(vec![
            Some(peer.name().to_owned()),
            peer.median_text("enqueue", "rate"),
            peer.median_text("enqueue", "p50_ms"),
            peer.median_text("enqueue", "_flushes_per_s"),
            peer.median_text("bulk", "rate"),
            peer.median_text("drain", "rate"),
            peer.median_text("e2e", "rate"),
            peer.latency("lat100"),
            peer.latency("lat500"),
            peer.median_text("e2e", "_server_cpu_pct"),
            peer.median_text("e2e", "_server_pss_mib"),
        ]);
    }
    table
}

/// Which runs did not come to their end.
fn failures(peers: &[Peer]) -> String {
    let mut text = String::new();
    for peer in peers {
        let failed = peer.0.iter().filter(|run| run.has_failed()).count();
        if failed > 0 {
            let all = peer.0.len();
            text += &format!("\n{}: {failed} of {all} runs did not come to their end.\n", plain(peer.name()));
        }
    }
    text
}

fn plot(peers: &[Peer], phase: &str, caption: &str) -> Option<Plot> {
    let row = |peer: &Peer| {
        let median = peer.median(phase, "rate")?;
        let tone = if peer.is_ours() { series(0) } else { CEILING };
        Some(Row {
            name: peer.name().to_owned(),
            said: format!("{}/s", figure_text(median)),
            parts: vec![(tone, median)],
            dots: peer.figures(phase, "rate"),
            is_ceiling: false,
        })
    };
    let rows: Vec<Row> = peers.iter().filter_map(row).collect();
    let legend = vec![
        (series(0), "Agent Hive, median".to_owned()),
        (CEILING, "another system, median".to_owned()),
        (DOT, "each run".to_owned()),
    ];
    let caption = caption.to_owned();
    (!rows.is_empty()).then_some(Plot { caption, legend, drawing: Drawing::Bars(Bars { rows, least: 0.0 }) })
}

/// The middle one, or what is between the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Exact up to 2^53.
const fn lossy(count: u64) -> f64 {
    count as f64
}
