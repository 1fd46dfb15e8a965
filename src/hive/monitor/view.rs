//! How somebody looks at the picture: which pane, how far down, paused, with help.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::picture::Picture;

/// A part of the screen that can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// Who works.
    Agents,
    /// How many tasks there are.
    Tasks,
    /// What happened.
    Events,
    /// What somebody should look at.
    Alerts,
}

impl Pane {
    /// In the order of the keys.
    pub const ALL: [Self; 4] = [Self::Agents, Self::Tasks, Self::Events, Self::Alerts];

    const fn place(self) -> usize {
        match self {
            Self::Agents => 0,
            Self::Tasks => 1,
            Self::Events => 2,
            Self::Alerts => 3,
        }
    }

    fn step(self, by: usize) -> Self {
        let place = self.place().saturating_add(by) % Self::ALL.len();
        Self::ALL.get(place).copied().unwrap_or(self)
    }
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To go on.
    Nothing,
    /// To end.
    End,
}

/// How it is looked at.
#[derive(Debug, Clone)]
pub struct View {
    /// The pane that the keys move in.
    pub focus: Pane,
    /// Whether the keys are explained.
    pub has_help: bool,
    /// Whether colours are wanted.
    pub has_color: bool,
    scroll: [usize; 4],
    /// What was there when the picture was stopped.
    pub(super) frozen: Option<Box<Picture>>,
}

impl View {
    /// The usual one.
    #[must_use]
    pub const fn new(has_color: bool) -> Self {
        Self { focus: Pane::Agents, has_help: false, has_color, scroll: [0; 4], frozen: None }
    }

    /// Whether the picture stands still.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// The first row of a pane, of so many rows of which so many fit; what is beyond the end is taken back.
    pub fn first_row(&mut self, pane: Pane, rows: usize, height: usize) -> usize {
        let last = rows.saturating_sub(height);
        let Some(scroll) = self.scroll.get_mut(pane.place()) else { return 0 };
        *scroll = last.min(*scroll);
        *scroll
    }

    /// Takes a key in; anything else of the terminal only means that it is to be drawn anew.
    pub fn hear(&mut self, event: &Event, picture: &Picture) -> Asked {
        let Event::Key(KeyEvent {
            code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, ..
        }) = event
        else {
            return Asked::Nothing;
        };
        let is_control = modifiers.contains(KeyModifiers::CONTROL);
        match code {
            KeyCode::Char('c') if is_control => return Asked::End,
            KeyCode::Char('q') => return Asked::End,
            KeyCode::Esc if !self.has_help => return Asked::End,
            KeyCode::Esc => self.has_help = false,
            KeyCode::Char('?' | 'h') => self.has_help = !self.has_help,
            KeyCode::Char('p' | ' ') => {
                self.frozen = if self.frozen.is_some() { None } else { Some(Box::new(picture.clone())) };
            }
            KeyCode::Tab | KeyCode::Right => self.focus = self.focus.step(1),
            KeyCode::BackTab | KeyCode::Left => self.focus = self.focus.step(Pane::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(-1),
            KeyCode::PageDown => self.scroll(10),
            KeyCode::PageUp => self.scroll(-10),
            KeyCode::Home => self.scroll(isize::MIN),
            KeyCode::End => self.scroll(isize::MAX),
            _ => {}
        }
        Asked::Nothing
    }

    fn scroll(&mut self, rows: isize) {
        if let Some(scroll) = self.scroll.get_mut(self.focus.place()) {
            *scroll = scroll.saturating_add_signed(rows);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_goes_around_and_back() {
        let mut pane = Pane::Agents;
        let around: Vec<Pane> = std::iter::repeat_with(|| {
            pane = pane.step(1);
            pane
        })
        .take(4)
        .collect();
        assert_eq!(around, [Pane::Tasks, Pane::Events, Pane::Alerts, Pane::Agents]);
        assert_eq!(Pane::Agents.step(3), Pane::Alerts);
    }

    #[test]
    fn nobody_scrolls_beyond_the_end() {
        let mut view = View::new(false);
        view.scroll(isize::MAX);
        assert_eq!(view.first_row(Pane::Agents, 10, 4), 6);
        view.scroll(-1);
        assert_eq!(view.first_row(Pane::Agents, 10, 4), 5);
        assert_eq!(view.first_row(Pane::Agents, 3, 4), 0);
        view.scroll(isize::MIN);
        assert_eq!(view.first_row(Pane::Agents, 10, 4), 0);
    }
}
