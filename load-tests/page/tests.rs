//! What a reader finds on the pages.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde_json::json;

use crate::layers::Layer;
use crate::page::curves::{Curve, Curves, one_of};
use crate::page::document::{Table, anchor, axis_text, code, figure_text, plain};
use crate::page::{self, peers};
use crate::report::{Case, Ceiling, Latency, Machine, Report, Run};

/// Text that would be something else where it is not escaped.
const EVIL: &str = "a|b <script>alert(1)</script> *x* `y` [l](z) & \"q\"\n\n<img src=x>";

fn run(per_second: f64) -> Run {
    let curve = vec![(0.0, 0.2), (0.5, 1.5), (0.9, 2.5), (0.99, 4.25), (0.999, 9.5), (1.0, 31.0)];
    let latency = Latency {
        count: 123_456,
        p50_ms: 1.5,
        p95_ms: 3.25,
        p99_ms: 4.25,
        p999_ms: 9.5,
        max_ms: 31.0,
        curve,
    };
    let layer = |layer: &str, micros_per_task| Layer { layer: layer.to_owned(), micros_per_task };
    Run {
        per_second,
        count: 352_100,
        latency: BTreeMap::from([("submit".to_owned(), latency)]),
        cpus: BTreeMap::from([("hive".to_owned(), 1.25), ("load".to_owned(), 0.5)]),
        rss_mib: 61.7,
        compared: 1_234,
        layers: vec![
            layer("writer, apply", 7.75),
            layer("(a batch has 40.0 tasks)", 9.5),
            layer("writer, commit", 1.75),
        ],
        figures: BTreeMap::from([("MiB of memory more an hour".to_owned(), 0.75)]),
        ..Run::default()
    }
}

/// A report of two cases: one with three runs, one with one.
fn report() -> Report {
    let case = |name: &str, rates: &[f64]| Case {
        name: name.to_owned(),
        unit: "tasks".to_owned(),
        runs: rates.iter().map(|rate| run(*rate)).collect(),
    };
    Report {
        scenario: "end_to_end".to_owned(),
        database: "postgres".to_owned(),
        about: "Tasks that are completed".to_owned(),
        date: "2026-11-22".to_owned(),
        version: "328d7d5".to_owned(),
        command: "cargo run --release -p load-tests -- end-to-end --out results".to_owned(),
        machine: Machine {
            processors: 2,
            model: "A processor".to_owned(),
            kernel: "6.1.0".to_owned(),
            memory_mib: 7_936,
        },
        cases: vec![case("64 clients", &[35_210.4, 36_777.0, 34_100.0]), case("256 clients", &[33_333.0])],
        ceilings: vec![Ceiling {
            name: "plain actix-web".to_owned(),
            unit: "requests".to_owned(),
            runs: vec![70_420.8],
            above: vec!["64 clients".to_owned()],
        }],
    }
}

/// A page without its style sheet, and without the name of SVG, which looks like an address.
fn body(html: &str) -> String {
    html.split("</style>").nth(1).unwrap().replace("xmlns=\"http://www.w3.org/2000/svg\"", "")
}

#[test]
fn a_page_has_the_figures_of_every_case_and_says_where_they_come_from() -> Result<()> {
    let page = page::of(&[report()], &[]);
    let (markdown, html) = (page.markdown(), page.html("t")?);
    let told = [
        "## end-to-end, PostgreSQL",
        "| 64 clients | tasks | 35,210 | 34,100 to 36,777 | 3 | 1.25 | 0.50 | 61.7 | 1,234 |",
        "| 256 clients | tasks | 33,333 | – | 1 | 1.25 | 0.50 | 61.7 | 1,234 |",
        "| 64 clients | submit | 123,456 | 1.50 | 3.25 | 4.25 | 9.50 | 31.0 | 4.25 to 4.25 |",
        "| plain actix-web (requests) | 64 clients | 70,421 | 0.50 tasks |",
        "| MiB of memory more an hour | 256 clients | 0.75 | – |",
        "| case | writer, apply | writer, commit | together | note |",
        "| 64 clients | 7.75 | 1.75 | 9.50 | a batch has 40.0 tasks |",
        "Measured on 2026-11-22 at commit `328d7d5` on 2 processors (A processor), 7,936 MiB of memory, Linux 6.1.0, with\n\
         `cargo run --release -p load-tests -- end-to-end --out results`.",
    ];
    for line in told {
        assert!(markdown.contains(line), "no {line} in\n{markdown}");
    }
    for cell in [
        "35,210",
        "34,100 to 36,777",
        "33,333",
        "123,456",
        "0.50 tasks",
        "7.75",
        "328d7d5",
        "--out results",
        "2026-11-22",
    ] {
        assert!(body(&html).contains(cell), "no {cell} in\n{html}");
    }
    Ok(())
}

