//! Bars, one row each, with their names above them: rates beside ceilings, and parts of a whole.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::page::document::axis_text;
use crate::page::palette::{DOT, GRID, INK, MUTED, Tone};

/// In pixels, as all that follows.
const WIDTH: u32 = 960;
const MARGIN: u32 = 14;
const AXIS: u32 = 26;
const ROW: f64 = 40.0;
/// From the bottom of a row to its bar, the bar, and from there to its name.
const BELOW: f64 = 6.0;
const THICK: f64 = 14.0;
const TO_NAME: f64 = 3.0;
const DOT_RADIUS: i32 = 3;
/// The library writes sizes divided by 1.24.
const FONT: f64 = 13.0 * 1.24;
const AXIS_FONT: f64 = 11.0 * 1.24;
/// A bar that is so many times as long as the longest of what is compared is cut.
const CUT_BEYOND: f64 = 3.0;
/// Where a cut bar has its gap, as shares of the width.
const GAP: (f64, f64) = (0.95, 0.965);

/// See the module.
#[derive(Debug, Default)]
pub struct Bars {
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// Where the axis ends, at least.
    pub least: f64,
}

/// One row.
#[derive(Debug, Default)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// What is said at its right end.
    pub said: String,
    /// Parts, one behind the other.
    pub parts: Vec<(Tone, f64)>,
    /// Each run.
    pub dots: Vec<f64>,
    /// Whether the others may be compared with it, so that it may be cut when it is much longer.
    pub is_ceiling: bool,
}

impl Row {
    fn length(&self) -> f64 {
        self.parts.iter().map(|(_, value)| value.max(0.0)).sum()
    }

    fn reach(&self) -> f64 {
        self.dots.iter().copied().fold(self.length(), f64::max)
    }
}

impl Bars {
    /// Where the axis ends.
    pub fn end(&self) -> f64 {
        let longest = |rows: &mut dyn Iterator<Item = &Row>| rows.map(Row::reach).fold(0.0, f64::max);
        let compared = longest(&mut self.rows.iter().filter(|row| !row.is_ceiling));
        let limit = if compared > 0.0 { compared * CUT_BEYOND } else { f64::INFINITY };
        let shown = longest(&mut self.rows.iter().filter(|row| row.reach() <= limit));
        let end = if self.rows.iter().any(|row| row.reach() > limit) { shown * 1.3 } else { shown * 1.03 };
        let end = end.max(self.least);
        if end > 0.0 { end } else { 1.0 }
    }

    /// As SVG.
    pub fn svg(&self) -> Result<String> {
        let (mut svg, end) = (String::new(), self.end());
        let rows = f64::from(u32::try_from(self.rows.len())?);
        let area = SVGBackend::with_string(&mut svg, (WIDTH, self.height()?)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin_left(MARGIN)
            .margin_right(MARGIN)
            .x_label_area_size(AXIS)
            .build_cartesian_2d(0.0..end, 0.0..rows * ROW)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(8)
            .max_light_lines(0)
            .x_label_formatter(&|value| axis_text(*value))
            .x_label_style(("sans-serif", AXIS_FONT).into_font().color(&MUTED.light))
            .bold_line_style(GRID.light)
            .axis_style(GRID.light)
            .draw()?;
        let mut bottom = rows * ROW;
        let pen = chart.plotting_area();
        for row in &self.rows {
            bottom -= ROW;
            let (low, high) = (bottom + BELOW, bottom + BELOW + THICK);
            let mut from = 0.0;
            for (tone, value) in &row.parts {
                let to = from + value.max(0.0);
                for (from, to) in cut(from, to, end) {
                    pen.draw(&Rectangle::new([(from, low), (to, high)], tone.light.filled()))?;
                }
                from = to;
            }
            for dot in row.dots.iter().filter(|dot| **dot <= end) {
                let middle = f64::midpoint(low, high);
                pen.draw(&Circle::new((*dot, middle), DOT_RADIUS, DOT.light.filled()))?;
            }
            let style = |side| {
                let font = ("sans-serif", FONT).into_font().color(&INK.light);
                font.pos(Pos::new(side, VPos::Bottom))
            };
            pen.draw(&Text::new(row.name.clone(), (0.0, high + TO_NAME), style(HPos::Left)))?;
            pen.draw(&Text::new(row.said.clone(), (end, high + TO_NAME), style(HPos::Right)))?;
        }
        area.present()?;
        drop((chart, area));
        Ok(svg)
    }

    fn height(&self) -> Result<u32> {
        Ok(u32::try_from(self.rows.len())? * 40 + AXIS)
    }
}

/// The pieces of a bar that are within an axis; one that goes beyond has a gap before its end.
fn cut(from: f64, to: f64, end: f64) -> Vec<(f64, f64)> {
    if to <= end {
        return vec![(from, to)];
    }
    let gap = (end * GAP.0, end * GAP.1);
    [(from, gap.0), (gap.1, end)].into_iter().filter(|(from, to)| to > from).collect()
}
