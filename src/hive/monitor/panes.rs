//! What stands in each pane.

use domain::Timestamp;
use protocol::live::totals::Trend;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line as Row, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table};

use super::draw::style;
use super::picture::{Line, Picture};
use super::rates::Counted;
use super::view::{Pane, View};
use crate::cli::{Tone, count, one_line, tone_of};

/// What stands in the border.
pub fn title(pane: Pane, picture: &Picture) -> String {
    match pane {
        Pane::Agents => match &picture.agent_totals {
            Some(totals) => {
                let degraded = totals.health_summary.degraded;
                let badly =
                    if degraded == 0 { String::new() } else { format!(", {} degraded", count(degraded)) };
                format!(
                    " agents: {}, {} active{badly} ",
                    count(picture.agents_total),
                    count(totals.active_count)
                )
            }
            None => " agents ".to_owned(),
        },
        Pane::Tasks => format!(" tasks: {} ", count(picture.counts.total)),
        Pane::Events => " events ".to_owned(),
        Pane::Alerts => " alerts ".to_owned(),
    }
}

/// Who works, how it is, how much of it is in use, and on what.
pub fn agents(frame: &mut Frame<'_>, area: Rect, picture: &Picture, view: &mut View) {
    if picture.agents.is_empty() {
        return nothing(frame, area, "none; `hive agent add` registers one", view);
    }
    // One row is the header's.
    let height = usize::from(area.height.saturating_sub(1));
    let first = view.first_row(Pane::Agents, picture.agents.len(), height);
    let has_color = view.has_color;
    let rows = picture.agents.iter().skip(first).take(height).map(|agent| {
        let in_use = format!("{}/{}", agent.working, agent.capacity);
        TableRow::new([
            Cell::from(one_line(&agent.name)),
            Cell::from(Span::styled(one_line(&agent.state), style(tone_of(&agent.state), has_color))),
            Cell::from(in_use),
            Cell::from(picture.at_work(agent)),
        ])
    });
    let names = picture.agents.iter().map(|agent| one_line(&agent.name).chars().count()).max().unwrap_or(4);
    let width = u16::try_from(names.clamp(4, 20)).unwrap_or(20);
    let widths =
        [Constraint::Length(width), Constraint::Length(8), Constraint::Length(7), Constraint::Fill(1)];
    let header = TableRow::new(["NAME", "STATE", "IN USE", "AT WORK ON"]).style(style(Tone::Dim, has_color));
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), area);
}

/// How many there are in each state, and how fast they move.
pub fn tasks(frame: &mut Frame<'_>, area: Rect, picture: &Picture, view: &mut View, now: Timestamp) {
    let counts = picture.counts;
    let rate = |counted| match picture.rates.per_second(counted, now) {
        Some(rate) => format!("{rate:>7.1}/s"),
        None => format!("{:>9}", "-"),
    };
    let row = |name: &'static str, number: u64, moves: Option<(&str, Counted)>| {
        let moves = moves.map_or_else(String::new, |(verb, counted)| format!(" {verb:<9}{}", rate(counted)));
        let tone = if number == 0 { Tone::Dim } else { tone_of(name) };
        Row::from(vec![
            Span::raw(format!("{name:<10}")),
            Span::styled(format!("{:>7}", count(number)), style(tone, view.has_color)),
            Span::raw(moves),
        ])
    };
    let mut rows = vec![
        row("queued", counts.queued, Some(("submitted", Counted::Submitted))),
        row("scheduled", counts.scheduled, None),
        row("working", counts.working, Some(("started", Counted::Started))),
        row("completed", counts.completed, Some(("completed", Counted::Completed))),
        row("failed", counts.failed, Some(("failed", Counted::Failed))),
        row("canceled", counts.canceled, None),
    ];
    if let Some(coordination) = &picture.coordination {
        let rate =
            coordination.success_rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
        let trend = match coordination.trend {
            Trend::Improving => "improving",
            Trend::Declining => "declining",
            Trend::Stable => "stable",
        };
        rows.push(Row::raw(format!("success {rate}, {trend}")));
    }
    if let Some(totals) = picture.task_totals.as_ref().filter(|totals| totals.failed_recent > 0) {
        let text = format!("{} failed in the last minute", count(totals.failed_recent));
        rows.push(Row::styled(text, style(Tone::Bad, view.has_color)));
    }
    scrolled(frame, area, Pane::Tasks, rows, view);
}

/// What happened, newest first.
pub fn events(frame: &mut Frame<'_>, area: Rect, picture: &Picture, view: &mut View) {
    if picture.events.is_empty() {
        return nothing(frame, area, "nothing has happened since", view);
    }
    let has_color = view.has_color;
    let rows = picture.events.iter().map(|line| match line {
        Line::Event { seq, at, kind, about } => {
            let tone = match kind.split('.').nth(1).unwrap_or_default() {
                "completed" => Tone::Good,
                "started" => Tone::Busy,
                "failed" => Tone::Bad,
                "retrying" | "canceled" | "released" => Tone::Warn,
                _ => Tone::Plain,
            };
            let at = protocol::time::show(*at);
            Row::from(vec![
                Span::styled(
                    format!("{seq:>7} {} ", at.get(11..19).unwrap_or_default()),
                    style(Tone::Dim, has_color),
                ),
                Span::styled(format!("{kind:<20} "), style(tone, has_color)),
                Span::raw(picture.named(about)),
            ])
        }
        Line::Note(words) => Row::styled(format!("        {words}"), style(Tone::Warn, has_color)),
    });
    let rows = rows.collect();
    scrolled(frame, area, Pane::Events, rows, view);
}

/// What somebody should look at.
pub fn alerts(frame: &mut Frame<'_>, area: Rect, picture: &Picture, view: &mut View) {
    if picture.alerts.is_empty() {
        return nothing(frame, area, "none", view);
    }
    let bad = style(Tone::Bad, view.has_color);
    let rows = picture.alerts.values().map(|alert| {
        let action =
            alert.action.as_deref().map_or_else(String::new, |action| format!("  {}", one_line(action)));
        Row::from(vec![Span::styled(one_line(&alert.message), bad), Span::raw(action)])
    });
    let rows = rows.collect();
    scrolled(frame, area, Pane::Alerts, rows, view);
}

fn scrolled(frame: &mut Frame<'_>, area: Rect, pane: Pane, rows: Vec<Row<'_>>, view: &mut View) {
    let height = usize::from(area.height);
    let first = view.first_row(pane, rows.len(), height);
    let rows: Vec<Row<'_>> = rows.into_iter().skip(first).take(height).collect();
    frame.render_widget(Paragraph::new(rows), area);
}

fn nothing(frame: &mut Frame<'_>, area: Rect, words: &str, view: &View) {
    frame
        .render_widget(Paragraph::new(Row::styled(words.to_owned(), style(Tone::Dim, view.has_color))), area);
}
