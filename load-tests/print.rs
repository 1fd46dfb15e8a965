//! A report, printed for people.

use crate::layers::Layer;
use crate::report::{Case, Ceiling, Report};

/// The whole of it.
pub fn text(report: &Report) -> String {
    let Report { scenario, database, about, date, version, machine, cases, ceilings, .. } = report;
    let mut text = format!("{scenario} on {database}: {about}.\n");
    text += &format!(
        "{date}, {version}, {} processors for all ({}), Linux {}. Default settings.\n",
        machine.processors, machine.model, machine.kernel
    );
    for case in cases {
        text += &of_case(case);
    }
    for ceiling in ceilings {
        text += &of_ceiling(ceiling, cases);
    }
    text
}

fn of_case(case: &Case) -> String {
    let Some(run) = case.median() else { return String::new() };
    let (least, most) = case.spread();
    let mut text = format!("\n{}: {:.0} {}/s", case.name, run.per_second, case.unit);
    if case.runs.len() > 1 {
        text += &format!(" (median of {}, {least:.0} to {most:.0})", case.runs.len());
    }
    text.push('\n');
    for (name, latency) in &run.latency {
        text += &format!(
            "  {name:<16} p50 {:>8.2} ms  p95 {:>8.2}  p99 {:>8.2}  p99.9 {:>8.2}  max {:>8.2}\n",
            latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.p999_ms, latency.max_ms
        );
    }
    let cpus: Vec<String> = run.cpus.iter().map(|(name, busy)| format!("{name} {busy:.2}")).collect();
    text += &format!("  processors: {}; memory of the hive {:.1} MiB", cpus.join(", "), run.rss_mib);
    if run.refused > 0 {
        text += &format!("; {} refused", run.refused);
    }
    if run.compared > 0 {
        text += &format!("; {} tasks compared", run.compared);
    }
    text.push('\n');
    for (name, value) in &run.figures {
        text += &format!("  {name}: {value:.1}\n");
    }
    for Layer { layer, micros_per_task } in &run.layers {
        text += &format!("  {micros_per_task:>8.1} µs a task: {layer}\n");
    }
    text
}

fn of_ceiling(ceiling: &Ceiling, cases: &[Case]) -> String {
    let most = ceiling.per_second();
    let mut text = format!("\nceiling: {}: {most:.0} {}/s\n", ceiling.name, ceiling.unit);
    for case in cases.iter().filter(|case| ceiling.above.contains(&case.name)) {
        let Some(run) = case.median() else { continue };
        let (ratio, Case { name, unit, .. }) = (run.per_second / most, case);
        text += &format!("  {ratio:>6.2} {unit} to each of these {}: {name}\n", ceiling.unit);
    }
    text
}