#[test]
fn every_run_is_a_dot_and_every_ceiling_a_bar() -> Result<()> {
    let html = page::of(&[report()], &[]).html("t")?;
    let plot = html.split("<figure>").find(|part| part.contains(": per second")).unwrap();
    assert_eq!(plot.matches("<circle").count(), 5, "three runs, one run, and one of the ceiling: {plot}");
    assert_eq!(plot.matches("<rect").count(), 3, "two cases and a ceiling: {plot}");
    assert!(plot.contains("ceiling: plain actix-web") && plot.contains("70,421 requests/s"), "{plot}");
    Ok(())
}

#[test]
fn a_ceiling_far_above_the_cases_is_cut_and_has_a_gap() -> Result<()> {
    let mut report = report();
    report.ceilings[0].runs = vec![570_000.0];
    let html = page::of(&[report], &[]).html("t")?;
    let plot = html.split("<figure>").find(|part| part.contains(": per second")).unwrap();
    assert_eq!(plot.matches("<rect").count(), 4, "two cases, and a ceiling in two pieces: {plot}");
    assert_eq!(plot.matches("<circle").count(), 4, "its run is not within the axis: {plot}");
    assert!(plot.contains("570,000 requests/s"), "the figure is told all the same: {plot}");
    Ok(())
}

