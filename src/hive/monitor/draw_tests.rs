//! Tests of what is drawn: on screens of every size, with what is known and what is not.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;
use crate::monitor::picture::tests::{at, event, frame, system};
use crate::monitor::source::News;

fn screen(width: u16, height: u16, picture: &Picture, view: &mut View) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| all(frame, picture, view, at(30))).unwrap();
    let buffer = terminal.backend().buffer().clone();
    (0..height)
        .map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>())
        // Of many blanks in a row one is left.
        .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

fn busy() -> Picture {
    let mut picture = Picture::new("http://127.0.0.1:18080", system());
    picture.hear(News::Connected(Box::new(system())), at(0));
    for seq in 1..30 {
        picture.hear(event(seq, seq, "task.submitted"), at(seq));
    }
    let alerts = json!({"alerts": [{"level": "critical", "message": "disk_nearly_full: 3 %", "action": "Free space."}]});
    picture.hear(frame(json!({"type": "critical_alert", "subscription": "alerts", "data": alerts})), at(29));
    picture
}

#[test]
fn on_80_by_24_everything_is_there_and_nothing_is_wider_than_the_screen() {
    let (picture, mut view) = (busy(), View::new(true));
    let shown = screen(80, 24, &picture, &mut view);
    let text = shown.join("\n");
    for part in [
        "Agent Hive 0.1.0 http://127.0.0.1:18080 up 30 s",
        "● live",
        "e-1:29",
        "agents",
        "tasks",
        "events",
        "alerts",
        "submitted 1.0/s",
        "disk_nearly_full: 3 % Free space.",
        "29 12:00:29 task.submitted",
        "q ends",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    for (number, size) in [(120, 50), (200, 60), (76, 18)] {
        let large = screen(number, size, &picture, &mut view).join("\n");
        assert!(large.contains("alerts") && large.contains("1 alert"), "{large}");
    }
}

#[test]
fn on_a_small_terminal_one_pane_is_shown_at_a_time() {
    let (picture, mut view) = (busy(), View::new(true));
    for (focus, part, other) in [
        (Pane::Events, "task.submitted", "queued"),
        (Pane::Tasks, "queued", "task.submitted"),
        (Pane::Alerts, "disk_nearly", "queued"),
    ] {
        view.focus = focus;
        let text = screen(40, 12, &picture, &mut view).join("\n");
        assert!(text.contains(part) && !text.contains(other), "{text}");
    }
    for (width, height) in [(19, 24), (80, 5), (1, 1)] {
        let text = screen(width, height, &picture, &mut view).join("");
        assert!("too small; q ends".starts_with(text.trim()), "{text}");
    }
}

#[test]
fn a_picture_that_stands_still_shows_what_was_and_still_says_that_the_hive_is_away() {
    let (mut picture, mut view) = (busy(), View::new(true));
    view.frozen = Some(Box::new(picture.clone()));
    picture.hear(event(30, 30, "task.failed"), at(30));
    picture.hear(News::Away("the hive is gone".into()), at(31));
    let text = screen(100, 30, &picture, &mut view).join("\n");
    assert!(
        text.contains("PAUSED")
            && text.contains("reconnecting for 0 s (what is shown was so before): the hive is gone"),
        "{text}"
    );
    assert!(!text.contains("task.failed") && view.is_paused(), "{text}");
    view.frozen = None;
    assert!(screen(100, 30, &picture, &mut view).join("\n").contains("task.failed"));
}

#[test]
fn scrolling_shows_what_is_further_down_and_help_names_every_key() {
    let (picture, mut view) = (busy(), View::new(true));
    view.focus = Pane::Events;
    let key = |code| crossterm::event::Event::Key(crossterm::event::KeyEvent::from(code));
    view.hear(&key(crossterm::event::KeyCode::End), &picture);
    let text = screen(80, 24, &picture, &mut view).join("\n");
    assert!(text.contains(" 1 12:00:01") && !text.contains(" 29 12:00:29"), "{text}");
    view.hear(&key(crossterm::event::KeyCode::Char('?')), &picture);
    let text = screen(80, 24, &picture, &mut view).join("\n");
    assert!(HELP.iter().all(|(keys, _)| text.contains(keys)), "{text}");
}

#[test]
fn without_colours_no_cell_has_one() {
    let (picture, mut view) = (busy(), View::new(false));
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| all(frame, &picture, &mut view, at(30))).unwrap();
    let cells = terminal.backend().buffer().content();
    assert!(cells.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    view.has_color = true;
    terminal.draw(|frame| all(frame, &picture, &mut view, at(30))).unwrap();
    assert!(terminal.backend().buffer().content().iter().any(|cell| cell.fg == Color::Green));
}
