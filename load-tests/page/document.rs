//! What a page is made of, and its two forms: Markdown without plots, and one HTML file that needs nothing else.

use anyhow::Result;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use pulldown_cmark_escape::escape_html;

use crate::page::bars::Bars;
use crate::page::curves::Curves;
use crate::page::palette::{self, Tone};

/// How the HTML looks.
const STYLE: &str = include_str!("page.css");

/// A page, from top to bottom.
#[derive(Debug, Default)]
pub struct Document(pub Vec<Part>);

/// A part of a page.
#[derive(Debug)]
pub enum Part {
    /// Markdown; ends with a line feed.
    Text(String),
    /// A plot; not in Markdown.
    Plot(Plot),
}

/// A plot, with what is said of it.
#[derive(Debug)]
pub struct Plot {
    /// What is to be seen. Plain text.
    pub caption: String,
    /// What the colors mean. Plain text.
    pub legend: Vec<(Tone, String)>,
    /// What is drawn.
    pub drawing: Drawing,
}

/// What is drawn.
#[derive(Debug)]
pub enum Drawing {
    /// Rows of bars.
    Bars(Bars),
    /// Latencies over quantiles.
    Curves(Curves),
}

impl Document {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let texts = self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Plot(_) => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// As HTML that loads nothing, runs nothing, and is light or dark as its reader likes it.
    pub fn html(&self, title: &str) -> Result<String> {
        let mut body = String::new();
        for (number, part) in self.0.iter().enumerate() {
            match part {
                Part::Text(text) => pulldown_cmark::html::push_html(&mut body, events(text).into_iter()),
                Part::Plot(plot) => body += &figure(plot, number)?,
            }
        }
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n\
             <style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
            escaped(title)?,
            palette::css(),
        ))
    }
}

/// What Markdown says, with anchors on the headings of its sections.
fn events(markdown: &str) -> Vec<Event<'_>> {
    let mut events: Vec<Event> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut heading = String::new();
    // From the end, so that a heading's words are known where it begins.
    for event in events.iter_mut().rev() {
        match event {
            Event::End(TagEnd::Heading(_)) => heading.clear(),
            Event::Text(words) | Event::Code(words) => heading.insert_str(0, words),
            // Those below are the same in each section.
            Event::Start(Tag::Heading { id, level: HeadingLevel::H2, .. }) => {
                *id = Some(anchor(&heading).into())
            }
            _ => {}
        }
    }
    events
}

/// The anchor of a heading, the same that code forges give it.
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn figure(plot: &Plot, number: usize) -> Result<String> {
    let svg = match &plot.drawing {
        Drawing::Bars(bars) => bars.svg()?,
        Drawing::Curves(curves) => curves.svg()?,
    };
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-labelledby=\"plot-{number}\" "), 1);
    let mut legend = String::new();
    for (tone, name) in &plot.legend {
        legend += &format!("<li><i class=\"{}\"></i>{}</li>\n", palette::class(*tone), escaped(name)?);
    }
    Ok(format!(
        "<figure>\n<figcaption id=\"plot-{number}\">{}</figcaption>\n{svg}<ul>\n{legend}</ul>\n</figure>\n",
        escaped(&plot.caption)?
    ))
}

fn escaped(text: &str) -> Result<String> {
    let mut escaped = String::new();
    escape_html(&mut escaped, text)?;
    Ok(escaped)
}

/// Text that means nothing to Markdown, on one line.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        if "\\`*_<>[]|&~$#!".contains(letter) {
            plain.push('\\');
        }
        plain.push(if letter.is_control() { ' ' } else { letter });
    }
    plain
}

/// Text as code, on one line, outside tables.
pub fn code(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    if longest == 0 { format!("{fence}{text}{fence}") } else { format!("{fence} {text} {fence}") }
}

/// A table. Its first columns have words, the others figures.
#[derive(Debug)]
pub struct Table {
    /// How many columns have words.
    pub words: usize,
    /// What stands above each column.
    pub head: Vec<String>,
    /// The cells; `None` where there is nothing to tell.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// With these columns.
    pub fn new(words: usize, head: &[&str]) -> Self {
        Self { words, head: head.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// As Markdown, without columns in which there is nothing; empty without rows.
    pub fn markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let is_told = |column: usize| self.rows.iter().any(|row| matches!(row.get(column), Some(Some(_))));
        let shown: Vec<usize> = (0..self.head.len()).filter(|column| is_told(*column)).collect();
        let line = |cell: &dyn Fn(usize) -> String| {
            let cells: Vec<String> = shown.iter().map(|column| cell(*column)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(&|column| self.head.get(column).map(|name| plain(name)).unwrap_or_default());
        text += &line(&|column| if column < self.words { "---" } else { "---:" }.to_owned()).replace(' ', "");
        for row in &self.rows {
            text += &line(&|column| match row.get(column) {
                Some(Some(cell)) => plain(cell),
                _ => "–".to_owned(),
            });
        }
        text
    }
}

/// A figure as it is read: three or more digits, and thousands apart.
pub fn figure_text(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        _ if !size.is_finite() => return "–".to_owned(),
        0.0 => 0,
        _ if size < 0.095 => 3,
        _ if size < 9.995 => 2,
        _ if size < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{size:.digits$}");
    let (whole, part) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut apart = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    format!("{}{apart}{part}", if value < 0.0 { "−" } else { "" })
}

/// A figure beside an axis: without zeros that say nothing.
pub fn axis_text(value: f64) -> String {
    let text = figure_text(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// From the least to the most of some figures; `None` of fewer than two.
pub fn range_text(values: &[f64]) -> Option<String> {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (values.len() > 1).then(|| format!("{} to {}", figure_text(least), figure_text(most)))
}
