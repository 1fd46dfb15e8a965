//! What a page says of one report.

use crate::page::bars::{Bars, Row};
use crate::page::curves::{Curve, Curves};
use crate::page::document::{Drawing, Part, Plot, Table, code, figure_text, plain, range_text};
use crate::page::palette::{CEILING, DOT, Tone, series};
use crate::report::{Case, Report, Run};

/// As many curves as can be told apart in one plot.
const CURVES_MAX: usize = 6;

/// The name of a report, as in headings and links.
pub fn title(report: &Report) -> String {
    let (database, delay) = report.database.split_once('+').unwrap_or((&report.database, ""));
    let database = match database {
        "sqlite" => "SQLite",
        "postgres" => "PostgreSQL",
        other => other,
    };
    let delay = delay.strip_suffix("us").and_then(|micros| micros.parse().ok());
    let delay =
        delay.map(|micros: f64| format!(" on a disk whose syncs take {} µs longer", figure_text(micros)));
    format!("{}, {database}{}", report.scenario.replace('_', "-"), delay.unwrap_or_default())
}

/// All of it.
pub fn of(report: &Report) -> Vec<Part> {
    let mut parts = vec![Part::Text(format!("## {}\n\n{}", plain(&title(report)), provenance(report)))];
    let mut add = |heading: &str, table: Table, plots: Vec<Plot>| {
        let table = table.markdown();
        if !table.is_empty() {
            let heading = if heading.is_empty() { String::new() } else { format!("### {heading}\n\n") };
            parts.push(Part::Text(heading + &table));
        }
        parts.extend(plots.into_iter().map(Part::Plot));
    };
    add("", rates(report), vec![rates_plot(report), processors_plot(report)].into_iter().flatten().collect());
    add("Latency", latencies(report), latency_plots(report));
    add("Ceilings", ceilings(report), Vec::new());
    add("Other figures", figures(report), figure_plots(report));
    add("Where the time goes, in µs a task", layers(report), layers_plot(report).into_iter().collect());
    parts
}

/// What, when, where, and how.
fn provenance(report: &Report) -> String {
    let machine = &report.machine;
    format!(
        "{}.\n\nMeasured on {} at commit {} on {} processors ({}), {} MiB of memory, Linux {}, with\n{}.\n",
        plain(&report.about),
        plain(&report.date),
        code(&report.version),
        machine.processors,
        plain(&machine.model),
        figure_text(lossy(machine.memory_mib)),
        plain(&machine.kernel),
        code(&report.command),
    )
}

/// Each case with the run that has the median rate.
fn measured(report: &Report) -> impl Iterator<Item = (&Case, &Run)> {
    report.cases.iter().filter_map(|case| Some((case, case.median()?)))
}

fn rates(report: &Report) -> Table {
    let heads = [
        "case",
        "what",
        "median per second",
        "slowest to fastest",
        "runs",
        "processors, hive",
        "load",
        "database",
        "memory of the hive, MiB",
        "refused",
        "compared",
    ];
    let mut table = Table::new(2, &heads);
    let is_refused = measured(report).any(|(_, run)| run.refused > 0);
    for (case, run) in measured(report) {
        let rates: Vec<f64> = case.runs.iter().map(|run| run.per_second).collect();
        let busy = |whose: &str| run.cpus.get(whose).copied().map(figure_text);
        table.rows.push(vec![
            Some(case.name.clone()),
            Some(case.unit.clone()),
            Some(figure_text(run.per_second)),
            range_text(&rates),
            Some(case.runs.len().to_string()),
            busy("hive"),
            busy("load"),
            busy("database"),
            (run.rss_mib > 0.0).then(|| figure_text(run.rss_mib)),
            is_refused.then(|| figure_text(lossy(run.refused))),
            (run.compared > 0).then(|| figure_text(lossy(run.compared))),
        ]);
    }
    table
}

