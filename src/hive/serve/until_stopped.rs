//! The life of a served hive: the banner, then until a signal or a failure.

use std::io::IsTerminal;

use actix_rt::signal::unix::{Signal, SignalKind, signal};

use super::Running;
use super::banner::Banner;
use crate::exit::Exit;
use crate::failure::Failure;

/// Serves until SIGTERM or Ctrl-C, then drains; a second signal ends the process at once.
///
/// # Errors
/// A [`Failure`] when the hive cannot go on.
pub async fn until_stopped(mut running: Running, is_text: bool) -> Result<Exit, Failure> {
    let mut stops = Stops::new().map_err(|error| Failure::surroundings(&error))?;
    let program = std::env::args().next().unwrap_or_else(|| "hive".to_owned());
    let is_terminal = is_text && std::io::stderr().is_terminal();
    announce(&Banner::of(&running, &program, is_terminal), is_text);
    let name = tokio::select! {
        name = stops.next() => name,
        failure = running.failed() => {
            tracing::error!(error = %failure, "the hive cannot go on");
            running.give_up().await;
            return Err(failure.hint("what was acknowledged is stored; start it again"));
        }
    };
    tell_drain(&running, name, is_text);
    tokio::select! {
        report = running.shutdown() => {
            if !report.late.is_empty() {
                tracing::warn!(actors = ?report.late, "did not stop in time; what they had under way was dropped");
            }
            tell("the hive has stopped; everything it acknowledged is stored", is_text);
            Ok(Exit::Fine)
        }
        name = stops.next() => {
            tell(&format!("{name} again: ending at once"), is_text);
            // nothing that was acknowledged depends on an orderly end; waiting for threads would be waiting again
            std::process::exit(Exit::Interrupted.code().into())
        }
    }
}

/// Signals that ask for an end.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

fn announce(banner: &Banner, is_text: bool) {
    if is_text {
        tell(&banner.text(), true);
    } else {
        let Banner { folder, found, url, token_file, .. } = banner;
        tracing::info!(data_dir = folder, data = found, url, token_file, "the hive serves");
    }
}

fn tell_drain(running: &Running, signal: &str, is_text: bool) {
    let working = running.feed.read(|projection| projection.totals().working);
    let wait_s = running.settings().drain_timeout.as_secs();
    if !is_text {
        tracing::info!(signal, wait_s, working_tasks = working, "draining");
        return;
    }
    let mut text = format!(
        "\n{signal}: no new work goes out. Waiting up to {wait_s} s for requests under way; Ctrl-C again ends at once."
    );
    if working > 0 {
        let tasks = crate::cli::counted(working, "task");
        text = format!("{text}\n{tasks} at work: their agents may report when the hive is back.");
    }
    tell(&text, true);
}

fn tell(text: &str, is_text: bool) {
    use std::io::Write;
    if is_text {
        // when the terminal is gone there is nobody left to read it
        let _ = writeln!(std::io::stderr(), "{text}");
    } else {
        tracing::info!("{text}");
    }
}
