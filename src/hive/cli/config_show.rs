//! `hive config show`: every setting, its value and where it comes from.

use clap::Args;
use serde_json::json;

use super::config::load;
use super::screen::Screen;
use super::table::{Table, Tone, text, toned};
use super::{GlobalFlags, ServeFlags};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::{DEFAULT_TOML, Source};

/// The flags.
#[derive(Debug, Args)]
pub struct ConfigShow {
    #[command(flatten)]
    serve: ServeFlags,
    /// Print the built-in settings with their reasons, to begin a file with
    #[arg(long)]
    default: bool,
}

impl ConfigShow {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        let mut screen = Screen::of_process(common.json);
        if self.default {
            screen.raw(DEFAULT_TOML)?;
            screen.finish()?;
            return Ok(Exit::Fine);
        }
        let settings = load(&self.serve.with_folder(common))?;
        if screen.is_json() {
            let shown = settings.shown.iter().map(|shown| {
                // what was checked is a number or a text, and both are JSON
                let value = serde_json::from_str(&shown.value).unwrap_or_else(|_| json!(shown.value));
                (shown.key.to_owned(), json!({ "value": value, "source": shown.source.to_string() }))
            });
            let shown: serde_json::Map<_, serde_json::Value> = shown.collect();
            screen.line(&serde_json::Value::Object(shown).to_string())?;
        } else {
            let mut table = Table::new(&["KEY", "VALUE", "SOURCE"], "SOURCE");
            for shown in &settings.shown {
                let tone = if shown.source == Source::Default { Tone::Dim } else { Tone::Good };
                table.row([text(shown.key), text(&shown.value), toned(shown.source.to_string(), tone)]);
            }
            screen.table(&table)?;
        }
        screen.finish()?;
        Ok(Exit::Fine)
    }
}
