//! Latencies over quantiles. The quantiles are logarithmic towards 1: each nine is as wide as the one before.

use anyhow::Result;
use plotters::prelude::*;

use crate::page::palette::{self, GRID, MUTED};
use crate::report::Latency;

/// In pixels.
const SIZE: (u32, u32) = (960, 380);
const MARGIN: u32 = 14;
const X_LABELS: u32 = 26;
const Y_LABELS: u32 = 58;
/// The library writes sizes divided by 1.24.
const FONT: f64 = 11.0 * 1.24;
/// The shortest time that is told apart from none, in milliseconds.
const MS_MIN: f64 = 0.001;
/// Quantiles with a line of their own, as they are named.
const LINES: [(f64, &str); 9] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.999_9, "99.99 %"),
    (0.999_99, "99.999 %"),
    (0.999_999, "99.9999 %"),
    (0.999_999_9, "99.99999 %"),
];

/// See the module.
#[derive(Debug, Default)]
pub struct Curves(pub Vec<Curve>);

/// One of them.
#[derive(Debug)]
pub struct Curve {
    /// Whose.
    pub name: String,
    /// Of how many one takes longer, and the time in milliseconds; from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Of how many one is beyond a quantile: of ten beyond 0.9, of a hundred beyond 0.99. Of what was measured, one is at least.
pub fn one_of(quantile: f64, count: u64) -> f64 {
    // Exact up to 2^53.
    let all = count.max(1) as f64;
    if quantile >= 1.0 { all } else { (1.0 / (1.0 - quantile)).clamp(1.0, all) }
}

impl Curve {
    /// Of what was measured.
    pub fn of(name: String, latency: &Latency) -> Self {
        let points = latency.curve.iter().map(|(quantile, ms)| (one_of(*quantile, latency.count), *ms));
        Self { name, points: points.collect() }
    }
}

impl Curves {
    /// As SVG.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        let points = || self.0.iter().flat_map(|curve| &curve.points);
        let right = points().map(|(one_of, _)| *one_of).fold(10.0, f64::max) * 1.05;
        let lines: Vec<(f64, &str)> = LINES
            .iter()
            .map(|(quantile, name)| (one_of(*quantile, u64::MAX), *name))
            .filter(|(one_of, _)| *one_of <= right)
            .collect();
        let least = points().map(|(_, ms)| ms.max(MS_MIN)).fold(f64::INFINITY, f64::min);
        let most = points().map(|(_, ms)| ms.max(MS_MIN)).fold(MS_MIN, f64::max);
        let steps = steps(if least.is_finite() { least } else { MS_MIN }, most);
        let (Some(bottom), Some(top)) = (steps.first().copied(), steps.last().copied()) else {
            return Ok(svg);
        };
        let name = |one_of: &f64| {
            let line = lines.iter().find(|(known, _)| (known / one_of - 1.0).abs() < 1e-6);
            line.map(|(_, name)| (*name).to_owned()).unwrap_or_default()
        };
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(MARGIN)
            .x_label_area_size(X_LABELS)
            .y_label_area_size(Y_LABELS)
            .build_cartesian_2d(
                (1.0..right).log_scale().with_key_points(lines.iter().map(|(one_of, _)| *one_of).collect()),
                (bottom..top).log_scale().with_key_points(steps),
            )?;
        let font = ("sans-serif", FONT).into_font().color(&MUTED.light);
        chart
            .configure_mesh()
            .max_light_lines(0)
            .x_label_formatter(&name)
            .y_label_formatter(&|ms| format!("{} ms", (ms * 1_000.0).round() / 1_000.0))
            .x_label_style(font.clone())
            .y_label_style(font)
            .bold_line_style(GRID.light)
            .axis_style(GRID.light)
            .draw()?;
        for (number, curve) in self.0.iter().enumerate() {
            let color = palette::series(number).light;
            let points: Vec<(f64, f64)> =
                curve.points.iter().map(|(one_of, ms)| (*one_of, ms.max(MS_MIN))).collect();
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 2, color.filled())))?;
            chart.draw_series([PathElement::new(points, color.stroke_width(2))])?;
        }
        area.present()?;
        drop((chart, area));
        Ok(svg)
    }
}

/// 1, 2 and 5 times each power of ten around what is shown.
fn steps(least: f64, most: f64) -> Vec<f64> {
    let all: Vec<f64> =
        (-3..=6).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10.0_f64.powi(power))).collect();
    let first = all.iter().rposition(|step| *step <= least).unwrap_or_default();
    let last = all.iter().position(|step| *step >= most).unwrap_or(all.len() - 1).max(first + 1);
    all.into_iter().take(last + 1).skip(first).collect()
}