fn rates_plot(report: &Report) -> Option<Plot> {
    let mut legend = vec![(series(0), "the median run".to_owned())];
    let mut rows: Vec<Row> = measured(report)
        .map(|(case, run)| Row {
            name: case.name.clone(),
            said: format!("{} {}/s", figure_text(run.per_second), case.unit),
            parts: vec![(series(0), run.per_second)],
            dots: case.runs.iter().map(|run| run.per_second).collect(),
            is_ceiling: false,
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    rows.extend(report.ceilings.iter().map(|ceiling| Row {
        name: format!("ceiling: {}", ceiling.name),
        said: format!("{} {}/s", figure_text(ceiling.per_second()), ceiling.unit),
        parts: vec![(CEILING, ceiling.per_second())],
        dots: ceiling.runs.clone(),
        is_ceiling: true,
    }));
    if !report.ceilings.is_empty() {
        legend.push((
            CEILING,
            "what something simpler does here; a bar with a gap goes on beyond the axis".to_owned(),
        ));
    }
    legend.push((DOT, "each run".to_owned()));
    let drawing = Drawing::Bars(Bars { rows, least: 0.0 });
    Some(Plot { caption: format!("{}: per second", title(report)), legend, drawing })
}

/// A row a case, with parts of which each has its own color in all rows; and what the colors mean.
fn stacked<'a>(
    cases: impl Iterator<Item = (&'a Case, Vec<(String, f64)>)>,
    unit: &str,
) -> (Vec<Row>, Vec<(Tone, String)>) {
    let (mut rows, mut names): (Vec<Row>, Vec<String>) = (Vec::new(), Vec::new());
    for (case, parts) in cases.filter(|(_, parts)| !parts.is_empty()) {
        let all: f64 = parts.iter().map(|(_, value)| value).sum();
        let mut colored = Vec::new();
        for (name, value) in parts {
            let place = names.iter().position(|known| *known == name).unwrap_or(names.len());
            if place == names.len() {
                names.push(name);
            }
            colored.push((series(place), value));
        }
        rows.push(Row {
            name: case.name.clone(),
            said: format!("{} {unit}", figure_text(all)),
            parts: colored,
            ..Row::default()
        });
    }
    (rows, names.into_iter().enumerate().map(|(place, name)| (series(place), name)).collect())
}

fn processors_plot(report: &Report) -> Option<Plot> {
    let cases = measured(report).map(|(case, run)| {
        let whose = ["hive", "load", "database"].into_iter();
        let busy = whose.filter_map(|whose| Some((whose.to_owned(), *run.cpus.get(whose)?)));
        (case, busy.collect())
    });
    let (rows, legend) = stacked(cases, "busy");
    let least = f64::from(u32::try_from(report.machine.processors).unwrap_or_default());
    let caption = format!("{}: busy processors, of {}", title(report), report.machine.processors);
    (!rows.is_empty()).then_some(Plot { caption, legend, drawing: Drawing::Bars(Bars { rows, least }) })
}

fn latencies(report: &Report) -> Table {
    let heads =
        ["case", "of", "count", "p50 ms", "p95", "p99", "p99.9", "longest", "p99, least to most of the runs"];
    let mut table = Table::new(2, &heads);
    let mut timed: Vec<_> =
        measured(report).flat_map(|(case, run)| run.latency.iter().map(move |timed| (case, timed))).collect();
    // What is compared stands together; cases stay in their order.
    timed.sort_by_key(|(_, (of, _))| *of);
    for (case, (of, latency)) in timed {
        let of_runs: Vec<f64> =
            case.runs.iter().filter_map(|run| Some(run.latency.get(of)?.p99_ms)).collect();
        let times = [latency.p50_ms, latency.p95_ms, latency.p99_ms, latency.p999_ms, latency.max_ms];
        let mut row =
            vec![Some(case.name.clone()), Some(of.clone()), Some(figure_text(lossy(latency.count)))];
        row.extend(times.map(|ms| Some(figure_text(ms))));
        row.push(range_text(&of_runs));
        table.rows.push(row);
    }
    table
}

/// All curves in one plot where they can be told apart; else a plot for each case, or for each thing that is timed, whichever
/// needs fewer.
fn latency_plots(report: &Report) -> Vec<Plot> {
    let mut all = Vec::new();
    for (case, run) in measured(report) {
        let timed = run.latency.iter().filter(|(_, latency)| !latency.curve.is_empty());
        all.extend(timed.map(|(of, latency)| (case.name.as_str(), of.as_str(), latency)));
    }
    let mut cases: Vec<&str> = all.iter().map(|(case, ..)| *case).collect();
    cases.dedup();
    let mut timed: Vec<&str> = all.iter().map(|(_, of, _)| *of).collect();
    timed.sort_unstable();
    timed.dedup();
    let plot = |about: &str, curves: Vec<Curve>| {
        let legend = curves.iter().enumerate().map(|(number, curve)| (series(number), curve.name.clone()));
        let caption = format!("{}: latency, {about}, over quantiles", title(report));
        Plot { caption, legend: legend.collect(), drawing: Drawing::Curves(Curves(curves)) }
    };
    let of_one = |one: &str| {
        let curves = all.iter().filter(|(case, of, _)| *of == one || *case == one);
        let name = |case: &str, of: &str| if of == one { case.to_owned() } else { of.to_owned() };
        plot(one, curves.map(|(case, of, latency)| Curve::of(name(case, of), latency)).collect())
    };
    match (timed.as_slice(), cases.as_slice()) {
        ([], _) => Vec::new(),
        ([timed], _) => vec![of_one(timed)],
        (_, [case]) => vec![of_one(case)],
        _ if all.len() <= CURVES_MAX => {
            let curves = all.iter().map(|(case, of, latency)| Curve::of(format!("{of}: {case}"), latency));
            vec![plot("of all cases", curves.collect())]
        }
        _ if timed.len() <= cases.len() => timed.iter().map(|timed| of_one(timed)).collect(),
        _ => cases.iter().map(|case| of_one(case)).collect(),
    }
}

fn ceilings(report: &Report) -> Table {
    let heads = ["ceiling", "case", "ceiling per second", "least to most", "to each of these"];
    let mut table = Table::new(2, &heads);
    for ceiling in &report.ceilings {
        for (case, run) in measured(report).filter(|(case, _)| ceiling.above.contains(&case.name)) {
            let ratio = run.per_second / ceiling.per_second();
            table.rows.push(vec![
                Some(format!("{} ({})", ceiling.name, ceiling.unit)),
                Some(case.name.clone()),
                Some(figure_text(ceiling.per_second())),
                range_text(&ceiling.runs),
                Some(format!("{} {}", figure_text(ratio), case.unit)),
            ]);
        }
    }
    table
}

/// The names of other figures, each once.
fn figure_names(report: &Report) -> Vec<&str> {
    let mut names: Vec<&str> =
        measured(report).flat_map(|(_, run)| run.figures.keys().map(String::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn figures(report: &Report) -> Table {
    let mut table = Table::new(2, &["figure", "case", "value", "least to most of the runs"]);
    for name in figure_names(report) {
        for (case, run) in measured(report) {
            let Some(value) = run.figures.get(name) else { continue };
            let of_runs: Vec<f64> =
                case.runs.iter().filter_map(|run| run.figures.get(name).copied()).collect();
            table.rows.push(vec![
                Some(name.to_owned()),
                Some(case.name.clone()),
                Some(figure_text(*value)),
                range_text(&of_runs),
            ]);
        }
    }
    table
}

/// A plot of each figure that several cases have.
fn figure_plots(report: &Report) -> Vec<Plot> {
    let plot = |name: &str| {
        let row = |(case, run): (&Case, &Run)| {
            let value = *run.figures.get(name)?;
            Some(Row {
                name: case.name.clone(),
                said: figure_text(value),
                parts: vec![(series(0), value)],
                dots: case.runs.iter().filter_map(|run| run.figures.get(name).copied()).collect(),
                is_ceiling: false,
            })
        };
        let rows: Vec<Row> = measured(report).filter_map(row).collect();
        let legend = vec![(series(0), "the median run".to_owned()), (DOT, "each run".to_owned())];
        let caption = format!("{}: {name}", title(report));
        (rows.len() > 1).then_some(Plot {
            caption,
            legend,
            drawing: Drawing::Bars(Bars { rows, least: 0.0 }),
        })
    };
    figure_names(report).into_iter().filter_map(plot).collect()
}

fn layers(report: &Report) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for layer in measured(report).flat_map(|(_, run)| run.parts()) {
        if !names.contains(&layer.layer.as_str()) {
            names.push(&layer.layer);
        }
    }
    let mut table = Table::new(1, &[&["case"], names.as_slice(), &["together", "note"]].concat());
    for (case, run) in measured(report).filter(|(_, run)| !run.layers.is_empty()) {
        let of =
            |name: &str| run.parts().find(|layer| layer.layer == name).map(|layer| layer.micros_per_task);
        let mut row = vec![Some(case.name.clone())];
        row.extend(names.iter().map(|name| of(name).map(figure_text)));
        row.push(Some(figure_text(run.parts().map(|layer| layer.micros_per_task).sum())));
        let note = run.layers.iter().find(|layer| layer.is_note());
        row.push(note.map(|note| note.layer.trim_matches(['(', ')']).to_owned()));
        table.rows.push(row);
    }
    table
}

fn layers_plot(report: &Report) -> Option<Plot> {
    let cases = measured(report).map(|(case, run)| {
        let parts = run.parts().map(|layer| (layer.layer.clone(), layer.micros_per_task));
        (case, parts.collect())
    });
    let (rows, legend) = stacked(cases, "µs a task");
    let caption = format!("{}: µs a task, by layer", title(report));
    (!rows.is_empty()).then_some(Plot { caption, legend, drawing: Drawing::Bars(Bars { rows, least: 0.0 }) })
}

/// Exact up to 2^53.
const fn lossy(count: u64) -> f64 {
    count as f64
}