#[test]
fn text_from_a_report_is_text_on_the_page() -> Result<()> {
    let mut report = report();
    for text in
        [&mut report.scenario, &mut report.about, &mut report.version, &mut report.command, &mut report.date]
    {
        *text = EVIL.to_owned();
    }
    report.machine.model = EVIL.to_owned();
    report.cases[0].name = EVIL.to_owned();
    report.cases[0].unit = EVIL.to_owned();
    report.ceilings[0].name = EVIL.to_owned();
    report.ceilings[0].above = vec![EVIL.to_owned()];
    for run in &mut report.cases[0].runs {
        let latency = run.latency.remove("submit").unwrap();
        run.latency.insert(EVIL.to_owned(), latency);
        run.layers[0].layer = EVIL.to_owned();
        run.figures.insert(EVIL.to_owned(), 1.0);
    }
    let line =
        json!({"peer": EVIL, "desc": EVIL, "durability": EVIL, "when": EVIL, "version": EVIL, "exit": 1});
    let page = page::of(&[report], &[serde_json::from_value(line)?]);
    let html = body(&page.html(EVIL)?);
    for tag in ["<script", "<img", "<em>x", "<a href=\"z\"", "<code>y"] {
        assert!(!html.contains(tag), "{tag} in\n{html}");
    }
    assert!(html.contains("&lt;script&gt;"), "{html}");
    for table in page.markdown().split("\n\n").filter(|part| part.starts_with('|')) {
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let head = cells(table.lines().next().unwrap());
        for line in table.lines() {
            assert_eq!(cells(line), head, "{line} in\n{table}");
        }
    }
    Ok(())
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() -> Result<()> {
    let html = page::of(&[report()], &[]).html("t")?;
    let body = body(&html);
    for outside in ["http:", "https:", "src=", "url(", "@import", "<script", "<link", "onload"] {
        assert!(!body.contains(outside), "{outside} in\n{body}");
    }
    assert!(html.contains("default-src 'none'"), "the browser is told so, too");
    Ok(())
}

#[test]
fn every_color_that_is_drawn_has_another_one_on_a_dark_page() -> Result<()> {
    let html = page::of(&[report()], &[]).html("t")?;
    let (style, drawn) = html.split_once("</style>").unwrap();
    let (_, dark) = style.rsplit_once("prefers-color-scheme: dark").unwrap();
    let mut count = 0;
    for attribute in ["fill=\"#", "stroke=\"#"] {
        for (place, _) in drawn.match_indices(attribute) {
            let color = &drawn[place..place + attribute.len() + 7];
            assert!(dark.contains(&format!("svg [{color}]")), "{color} has none");
            count += 1;
        }
    }
    assert!(count > 50, "{count} colors were looked at");
    Ok(())
}

#[test]
fn the_axis_of_quantiles_is_as_wide_for_each_nine() {
    let of_a_million =
        [(0.0, 1.0), (0.5, 2.0), (0.9, 10.0), (0.99, 100.0), (0.999, 1e3), (0.999_9, 1e4), (1.0, 1e6)];
    for (quantile, expected) in of_a_million {
        let one_of = one_of(quantile, 1_000_000);
        assert!((one_of / expected - 1.0).abs() < 1e-9, "beyond {quantile} is one of {one_of}");
    }
    assert!((one_of(0.999_9, 100) - 100.0).abs() < 1e-9, "a hundred have no quantile beyond 99 %");
    assert!((one_of(1.0, 0) - 1.0).abs() < 1e-9, "nothing measured, nothing far out");
}

#[test]
fn a_curve_is_drawn_from_left_to_right_and_upward_between_named_lines() -> Result<()> {
    let report = report();
    let latency = &report.cases[0].runs[0].latency["submit"];
    let svg = Curves(vec![Curve::of("submit".to_owned(), latency)]).svg()?;
    for name in ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "0.2 ms", "50 ms"] {
        assert!(svg.contains(&format!("\n{name}\n")), "no {name} in\n{svg}");
    }
    let line = svg.lines().rfind(|line| line.contains("<polyline")).unwrap();
    let points: Vec<(f64, f64)> = line
        .split("points=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap()
        .split_whitespace()
        .filter_map(|point| {
            let (x, y) = point.split_once(',')?;
            Some((x.parse().ok()?, y.parse().ok()?))
        })
        .collect();
    assert_eq!(points.len(), latency.curve.len(), "{line}");
    assert!(points.is_sorted_by(|one, next| one.0 < next.0 && one.1 > next.1), "{points:?}");
    let width = |from: usize, to: usize| points[to].0 - points[from].0;
    assert!((width(2, 3) - width(3, 4)).abs() <= 1.0, "90 % to 99 %, and from there to 99.9 %: {points:?}");
    Ok(())
}

#[test]
fn a_time_of_zero_and_a_case_without_times_are_drawn_as_well() -> Result<()> {
    let mut report = report();
    for latency in report.cases[0].runs.iter_mut().flat_map(|run| run.latency.values_mut()) {
        *latency = Latency { count: 1, curve: vec![(0.0, 0.0), (1.0, 0.0)], ..Latency::default() };
    }
    report.cases[1].runs[0].latency.clear();
    report.cases.push(Case { name: "never run".to_owned(), unit: "tasks".to_owned(), runs: Vec::new() });
    let html = page::of(&[report], &[]).html("t")?;
    assert!(html.contains("latency") && !html.contains("NaN") && !html.contains("inf"), "{html}");
    Ok(())
}

#[test]
fn a_folder_becomes_one_page_in_the_order_of_the_scenarios() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (scenario, database) in [
        ("zebra", "sqlite"),
        ("latency", "sqlite"),
        ("submit", "sqlite+1000us"),
        ("submit", "postgres"),
        ("submit", "sqlite"),
    ] {
        let report = Report { scenario: scenario.to_owned(), database: database.to_owned(), ..report() };
        page::write_report(folder.path(), &report)?;
    }
    let markdown = folder.path().join("performance.md");
    page::make(&page::Arguments { folder: folder.path().to_owned(), markdown: Some(markdown.clone()) })?;
    let markdown = std::fs::read_to_string(markdown)?;
    let headings: Vec<&str> = markdown.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(
        headings,
        [
            "submit, SQLite",
            "submit, PostgreSQL",
            "submit, SQLite on a disk whose syncs take 1,000 µs longer",
            "latency, SQLite",
            "zebra, SQLite",
        ]
    );
    let html = std::fs::read_to_string(folder.path().join("index.html"))?;
    for heading in headings {
        assert!(markdown.contains(&format!("- [{heading}](#{})", anchor(heading))), "{markdown}");
        assert!(html.contains(&format!("<h2 id=\"{}\">{heading}</h2>", anchor(heading))), "{html}");
    }
    for file in ["submit-sqlite.json", "submit-sqlite.md", "submit-sqlite.html"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
    Ok(())
}

#[test]
fn what_is_no_report_is_named_and_a_folder_without_reports_is_an_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let arguments = page::Arguments { folder: folder.path().to_owned(), markdown: None };
    let error = page::make(&arguments).unwrap_err().to_string();
    assert!(error.starts_with("no reports in ") && error.ends_with(": --out writes some"), "{error}");
    std::fs::write(folder.path().join("flood.json"), r#"{"scenario": "flood"}"#)?;
    let error = format!("{:#}", page::make(&arguments).unwrap_err());
    assert!(error.contains("flood.json is no report: missing field"), "{error}");
    std::fs::remove_file(folder.path().join("flood.json"))?;
    page::write_report(folder.path(), &report())?;
    std::fs::copy(folder.path().join("end_to_end-postgres.json"), folder.path().join("again.json"))?;
    let error = page::make(&arguments).unwrap_err().to_string();
    assert_eq!(error, "two reports of end-to-end, PostgreSQL: one page shows one");
    Ok(())
}

/// Lines as `load-tests peer` writes them.
fn peer_lines() -> String {
    let run = |peer: &str, rate: f64, started: f64| {
        json!({"peer": peer, "desc": format!("{peer} as it comes"), "durability": "fsync", "when": "2026-11-22 05:00:00",
            "rep": 1, "exit": 0, "load1_before": 0.1, "phases": {
                "enqueue": {"rate": rate, "p50_ms": 1.9, "_flushes_per_s": 2_250.6, "_server_rss_mib": 9.0},
                "bulk": {"rate": 70_000.0}, "drain": {"rate": 20_100.0},
                "e2e": {"rate": rate / 2.0, "_server_pss_mib": 58.25, "_server_cpu_pct": 110.6},
                "lat100": {"p50_ms": 0.5, "p99_ms": 2.25, "started": started, "wanted": 1_000.0}}})
    };
    let runs = [
        run("rabbitmq-quorum", 34_800.0, 1_000.0),
        run("hive", 30_000.0, 1_000.0),
        run("temporal-file", 150.0, 200.0),
        run("hive", 32_000.0, 1_000.0),
        run("hive", 30_500.0, 1_000.0),
    ];
    runs.map(|run| run.to_string() + "\n").concat()
}

#[test]
fn other_systems_are_compared_by_their_medians_and_ours_comes_first() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("peers.jsonl"), peer_lines())?;
    let page = page::of_folder(folder.path())?.unwrap();
    let markdown = page.markdown();
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
    let expected = [
        "| system | what it is | what is durable | runs |",
        "| hive | hive as it comes | fsync | 3 |",
        "| rabbitmq-quorum | rabbitmq-quorum as it comes | fsync | 1 |",
        "| temporal-file | temporal-file as it comes | fsync | 1 |",
        "| system | enqueue/s | p50 ms | flushes/s meanwhile | bulk/s | drain/s | end to end/s | at 100/s, p50 / p99 ms \
         | processor of the server, % | memory, MiB |",
        "| hive | 30,500 | 1.90 | 2,251 | 70,000 | 20,100 | 15,250 | 0.50 / 2.25 | 111 | 58.2 |",
        "| rabbitmq-quorum | 34,800 | 1.90 | 2,251 | 70,000 | 20,100 | 17,400 | 0.50 / 2.25 | 111 | 58.2 |",
        "| temporal-file | 150 | 1.90 | 2,251 | 70,000 | 20,100 | 75.0 | only 20.0 % started | 111 | 58.2 |",
    ];
    assert_eq!(rows, expected, "{markdown}");
    let html = page.html("t")?;
    for about in ["tasks enqueued per second, 64 clients", "tasks per second, end to end"] {
        let plot = html.split("<figure>").find(|part| part.contains(about)).unwrap();
        assert_eq!((plot.matches("<rect").count(), plot.matches("<circle").count()), (3, 5), "{plot}");
    }
    assert!(!markdown.contains("did not come to their end"), "{markdown}");
    Ok(())
}

