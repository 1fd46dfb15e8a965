//! Where a command writes: data to stdout, notes to stderr.
//!
//! Invariant: every failed write is told to the caller, so that a broken pipe ends quietly and a full disk does not.

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};

use domain::Timestamp;

use super::table::{Facts, Field, Look, Table, Tone, text, toned};
use super::words;

/// The two outputs of a command.
pub struct Screen {
    out: Box<dyn Write>,
    notes: Box<dyn Write>,
    look: Look,
    is_json: bool,
    now: Timestamp,
}

impl Screen {
    /// Of this process.
    #[must_use]
    pub fn of_process(is_json: bool) -> Self {
        let stdout = std::io::stdout();
        let look = if stdout.is_terminal() {
            Look { width: width(), has_color: wants_color() }
        } else {
            Look { width: None, has_color: false }
        };
        let out = Box::new(std::io::BufWriter::new(stdout));
        Self { out, notes: Box::new(std::io::stderr()), look, is_json, now: words::now() }
    }

    /// For tests: writes into what it is given, as into a pipe.
    #[cfg(test)]
    pub(crate) fn into(out: Box<dyn Write>, notes: Box<dyn Write>, is_json: bool) -> Self {
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        Self { out, notes, look: Look { width: None, has_color: false }, is_json, now }
    }

    /// Whether the API's JSON is wanted.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether somebody reads along.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.look.width.is_some()
    }

    /// Writes a line of data.
    ///
    /// # Errors
    /// What the system says.
    pub fn line(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.out, "{}", line.strip_suffix('\n').unwrap_or(line))
    }

    /// Writes a line of data; on a terminal it is cut where that ends, so that it stays one line.
    ///
    /// # Errors
    /// What the system says.
    pub fn line_that_fits(&mut self, line: &str) -> std::io::Result<()> {
        let width = self.look.width.map_or(usize::MAX, usize::from);
        let mut letters = line.chars();
        let mut shown: String = letters.by_ref().take(width).collect();
        if letters.next().is_some() {
            shown.pop();
            shown.push('…');
        }
        self.line(&shown)
    }

    /// Writes data as it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn raw(&mut self, data: &str) -> std::io::Result<()> {
        self.out.write_all(data.as_bytes())
    }

    /// Writes a table.
    ///
    /// # Errors
    /// What the system says.
    pub fn table(&mut self, table: &Table) -> std::io::Result<()> {
        let shown = table.render(self.look);
        self.raw(&shown)
    }

    /// A table as it would be written.
    #[must_use]
    pub fn rendered(&self, table: &Table) -> String {
        table.render(self.look)
    }

    /// Writes facts.
    ///
    /// # Errors
    /// What the system says.
    pub fn facts(&mut self, facts: &Facts) -> std::io::Result<()> {
        let shown = facts.render(self.look);
        self.raw(&shown)
    }

    /// Writes a note for people. A note that cannot be written is not worth failing for.
    pub fn note(&mut self, note: &str) {
        // data first: on a terminal both go to the same place
        let _ = self.out.flush();
        let _ = writeln!(self.notes, "{note}");
    }

    /// A moment: relative on a terminal, RFC 3339 in a pipe, where somebody may compute with it.
    #[must_use]
    pub fn moment(&self, at: Timestamp) -> Field {
        if self.is_terminal() {
            toned(words::relative(self.now, at), Tone::Dim)
        } else {
            text(protocol::time::show(at))
        }
    }

    /// Writes out what is buffered, at the end or where somebody reads along.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Columns of the terminal; 80 where it does not say.
fn width() -> Option<u16> {
    let asked =
        std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|width| *width > 0);
    asked.or_else(|| comfy_table::Table::new().width().filter(|width| *width > 0)).or(Some(80))
}

/// Whether the terminal wants colours, by what the environment says.
pub(super) fn wants_color() -> bool {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    is_colorful(set("NO_COLOR").as_deref(), set("TERM").as_deref())
}

/// Source: <https://no-color.org>; a terminal that is `dumb` cannot show colours at all.
fn is_colorful(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none() && term.is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::failure::Failure;

    #[test]
    fn no_color_and_dumb_terminals_are_respected() {
        let os = OsStr::new;
        assert!(is_colorful(None, Some(os("xterm"))));
        assert!(is_colorful(None, None));
        assert!(!is_colorful(Some(os("1")), Some(os("xterm"))));
        assert!(!is_colorful(None, Some(os("dumb"))));
    }

    #[test]
    fn in_a_pipe_moments_are_rfc_3339_and_on_a_terminal_they_are_relative() {
        let mut screen = Screen::into(Box::new(std::io::sink()), Box::new(std::io::sink()), false);
        let at = screen.now.minus_ms(5_000);
        let shown = |screen: &Screen| {
            let mut facts = Facts::default();
            facts.add("at", screen.moment(at));
            facts.render(Look { width: None, has_color: false })
        };
        assert_eq!(shown(&screen), "at  2027-01-15T07:59:55.000000Z\n");
        screen.look.width = Some(80);
        assert_eq!(shown(&screen), "at  5 s ago\n");
    }

    #[test]
    fn a_pipe_that_breaks_ends_a_command_quietly() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut screen = Screen::into(Box::new(Broken), Box::new(std::io::sink()), false);
        let failure = Failure::from(screen.line("data").unwrap_err());
        assert_eq!(failure, Failure::new(Exit::Fine, ""));
        screen.note("a note is no reason to fail");
    }
}
