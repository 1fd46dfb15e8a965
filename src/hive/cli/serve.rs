//! `hive serve`: loads the settings and serves until somebody says stop.

use super::config::load;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::serve::{start, until_stopped};
use crate::settings::Flags;
use crate::telemetry;

/// Serves; comes back when it is over.
///
/// # Errors
/// A [`Failure`] when it cannot start, or did not end as it should.
pub fn run(flags: &Flags) -> Result<Exit, Failure> {
    let settings = load(flags)?;
    let is_text = telemetry::start(&settings.log);
    // the database beside the token is nobody else's business either
    links::umask::close();
    actix_rt::System::new().block_on(async {
        let running = start(settings).await?;
        until_stopped(running, is_text).await
    })
}
