//! `hive monitor`: the hive as it works, on a terminal.
//!
//! ```text
//!   source (session, resume, questions) --News--> picture (what is known) --> draw (panes) --> terminal
//!   keys, resizes, signals, the clock ----------> view (focus, scroll, pause, help) --^
//! ```
//!
//! Invariant: the terminal is left as it was, however the monitor ends: by a key, a signal, a failure or a panic.
//!
//! Invariant: what is shown is what was heard last; while the hive is away, the first line says so and for how long.
//!
//! Invariant: what is kept is bounded: 200 events, 100 tasks at work, 200 agents.
//!
//! Reading order: [`source`], [`picture`], [`rates`], [`view`], [`draw`] and [`panes`], [`terminal`].

pub mod draw;
pub mod panes;
pub mod picture;
pub mod rates;
pub mod source;
pub mod terminal;
pub mod view;

use std::pin::pin;
use std::time::{Duration, Instant};

use client::Client;
use crossterm::event::EventStream;
use futures_util::StreamExt;
use futures_util::stream::unfold;

use crate::cli::now;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::stops::Stops;
use picture::Picture;
use source::Source;
use terminal::Taken;
use view::{Asked, View};

/// How often the figures that depend on the clock are drawn anew.
const TICK: Duration = Duration::from_secs(1);
/// Shortest time between two pictures: nobody reads faster, and a flood of events costs no more than this.
const FRAME: Duration = Duration::from_millis(50);

/// Shows the hive until somebody ends it.
///
/// # Errors
/// A [`Failure`] when the hive refuses, or when it does not answer at first; one that goes away later is waited for.
pub async fn run(client: &Client, has_color: bool) -> Result<Exit, Failure> {
    // Whoever is not let in is told so on the terminal as it is.
    let system = client.system().await?.into_value();
    let mut stops = Stops::listen().map_err(|error| Failure::surroundings(&error))?;
    let mut picture = Picture::new(client.base_url(), system);
    let mut view = View::new(has_color);
    let mut taken = Taken::take()?;
    let mut news = pin!(unfold(Source::new(client.clone()), async |mut source| {
        let news = source.next().await;
        Some((news, source))
    }));
    let mut keys = EventStream::new();
    let mut tick = tokio::time::interval(TICK);
    let mut drawn_at: Option<Instant> = None;
    let mut is_new = true;
    loop {
        let rest = drawn_at.map_or(Duration::ZERO, |at| FRAME.saturating_sub(at.elapsed()));
        if is_new && rest.is_zero() {
            taken.draw(|frame| draw::all(frame, &picture, &mut view, now()))?;
            (is_new, drawn_at) = (false, Some(Instant::now()));
        }
        tokio::select! {
            Some(heard) = news.next() => {
                picture.hear(heard?, now());
                is_new |= !view.is_paused();
            }
            key = keys.next() => match key {
                Some(Ok(event)) => {
                    is_new = true;
                    if view.hear(&event, &picture) == Asked::End {
                        return Ok(Exit::Fine);
                    }
                }
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(Exit::Fine),
            },
            _ = stops.next() => return Ok(Exit::Fine),
            _ = tick.tick() => is_new = true,
            () = tokio::time::sleep(rest), if is_new => {}
        }
    }
}
