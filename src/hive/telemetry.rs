//! The log: text for people on a terminal, one JSON object a line everywhere else; always to stderr.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogSettings};

/// Starts logging for the whole process, and says whether it is text. A second call changes nothing, so that tests can
/// start many hives.
pub fn start(settings: &LogSettings) -> bool {
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match settings.format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    // the level was checked with the settings
    let filter: Targets = settings.level.parse().unwrap_or_default();
    let registry = tracing_subscriber::registry().with(filter);
    let started = if is_json {
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
        registry.with(layer).try_init()
    } else {
        let has_color = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let layer = tracing_subscriber::fmt::layer().with_ansi(has_color).with_writer(std::io::stderr);
        registry.with(layer).try_init()
    };
    // somebody else's subscriber (a test's) is as good
    drop(started);
    !is_json
}
