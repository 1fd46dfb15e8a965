//! Pages that come from the program: docs/settings.md and the manual pages.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tests::program;

#[test]
fn the_page_about_settings_says_what_the_code_does() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = hive::settings::page::page()?;
    if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
        std::fs::write(&path, page)?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != page {
        bail!("docs/settings.md is not what the code says; HIVE_TESTS_UPDATE=1 writes it anew");
    }
    Ok(())
}

#[test]
fn man_prints_the_first_page_and_writes_all_of_them_into_a_folder() -> Result<()> {
    let printed = Command::new(program()).arg("man").output()?;
    let folder = tempfile::tempdir()?;
    let pages = folder.path().join("man1");
    let written = Command::new(program()).args(["man", "--dir"]).arg(&pages).output()?;
    assert_eq!((printed.status.code(), written.status.code()), (Some(0), Some(0)));
    assert_eq!(std::fs::read(pages.join("hive.1"))?, printed.stdout);
    for name in ["hive-serve.1", "hive-task-submit.1", "hive-backup-restore.1", "hive-man.1"] {
        let page = std::fs::read_to_string(pages.join(name))?;
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let nowhere = Command::new(program()).args(["man", "--dir", "/proc/nowhere"]).output()?;
    assert_eq!(nowhere.status.code(), Some(74));
    assert!(String::from_utf8(nowhere.stderr)?.contains("cannot write into /proc/nowhere"));
    Ok(())
}

const FIGURES: [&str; 2] = ["<!-- figures: tests/run --chaos --report -->\n", "<!-- end of figures -->"];

/// The table of docs/guarantees.md, from the figures of the last whole run.
fn table(figures: &Value) -> Result<String> {
    let runs = figures["runs"].as_array().context("runs")?;
    if runs.is_empty() {
        return Ok(String::new());
    }
    let mut table = format!(
        "Run of {}, version {}, {} processors:\n\n| run | database | cycles | submits | answered before | completions | refused | events | ready \
         again p50, p99 | promises broken |\n|---|---|---|---|---|---|---|---|---|---|\n",
        figures["date"].as_str().context("a date")?,
        figures["version"].as_str().context("a version")?,
        figures["processors"],
    );
    for run in runs.iter().filter(|run| run["run"].is_string()) {
        let ready = match (run["ready_p50_ms"].as_u64(), run["ready_p99_ms"].as_u64()) {
            (Some(p50), Some(p99)) => format!("{p50} ms, {p99} ms"),
            _ => "–".to_owned(),
        };
        let text = |member: &str| run[member].as_str().map(str::to_owned).context("a text");
        table += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {ready} | {} |\n",
            text("run")?,
            text("database")?,
            run["cycles"],
            run["accepted"],
            run["replayed"],
            run["completed"],
            run["refused"],
            run["events"],
            run["broken"],
        );
    }
    Ok(table + &simulated(runs) + &fuzzed(runs))
}

/// What was simulated, and by which seed each planted bug was found.
fn simulated(runs: &[Value]) -> String {
    let mut table = String::new();
    for run in runs.iter().filter(|run| run["simulation"].is_string()) {
        table += &format!(
            "\n| simulation of | seeds | virtual hours | calls | commits | ends of the process | other faults | promises broken \
             |\n|---|---|---|---|---|---|---|---|\n| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            run["simulation"].as_str().unwrap_or_default(),
            run["seeds"],
            run["virtual_minutes"].as_u64().unwrap_or(0) / 60,
            run["calls"],
            run["commits"],
            run["crashes"],
            run["faults"],
            run["broken"],
        );
    }
    let found: Vec<&Value> = runs.iter().filter(|run| run["planted"].is_string()).collect();
    if !found.is_empty() {
        table += "\n| planted bug | found by seed |\n|---|---|\n";
    }
    for run in found {
        table += &format!("| {} | {} |\n", run["what"].as_str().unwrap_or_default(), run["seed"]);
    }
    table
}

/// How long each target was fuzzed, and what that found.
fn fuzzed(runs: &[Value]) -> String {
    let fuzzed: Vec<&Value> = runs.iter().filter(|run| run["fuzz"].is_string()).collect();
    let mut table = String::new();
    if !fuzzed.is_empty() {
        table += "\n| fuzzed | seconds | runs | findings |\n|---|---|---|---|\n";
    }
    for run in fuzzed {
        let target = run["fuzz"].as_str().unwrap_or_default();
        table += &format!("| {target} | {} | {} | {} |\n", run["seconds"], run["runs"], run["findings"]);
    }
    table
}

#[test]
fn the_page_about_guarantees_shows_the_figures_of_the_last_whole_run() -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let figures: Value = serde_json::from_str(&std::fs::read_to_string(docs.join("guarantees.json"))?)?;
    let page = std::fs::read_to_string(docs.join("guarantees.md"))?;
    let (before, rest) = page.split_once(FIGURES[0]).context("the place of the figures")?;
    let (_, after) = rest.split_once(FIGURES[1]).context("the end of the figures")?;
    let written = format!("{before}{}\n{}\n{}{after}", FIGURES[0], table(&figures)?, FIGURES[1]);
    if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
        std::fs::write(docs.join("guarantees.md"), written)?;
    } else if written != page {
        bail!("docs/guarantees.md does not show docs/guarantees.json; HIVE_TESTS_UPDATE=1 writes it anew");
    }
    Ok(())
}
