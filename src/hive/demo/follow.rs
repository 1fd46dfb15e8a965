//! Watches the hive's log until all tasks of a demo have ended.

use std::time::{Duration, Instant};

use client::Client;
use protocol::page::LIMIT_MAX;
use protocol::query::EventQuery;

use super::display::Display;
use super::patience::patiently;
use super::progress::Progress;
use super::server::Server;
use crate::exit::Exit;
use crate::failure::Failure;

/// From one look into the log to the next.
const BEAT: Duration = Duration::from_millis(50);
/// How long nothing may happen: longer than one attempt may take.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// Follows until all have ended, and shows how far it is.
///
/// # Errors
/// A [`Failure`] when the hive goes away, or when nothing happens any more.
pub async fn until_done(
    client: &Client,
    server: &mut Server,
    progress: &mut Progress,
    display: &mut Display<'_>,
) -> Result<(), Failure> {
    let (mut after, mut heard_at) = (0, Instant::now());
    display.show(progress)?;
    loop {
        server.check()?;
        let query = EventQuery { after: Some(after), limit: Some(LIMIT_MAX), cursor: None };
        let page = patiently(async || client.events(&query).await).await?;
        for event in &page.items {
            progress.fold(event);
            after = event.seq;
            heard_at = Instant::now();
        }
        let has_more = page.items.len() >= usize::try_from(LIMIT_MAX).unwrap_or(usize::MAX);
        if has_more {
            continue;
        }
        display.show(progress)?;
        if progress.sum().is_over() {
            return Ok(());
        }
        if heard_at.elapsed() > SILENCE_MAX {
            let sum = progress.sum();
            let left = sum.tasks.saturating_sub(sum.done + sum.lost);
            return Err(Failure::new(
                Exit::Internal,
                format!("nothing happens any more, and {left} tasks are open"),
            ));
        }
        tokio::time::sleep(BEAT).await;
    }
}