#[test]
fn runs_that_failed_are_told_and_slower_disks_have_a_table_of_their_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lines = [
        json!({"peer": "hive", "phases": {"enqueue": {"rate": 30_000.0}}}),
        json!({"peer": "pgboss", "exit": 1, "phases": {}}),
        json!({"peer": "hive", "slowsync_us": 1_000, "phases": {"enqueue": {"rate": 14_000.0}}}),
    ];
    std::fs::write(folder.path().join("peers.jsonl"), lines.map(|line| line.to_string() + "\n").concat())?;
    let markdown = page::of_folder(folder.path())?.unwrap().markdown();
    assert!(markdown.contains("\npgboss: 1 of 1 runs did not come to their end.\n"), "{markdown}");
    let (plain, slow) = markdown.split_once("### With 1,000 µs more for each flush to disk").unwrap();
    assert!(
        plain.contains("| 30,000 |") && !plain.contains("14,000") && slow.contains("| 14,000 |"),
        "{markdown}"
    );
    std::fs::write(folder.path().join("peers.jsonl"), "\n{}\n")?;
    let error = format!("{:#}", peers::read(folder.path()).unwrap_err());
    assert!(error.contains("peers.jsonl:2 is no run of a peer: missing field `peer`"), "{error}");
    Ok(())
}

