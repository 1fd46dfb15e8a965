//! Tables and lists of facts, laid out for a terminal or a pipe.

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, presets,
};

use super::words::one_line;

/// How a cell feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// All is well.
    Good,
    /// At work.
    Busy,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Bad,
    /// Of little interest.
    Dim,
}

/// One cell.
#[derive(Debug, Clone)]
pub struct Field {
    text: String,
    tone: Tone,
    is_number: bool,
}

/// A text of anybody; made safe for a terminal.
pub fn text(text: impl AsRef<str>) -> Field {
    Field { text: one_line(text.as_ref()), tone: Tone::Plain, is_number: false }
}

/// A text with a tone.
pub fn toned(shown: impl AsRef<str>, tone: Tone) -> Field {
    Field { tone, ..text(shown) }
}

/// A count, set to the right; zeros are dim.
pub fn number(count: u64) -> Field {
    let tone = if count == 0 { Tone::Dim } else { Tone::Plain };
    Field { text: super::words::count(count), tone, is_number: true }
}

/// What stands where nothing is known.
pub fn nothing() -> Field {
    toned("-", Tone::Dim)
}

/// A state's word in the tone of its state.
pub fn state(word: &str) -> Field {
    toned(word, tone_of(word))
}

/// How a state feels.
pub fn tone_of(word: &str) -> Tone {
    match word {
        "completed" | "idle" | "succeeded" | "serving" | "running" | "healthy" => Tone::Good,
        "working" => Tone::Busy,
        "scheduled" | "draining" | "stalled" | "paused" | "interrupted" | "starting" | "restarting"
        | "stopping" | "degraded" => Tone::Warn,
        "failed" | "offline" | "timed_out" | "lease_lost" | "crashed" | "unhealthy" => Tone::Bad,
        "canceled" => Tone::Dim,
        _ => Tone::Plain,
    }
}

/// Where a table will be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `None` in a pipe, where nothing is cut.
    pub width: Option<u16>,
    /// Whether colours are wanted.
    pub has_color: bool,
}

/// A table; one column may be cut so that a row stays on one line.
#[derive(Debug)]
pub struct Table {
    header: &'static [&'static str],
    flexible: usize,
    rows: Vec<Vec<Field>>,
}

impl Table {
    /// With these columns; the one called `flexible` gives way on a narrow terminal.
    pub fn new(header: &'static [&'static str], flexible: &str) -> Self {
        let flexible = header.iter().position(|name| *name == flexible).unwrap_or(0);
        Self { header, flexible, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, fields: impl IntoIterator<Item = Field>) {
        self.rows.push(fields.into_iter().collect());
    }

    /// Whether it has no rows.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As text, ending with a line break.
    pub fn render(&self, look: Look) -> String {
        let mut table = plain(look);
        let header = self.header.iter().map(|name| cell(&toned(name, Tone::Dim), look));
        let mut header = Row::from(header.collect::<Vec<_>>());
        if look.width.is_some() {
            header.max_height(1);
        }
        table.set_header(header);
        for fields in &self.rows {
            let mut row = Row::from(fields.iter().map(|field| cell(field, look)).collect::<Vec<_>>());
            if look.width.is_some() {
                row.max_height(1);
            }
            table.add_row(row);
        }
        let last = self.header.len().saturating_sub(1);
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if place == last { 0 } else { 2 }));
            if place != self.flexible {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        finish(&table)
    }
}

/// Facts of one thing, a line each.
#[derive(Debug, Default)]
pub struct Facts {
    rows: Vec<(&'static str, Field)>,
}

impl Facts {
    /// Adds a fact.
    pub fn add(&mut self, name: &'static str, field: Field) {
        self.rows.push((name, field));
    }

    /// Adds a fact where it is known.
    pub fn add_some(&mut self, name: &'static str, field: Option<Field>) {
        self.rows.extend(field.map(|field| (name, field)));
    }

    /// As text, ending with a line break. Nothing is cut: facts are read one by one.
    pub fn render(&self, look: Look) -> String {
        let mut table = plain(Look { width: None, ..look });
        for (name, field) in &self.rows {
            let field = Field { is_number: false, ..field.clone() };
            table.add_row(vec![cell(&toned(name, Tone::Dim), look), cell(&field, look)]);
        }
        for (place, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if place == 0 { 2 } else { 0 }));
        }
        finish(&table)
    }
}

fn plain(look: Look) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    // what is a terminal and how wide it is was decided before; the crate must not look again
    table.load_style(presets::NOTHING).force_no_tty();
    if look.has_color {
        table.enforce_styling();
    }
    if let Some(width) = look.width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}

fn cell(field: &Field, look: Look) -> Cell {
    let cell = Cell::new(&field.text);
    let cell = if field.is_number { cell.set_alignment(CellAlignment::Right) } else { cell };
    if !look.has_color {
        return cell;
    }
    match field.tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Busy => cell.fg(Color::Cyan),
        Tone::Warn => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
    }
}

fn finish(table: &comfy_table::Table) -> String {
    format!("{}\n", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Look = Look { width: None, has_color: false };

    fn sample() -> Table {
        let mut table = Table::new(&["ID", "STATE", "COUNT", "TITLE"], "TITLE");
        table.row([
            text("task_1"),
            state("failed"),
            number(1_234),
            text("Write the report\nfor everybody to read"),
        ]);
        table.row([text("task_22"), state("queued"), number(0), text("short")]);
        table
    }

    #[test]
    fn in_a_pipe_nothing_is_cut_and_nothing_is_coloured() {
        let expected = "\
ID       STATE   COUNT  TITLE
task_1   failed  1,234  Write the report\\nfor everybody to read
task_22  queued      0  short
";
        assert_eq!(sample().render(PIPE), expected);
    }

    #[test]
    fn on_a_narrow_terminal_only_the_flexible_column_is_cut_and_every_row_stays_on_one_line() {
        let shown = sample().render(Look { width: Some(40), has_color: false });
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{shown}");
        assert!(lines[1].starts_with("task_1   failed  1,234  Write") && lines[1].ends_with('…'), "{shown}");
    }

    #[test]
    fn colours_stand_only_where_they_are_wanted() {
        let shown = sample().render(Look { width: Some(80), has_color: true });
        assert!(shown.contains("\u{1b}["), "{shown:?}");
        let plain = sample().render(Look { width: Some(80), has_color: false });
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }

    #[test]
    fn facts_are_aligned_and_never_cut() {
        let mut facts = Facts::default();
        facts.add("id", text("task_1"));
        facts.add_some("kind", None);
        facts.add("failures", number(2));
        assert_eq!(
            facts.render(Look { width: Some(5), has_color: false }),
            "id        task_1\nfailures  2\n"
        );
    }
}
