//! `hive doctor`: what a hive needs, what is missing, what to do about it.

use clap::Args;
use serde_json::json;

use super::config::load;
use super::screen::Screen;
use super::words::one_line;
use super::{GlobalFlags, ServeFlags};
use crate::doctor::{Finding, Level, examine};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::DOCTOR)]
pub struct Doctor {
    #[command(flatten)]
    serve: ServeFlags,
}

impl Doctor {
    pub(super) fn run(self, common: &GlobalFlags) -> Result<Exit, Failure> {
        let found = match load(&self.serve.with_folder(common)) {
            Ok(settings) => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| Failure::surroundings(&error))?;
                runtime.block_on(examine(&settings))
            }
            // without settings nobody knows where to look at the rest
            Err(failure) => vec![
                Finding::problem("settings", failure.message)
                    .advise("`hive config show --default` prints every key with the reason for its value")
                    .exit(Exit::Usage),
            ],
        };
        show(&found, common.json)?;
        let first = found.iter().find(|finding| finding.level == Level::Problem);
        Ok(first.map_or(Exit::Fine, |finding| finding.exit))
    }
}

fn show(found: &[Finding], is_json: bool) -> Result<(), Failure> {
    let mut screen = Screen::of_process(is_json);
    let problems = found.iter().filter(|finding| finding.level == Level::Problem).count();
    if is_json {
        screen.line(&json!({ "problems": problems, "checks": found }).to_string())?;
    } else {
        for finding in found {
            let Finding { check, level, found, advice, .. } = finding;
            let advice = advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
            let line = format!("{:<8} {check:<9} {}", level.as_str(), one_line(&format!("{found}{advice}")));
            screen.line(&line)?;
        }
    }
    screen.finish()?;
    Ok(())
}