#[test]
fn figures_are_written_as_they_are_read() {
    let cases = [
        (0.0, "0"),
        (0.012_34, "0.012"),
        (0.5, "0.50"),
        (9.99, "9.99"),
        (9.996, "10.0"),
        (61.74, "61.7"),
        (99.96, "100"),
        (867.5, "868"),
        (35_210.4, "35,210"),
        (1_234_567.0, "1,234,567"),
        (-1_234.5, "−1,234"),
        (f64::NAN, "–"),
    ];
    for (value, text) in cases {
        assert_eq!(figure_text(value), text, "{value}");
    }
    assert_eq!([0.0, 0.05, 2.0, 2.5, 100.0].map(axis_text), ["0", "0.05", "2", "2.5", "100"]);
    assert_eq!(code("a `b`"), "`` a `b` ``");
    assert_eq!(plain("a_b|c"), "a\\_b\\|c");
    assert_eq!(anchor("end-to-end, SQLite"), "end-to-end-sqlite");
    assert_eq!(Table::new(1, &["nothing"]).markdown(), "");
}

/// `docs/performance.md`, made from what is committed; not there as long as nothing is.
#[test]
fn the_page_about_performance_shows_the_committed_results() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("docs/performance.md");
    let made = page::of_folder(&root.join("load-tests/results"))?.map(|page| page.markdown());
    if std::env::var_os("HIVE_TESTS_UPDATE").is_some() {
        match &made {
            Some(page) => std::fs::write(&path, page)?,
            None if path.exists() => std::fs::remove_file(&path)?,
            None => {}
        }
    }
    let there = path.exists().then(|| std::fs::read_to_string(&path)).transpose()?;
    assert!(
        there == made,
        "docs/performance.md is not what load-tests/results say; HIVE_TESTS_UPDATE=1 writes it anew, or removes it"
    );
    Ok(())
}

#[test]
fn what_is_committed_was_measured_in_full() -> Result<()> {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    for run in peers::read(&results)? {
        assert!(!run.is_quick(), "only a look whether everything works: {run:?}");
    }
    for report in page::reports(&results)? {
        let about = format!("{}: {}", page::sections::title(&report), report.command);
        assert!(!report.command.contains("--quick"), "only a look whether everything works: {about}");
        assert!(!report.version.ends_with("-dirty"), "nobody can measure that again: {about}");
        assert!(report.cases.iter().all(|case| !case.runs.is_empty()), "a case without a run: {about}");
    }
    Ok(())
}
