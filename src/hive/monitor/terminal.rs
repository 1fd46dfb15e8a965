//! The terminal while it belongs to the monitor.
//!
//! Invariant: whoever has taken it gives it back: when dropped, and before a panic is told.

use ratatui::{DefaultTerminal, Frame};

use crate::exit::Exit;
use crate::failure::Failure;

/// A terminal that was taken: raw, and with a screen of its own.
#[derive(Debug)]
pub struct Taken {
    terminal: DefaultTerminal,
}

impl Taken {
    /// Takes the terminal of this process; the hook of panics gives it back before anything is said.
    ///
    /// # Errors
    /// A [`Failure`] when there is none that can be taken.
    pub fn take() -> Result<Self, Failure> {
        let terminal = ratatui::try_init().map_err(|error| {
            // What was done up to there is undone.
            ratatui::restore();
            Failure::new(Exit::Environment, format!("this terminal cannot be used: {error}"))
                .hint("`hive monitor --once` prints one picture as plain text")
        })?;
        Ok(Self { terminal })
    }

    /// Draws a picture.
    ///
    /// # Errors
    /// A [`Failure`] when it cannot be written.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.terminal.draw(draw)?;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // When the terminal is gone there is nothing to give back.
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}
