//! The screen: two lines about the hive, the panes, a line about the keys.
//!
//! From 76 columns and 18 rows on all panes are there; on a smaller terminal the one that the keys are in.

use std::time::Duration;

use domain::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::panes;
use super::picture::{Connection, Picture};
use super::view::{Pane, View};
use crate::cli::{Tone, one_line, tone_of};
use crate::span::in_words;

/// Columns from which on all panes fit.
const WIDE: u16 = 76;
/// Rows from which on they do.
const HIGH: u16 = 18;
/// Below this there is no room for anything.
const SMALLEST: (u16, u16) = (20, 6);

const HELP: [(&str, &str); 8] = [
    ("q, Esc, Ctrl-C", "end"),
    ("Tab, → ←", "next, previous pane"),
    ("↑ ↓, k j", "one row up, down"),
    ("PgUp, PgDn", "ten rows"),
    ("Home, End", "first, last row"),
    ("p, space", "stop the picture, go on"),
    ("?, h", "this help"),
    ("", "nothing is lost while it stands still"),
];

/// Colours, where they are wanted.
#[must_use]
pub fn style(tone: Tone, has_color: bool) -> Style {
    let style = Style::default();
    let color = match tone {
        Tone::Plain => return style,
        Tone::Dim => return style.add_modifier(Modifier::DIM),
        Tone::Good => Color::Green,
        Tone::Busy => Color::Cyan,
        Tone::Warn => Color::Yellow,
        Tone::Bad => Color::Red,
    };
    if has_color {
        style.fg(color)
    } else if tone == Tone::Bad {
        style.add_modifier(Modifier::BOLD)
    } else {
        style
    }
}

/// Draws everything.
pub fn all(frame: &mut Frame<'_>, picture: &Picture, view: &mut View, now: Timestamp) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        frame.render_widget(Paragraph::new("too small; q ends"), area);
        return;
    }
    // The copy that stands still leaves the view meanwhile, which counts rows as they are drawn.
    let frozen = view.frozen.take();
    let shown = frozen.as_deref().unwrap_or(picture);
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(3), Constraint::Length(1)]).areas(area);
    // How the connection is, is never out of date.
    frame.render_widget(Paragraph::new(header(picture, view, frozen.is_some(), now)), head);
    if area.width >= WIDE && area.height >= HIGH {
        let alert_rows = u16::try_from(shown.alerts.len().clamp(1, 4)).unwrap_or(4).saturating_add(2);
        let [top, events, alerts] = Layout::vertical([
            Constraint::Percentage(48),
            Constraint::Min(4),
            Constraint::Length(alert_rows),
        ])
        .areas(body);
        let [agents, tasks] = Layout::horizontal([Constraint::Min(36), Constraint::Length(38)]).areas(top);
        for (pane, area) in Pane::ALL.into_iter().zip([agents, tasks, events, alerts]) {
            draw(frame, pane, area, (shown, view), now);
        }
    } else {
        draw(frame, view.focus, body, (shown, view), now);
    }
    frame.render_widget(Paragraph::new(footer(shown, view, area.width)), foot);
    if view.has_help {
        help(frame, area);
    }
    view.frozen = frozen;
}

fn draw(frame: &mut Frame<'_>, pane: Pane, area: Rect, (shown, view): (&Picture, &mut View), now: Timestamp) {
    let is_focused = view.focus == pane;
    let border = if is_focused {
        style(Tone::Warn, view.has_color).add_modifier(Modifier::BOLD)
    } else {
        style(Tone::Dim, view.has_color)
    };
    let block =
        Block::bordered().border_style(border).title(Line::from(panes::title(pane, shown)).style(border));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    match pane {
        Pane::Agents => panes::agents(frame, inner, shown, view),
        Pane::Tasks => panes::tasks(frame, inner, shown, view, now),
        Pane::Events => panes::events(frame, inner, shown, view),
        Pane::Alerts => panes::alerts(frame, inner, shown, view),
    }
}

fn header(picture: &Picture, view: &View, is_paused: bool, now: Timestamp) -> Vec<Line<'static>> {
    let tone = |tone| style(tone, view.has_color);
    let (state, state_tone) = match &picture.connection {
        Connection::Connecting => ("connecting".to_owned(), Tone::Warn),
        Connection::Live => ("live".to_owned(), Tone::Good),
        Connection::Away { since, why } => {
            let since = seconds(since.elapsed());
            (format!("reconnecting for {since} (what is shown was so before): {why}"), Tone::Bad)
        }
    };
    let is_away = matches!(picture.connection, Connection::Away { .. });
    let up = seconds(Duration::from_millis(now.ms_since(picture.system.started_at)));
    let mut first = vec![
        Span::styled(" ⬢ ", tone(Tone::Warn)),
        Span::styled(
            format!("Agent Hive {}", one_line(&picture.system.version)),
            Style::default().add_modifier(Modifier::BOLD),
        ),
        Span::raw(format!("  {}  ", one_line(&picture.url))),
    ];
    // An address that does not answer is not up.
    if !is_away {
        first.push(Span::styled(format!("up {up}"), tone(Tone::Dim)));
    }
    let health = picture.health.as_ref().map_or("unknown", |health| health.overall_health.as_str());
    let mut second = vec![Span::raw(" "), Span::styled(format!("● {state}"), tone(state_tone))];
    if !is_away {
        second.push(Span::raw("  health "));
        second.push(Span::styled(one_line(health), tone(tone_of(health))));
    }
    if is_paused {
        second.push(Span::styled("  PAUSED", tone(Tone::Warn).add_modifier(Modifier::REVERSED)));
    }
    if let Some((epoch, offset)) = &picture.place {
        second.push(Span::styled(format!("  {}:{offset}", one_line(epoch)), tone(Tone::Dim)));
    }
    vec![Line::from(first), Line::from(second)]
}

fn seconds(span: Duration) -> String {
    if span.as_secs() == 0 { "0 s".to_owned() } else { in_words(span) }
}

fn footer(shown: &Picture, view: &View, width: u16) -> Line<'static> {
    let keys = if width < 60 {
        " q ends  Tab pane  ? keys"
    } else {
        " q ends  Tab next pane  ↑↓ rows  p stops the picture  ? keys"
    };
    let mut spans = vec![Span::styled(keys, style(Tone::Dim, view.has_color))];
    if !shown.alerts.is_empty() && view.focus != Pane::Alerts {
        let count = shown.alerts.len();
        spans.push(Span::styled(
            format!("  {count} alert{}", if count == 1 { "" } else { "s" }),
            style(Tone::Bad, view.has_color),
        ));
    }
    Line::from(spans)
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let rows = HELP.map(|(keys, what)| Line::raw(format!(" {keys:<16}{what} ")));
    let width = 58.min(area.width);
    let height = u16::try_from(rows.len()).unwrap_or(8).saturating_add(2).min(area.height);
    let place = Rect {
        x: area.x.saturating_add(area.width.saturating_sub(width) / 2),
        y: area.y.saturating_add(area.height.saturating_sub(height) / 2),
        width,
        height,
    };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(rows.to_vec()).block(Block::bordered().title(" keys ")), place);
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
