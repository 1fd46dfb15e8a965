//! Shows how far a demo is: a table that is drawn over itself on a terminal, a line now and then elsewhere.
//!
//! Invariant: the cursor is hidden only while this value lives.

use std::io;
use std::time::{Duration, Instant};

use super::progress::{Progress, Standing};
use crate::cli::{Screen, Table, Tone, counted, number, text, toned};

/// From one frame to the next on a terminal: ten a second look alive and cost nothing.
const FRAME: Duration = Duration::from_millis(100);
/// From one line to the next elsewhere.
const LINE: Duration = Duration::from_secs(1);
/// A line comes sooner when so many tasks have been done since the last one.
const LINE_TASKS: u64 = 10;
/// Cells of the bar.
const BAR: u64 = 30;

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
/// A terminal that knows these shows a frame when it is complete; the others ignore them.
const BEGIN_FRAME: &str = "\x1b[?2026h";
const END_FRAME: &str = "\x1b[?2026l";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";

/// Where progress is shown.
pub struct Display<'a> {
    screen: &'a mut Screen,
    began: Instant,
    look: Look,
    shown_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing is shown.
    Silent,
    /// A table of so many lines has been drawn; none at first.
    Table { lines: usize },
    /// Lines; how many tasks were done when the last one was written.
    Lines { done: u64 },
}

impl<'a> Display<'a> {
    /// In the way that the screen allows. With `--json` only the summary is printed.
    ///
    /// # Errors
    /// What the system says.
    pub fn begin(screen: &'a mut Screen) -> io::Result<Self> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let look = match (screen.is_json(), screen.is_terminal() && !is_dumb) {
            (true, _) => Look::Silent,
            (false, true) => Look::Table { lines: 0 },
            (false, false) => Look::Lines { done: 0 },
        };
        let display = Self { screen, began: Instant::now(), look, shown_at: None };
        if let Look::Table { .. } = display.look {
            display.screen.raw(HIDE_CURSOR)?;
        }
        Ok(display)
    }

    /// Shows progress, if it is time to; the last look is always shown.
    ///
    /// # Errors
    /// What the system says.
    pub fn show(&mut self, progress: &Progress) -> io::Result<()> {
        let sum = progress.sum();
        let pause = if let Look::Table { .. } = self.look { FRAME } else { LINE };
        let is_due = self.shown_at.is_none_or(|at| at.elapsed() >= pause) || sum.is_over();
        match &mut self.look {
            Look::Silent => return Ok(()),
            Look::Lines { done } if is_due || sum.done >= *done + LINE_TASKS => {
                *done = sum.done;
                self.screen.line(&line(&sum))?;
            }
            Look::Table { lines } if is_due => {
                let shown = self.screen.rendered(&table(progress));
                let frame = frame(&shown, &bar(&sum, self.began.elapsed()), *lines);
                *lines = shown.lines().count() + 2;
                self.screen.raw(&frame)?;
            }
            Look::Lines { .. } | Look::Table { .. } => return Ok(()),
        }
        self.shown_at = Some(Instant::now());
        self.screen.finish()
    }
}

impl Drop for Display<'_> {
    fn drop(&mut self) {
        if let Look::Table { .. } = self.look {
            // when the terminal is gone there is no cursor to show
            let _ = self.screen.raw(SHOW_CURSOR).and_then(|()| self.screen.finish());
        }
    }
}

/// A table and a bar below it, over the frame before, which had so many lines.
fn frame(table: &str, bar: &str, lines_before: usize) -> String {
    let mut frame = BEGIN_FRAME.to_owned();
    if lines_before > 0 {
        frame = format!("{frame}\x1b[{lines_before}F");
    }
    for line in table.lines().chain(["", bar]) {
        frame = format!("{frame}{line}{CLEAR_TO_END_OF_LINE}\n");
    }
    frame + END_FRAME
}

fn table(progress: &Progress) -> Table {
    let mut table = Table::new(&["AGENT", "STATE", "DONE", "OF", "CRASHES", "LAST"], "LAST");
    for (name, role) in progress.standings() {
        let name = if role.agents > 1 { format!("{name} ×{}", role.agents) } else { name.to_owned() };
        let tone = match role.word() {
            "done" => Tone::Good,
            "working" => Tone::Busy,
            "will retry" => Tone::Warn,
            "failed" => Tone::Bad,
            _ => Tone::Dim,
        };
        let word = if role.agents > 1 && role.working > 0 {
            format!("{} working", role.working)
        } else {
            role.word().to_owned()
        };
        table.row([
            text(name),
            // as wide as the longest word, so that nothing moves
            toned(format!("{word:<10}"), tone),
            number(role.done),
            number(role.tasks),
            number(role.crashes),
            text(&role.last),
        ]);
    }
    table
}

fn bar(sum: &Standing, elapsed: Duration) -> String {
    let full = (sum.done * BAR).checked_div(sum.tasks).unwrap_or(BAR);
    let cells: String = (0..BAR).map(|cell| if cell < full { '⬢' } else { '⬡' }).collect();
    format!("{cells}  {} of {}  {:.1} s", sum.done, sum.tasks, elapsed.as_secs_f64())
}

fn line(sum: &Standing) -> String {
    let mut line = format!("{} of {} done, {} at work", sum.done, counted(sum.tasks, "task"), sum.working);
    if sum.crashes > 0 {
        line = format!(
            "{line}, {} so far",
            if sum.crashes == 1 { "1 crash".to_owned() } else { format!("{} crashes", sum.crashes) }
        );
    }
    if sum.lost > 0 {
        line = format!("{line}, {} lost", sum.lost);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_over_the_one_before_and_leaves_nothing_of_it() {
        let first = frame("A\nB\n", "bar", 0);
        assert_eq!(first, "\x1b[?2026hA\x1b[K\nB\x1b[K\n\x1b[K\nbar\x1b[K\n\x1b[?2026l");
        let second = frame("A\nB\n", "bar", 4);
        assert!(second.starts_with("\x1b[?2026h\x1b[4FA\x1b[K\n"), "{second:?}");
        assert_eq!(second.matches('\n').count(), 4);
    }

    #[test]
    fn the_bar_is_full_when_all_is_done_and_empty_before() {
        let sum = |done| Standing { done, tasks: 60, ..Standing::default() };
        let full = |done| bar(&sum(done), Duration::ZERO).matches('⬢').count();
        assert_eq!([full(0), full(30), full(59), full(60)], [0, 15, 29, 30]);
    }

    #[test]
    fn a_line_names_crashes_and_losses_only_where_there_are_any() {
        let sum = Standing { done: 12, tasks: 60, working: 5, ..Standing::default() };
        assert_eq!(line(&sum), "12 of 60 tasks done, 5 at work");
        let sum = Standing { crashes: 3, lost: 1, ..sum };
        assert_eq!(line(&sum), "12 of 60 tasks done, 5 at work, 3 crashes so far, 1 lost");
    }
}
