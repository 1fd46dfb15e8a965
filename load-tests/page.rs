//! The pages about performance: made from reports and from nothing else, as Markdown and as HTML with plots.
//!
//! Invariant: the same reports give the same pages, to the letter; so a test can tell whether `docs/performance.md` is what
//! the committed reports say.

mod bars;
mod curves;
mod document;
mod palette;
mod peers;
mod sections;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::page::document::{Document, Part, anchor, plain};
use crate::page::peers::PeerRun;
use crate::report::Report;

/// What stands above everything, written by hand.
const PREAMBLE: &str = include_str!("page/preamble.md");
/// The order of scenarios; others follow in that of the alphabet.
const ORDER: [&str; 10] =
    ["submit", "end_to_end", "latency", "agents", "reads", "mixed", "fan_out", "growth", "idle", "soak"];

/// Makes a page of all reports in a folder.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the reports are, as `--out` writes them, and `peers.jsonl`; the page becomes `index.html` there.
    pub folder: PathBuf,
    /// Writes the page as Markdown into this file, too.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

/// Makes them.
///
/// # Errors
/// When there are no reports, when one cannot be read, or when a page cannot be written.
pub fn make(arguments: &Arguments) -> Result<()> {
    let folder = &arguments.folder;
    let page = of_folder(folder)?;
    let page = page.with_context(|| format!("no reports in {}: --out writes some", folder.display()))?;
    let html = folder.join("index.html");
    write(&html, &page.html("Performance")?)?;
    println!("{}", html.display());
    if let Some(file) = &arguments.markdown {
        write(file, &page.markdown())?;
        println!("{}", file.display());
    }
    Ok(())
}

/// Writes a report into a folder: as JSON, as Markdown, and as HTML.
///
/// # Errors
/// When it cannot be written.
pub fn write_report(folder: &Path, report: &Report) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    let page = of(std::slice::from_ref(report), &[]);
    let file = |ending: &str| folder.join(format!("{}-{}.{ending}", report.scenario, report.database));
    write(&file("json"), &(serde_json::to_string_pretty(report)? + "\n"))?;
    write(&file("md"), &page.markdown())?;
    write(&file("html"), &page.html(&sections::title(report))?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The page of all that is in a folder; `None` where there are neither reports nor peers, or no folder.
fn of_folder(folder: &Path) -> Result<Option<Document>> {
    let (reports, peers) = (reports(folder)?, peers::read(folder)?);
    Ok((!reports.is_empty() || !peers.is_empty()).then(|| of(&reports, &peers)))
}

/// All reports of a folder, in their order.
fn reports(folder: &Path) -> Result<Vec<Report>> {
    let mut reports = Vec::new();
    if !folder.exists() {
        return Ok(reports);
    }
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            let report: Report =
                serde_json::from_str(&text).with_context(|| format!("{} is no report", path.display()))?;
            reports.push(report);
        }
    }
    let place = |report: &Report| {
        let place = ORDER.iter().position(|name| *name == report.scenario).unwrap_or(ORDER.len());
        (place, report.scenario.clone(), report.database != "sqlite", report.database.clone())
    };
    reports.sort_by_key(place);
    for (one, next) in reports.iter().zip(reports.iter().skip(1)) {
        ensure!(place(one) != place(next), "two reports of {}: one page shows one", sections::title(one));
    }
    Ok(reports)
}

/// The page.
fn of(reports: &[Report], peers: &[PeerRun]) -> Document {
    let mut titles: Vec<String> = reports.iter().map(sections::title).collect();
    if !peers.is_empty() {
        titles.push(peers::HEADING.to_owned());
    }
    let mut parts = vec![Part::Text(PREAMBLE.to_owned())];
    if titles.len() > 1 {
        let line = |title: &String| format!("- [{}](#{})\n", plain(title), anchor(title));
        parts.push(Part::Text(titles.iter().map(line).collect()));
    }
    parts.extend(reports.iter().flat_map(sections::of));
    parts.extend(peers::of(peers));
    Document(parts)
}
