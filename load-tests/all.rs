//! All scenarios, one after the other: to measure everything, or, with `--quick`, to see in less than ten minutes whether
//! all that is acknowledged is there. No figure is judged.

use anyhow::{Error, Result, bail};

use crate::report::{Case, Report};
use crate::{Arguments, Scenario, page, report_of};

/// Those that have a report, the shorter ones first.
pub const SCENARIOS: [Scenario; 10] = [
    Scenario::Submit,
    Scenario::EndToEnd,
    Scenario::Latency,
    Scenario::Agents,
    Scenario::Reads,
    Scenario::FanOut,
    Scenario::Idle,
    Scenario::Mixed,
    Scenario::Growth,
    Scenario::Soak,
];

/// Measures them; one that fails does not keep the others from being measured.
///
/// # Errors
/// When a scenario has failed; says which, and why.
pub async fn measure(arguments: &Arguments) -> Result<()> {
    let mut failures = Vec::new();
    for scenario in SCENARIOS {
        let report = report_of(arguments, scenario).await;
        match report.and_then(|report| tell(arguments, &report)) {
            Ok(()) => {}
            Err(error) => {
                println!("{scenario:?}: FAILED: {error:#}");
                failures.push((scenario, error));
            }
        }
    }
    if let Some(folder) = &arguments.out {
        page::make(&page::Arguments { folder: folder.clone(), markdown: None })?;
    }
    verdict(&failures)
}

/// A line a case, or the report as JSON on one line.
fn tell(arguments: &Arguments, report: &Report) -> Result<()> {
    if let Some(folder) = &arguments.out {
        page::write_report(folder, report)?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        let of = (report.scenario.as_str(), report.database.as_str());
        report.cases.iter().for_each(|case| println!("{}", line(of, case)));
    }
    Ok(())
}

/// What is said of a case.
fn line((scenario, database): (&str, &str), case: &Case) -> String {
    let compared: u64 = case.runs.iter().map(|run| run.compared).sum();
    let rate = case.median().map(|run| run.per_second).unwrap_or_default();
    let mut line = format!("{scenario}, {database}: {}: {rate:.1} {}/s", case.name, case.unit);
    if compared > 0 {
        line += &format!(", {compared} tasks compared");
    }
    line
}

fn verdict(failures: &[(Scenario, Error)]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        failures.iter().map(|(scenario, error)| format!("{scenario:?}: {error:#}")).collect();
    bail!("{} of {} scenarios failed:\n{}", failures.len(), SCENARIOS.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser, ValueEnum};

    use super::*;
    use crate::report::Run;

    #[test]
    fn all_is_everything_but_what_has_a_form_of_its_own() {
        let own = [Scenario::All, Scenario::Cli, Scenario::Flood, Scenario::Peer];
        for scenario in Scenario::value_variants() {
            assert!(SCENARIOS.contains(scenario) != own.contains(scenario), "{scenario:?}");
        }
    }

    #[test]
    fn the_words_behind_the_program_measure_or_make_a_page() {
        Arguments::command().debug_assert();
        let parse = |words: &[&str]| Arguments::try_parse_from([&["load-tests"], words].concat());
        let all = parse(&["all", "--quick", "--out", "results"]).unwrap();
        assert_eq!((all.scenario, all.quick, all.other.is_none()), (Some(Scenario::All), true, true));
        let page = parse(&["page", "results", "--markdown", "page.md"]).unwrap();
        assert!(page.scenario.is_none() && page.other.is_some());
        for wrong in [&[][..], &["page"], &["nothing"], &["submit", "page", "results"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_failed_is_named_with_its_reason_at_the_end() {
        let reason =
            || anyhow::anyhow!("12 were acknowledged, 11 tasks are queued").context("64 clients, run 1");
        assert!(verdict(&[]).is_ok());
        let said =
            verdict(&[(Scenario::Submit, reason()), (Scenario::Soak, reason())]).unwrap_err().to_string();
        let reason = "64 clients, run 1: 12 were acknowledged, 11 tasks are queued";
        assert_eq!(said, format!("2 of 10 scenarios failed:\nSubmit: {reason}\nSoak: {reason}"));
    }

    #[test]
    fn a_case_is_a_line_with_all_that_was_compared_in_its_runs() {
        let run = |per_second| Run { per_second, compared: 1_000, ..Run::default() };
        let case = Case {
            name: "64 clients".to_owned(),
            unit: "tasks".to_owned(),
            runs: vec![run(5.0), run(7.25), run(9.0)],
        };
        let line = line(("submit", "sqlite"), &case);
        assert_eq!(line, "submit, sqlite: 64 clients: 7.2 tasks/s, 3000 tasks compared");
    }
}
