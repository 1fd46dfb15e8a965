//! `hive demo`: a real hive in a throw-away folder, agents that work, and proof that what they did is right.
//!
//! ```text
//!   home (folder, scripts, papers) ── server (this program, as a child) ── client, the public API and nothing else
//!     submit tasks ── register agents ── follow events (display) ── audit (results recomputed, attempts read)
//!   server stopped ── nothing runs ── folder removed ── the verdict
//! ```
//!
//! Invariant: however it ends, the server is stopped before the folder goes, and both go before the command ends.
//!
//! Invariant: signals are heard before there is anything to clean up.
//!
//! Reading order: [`run`]; `home`, `server`, `traces`, `stops`; `shipped`, `roles`, `crew`; `follow`, `progress`,
//! `display`; `patience`; `audit`, `figures`, `words`.

mod audit;
mod crew;
mod display;
mod figures;
mod follow;
mod home;
mod patience;
mod progress;
mod roles;
mod server;
mod shipped;
mod traces;
mod words;

use std::path::Path;
use std::time::Instant;

use client::Client;

use self::audit::Audit;
use self::display::Display;
use self::home::Home;
use self::progress::Progress;
use self::server::Server;
use self::words::Summary;
use crate::cli::{Screen, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::stops::Stops;

/// Fewest agents: one of each role.
pub const AGENTS_MIN: u16 = 6;
/// Most agents: what a small machine bears, with a process each.
pub const AGENTS_MAX: u16 = 250;

/// What is wanted of a demo.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// How many agents, [`AGENTS_MIN`] to [`AGENTS_MAX`].
    pub agents: u16,
    /// Whether the folder stays.
    pub is_kept: bool,
}

/// How the work ended.
enum Ended {
    Audited(Audit),
    Failed(Failure),
    Stopped(&'static str),
}

/// Runs a demo to its end, and cleans up.
///
/// # Errors
/// A [`Failure`] when it could not be carried out; what it found wrong is no failure but [`Exit::TaskFailed`].
pub async fn run(wanted: Wanted, screen: &mut Screen) -> Result<Exit, Failure> {
    let began = Instant::now();
    let broken = |error: std::io::Error| Failure::surroundings(&error);
    let mut stops = Stops::listen().map_err(broken)?;
    let home = Home::make(wanted.is_kept)
        .map_err(|error| broken(error).hint("TMPDIR=PATH chooses another place for the folder"))?;
    let (ended, mut left) = with_server(wanted, &home, &mut stops, screen).await;
    let path = home.path().to_owned();
    let kept = home.is_kept().then_some(path.as_path());
    if let Err(error) = home.leave() {
        left.push(format!("the folder {} could not be removed: {error}", path.display()));
    }
    match ended {
        Ended::Audited(mut audit) => {
            audit.differences.extend(left);
            tell(&Summary { audit, wall: began.elapsed() }, kept, screen)
        }
        Ended::Failed(failure) => {
            tell_kept(&left, kept, screen);
            Err(failure)
        }
        Ended::Stopped(_) => {
            tell_kept(&left, kept, screen);
            Ok(Exit::Interrupted)
        }
    }
}

/// Starts the server, works, and stops it however that ended; answers what is in the way of a clean end, too.
async fn with_server(
    wanted: Wanted,
    home: &Home,
    stops: &mut Stops,
    screen: &mut Screen,
) -> (Ended, Vec<String>) {
    let laid_out = shipped::lay_out(home.path()).map_err(|error| Failure::surroundings(&error));
    let mut server = match laid_out.and_then(|()| Server::start(home.path())) {
        Ok(server) => server,
        Err(failure) => return (Ended::Failed(failure), Vec::new()),
    };
    let ended = tokio::select! {
        worked = work(wanted, home.path(), &mut server, screen) => match worked {
            Ok(audit) => Ended::Audited(audit),
            Err(failure) => Ended::Failed(server.explain(failure).await),
        },
        name = stops.next() => Ended::Stopped(name),
    };
    if let Ended::Stopped(name) = ended {
        screen.note(&format!("{name}: stopping the hive and cleaning up; once more does it at once"));
    }
    tokio::select! {
        stopped = server.stop() => (ended, in_the_way(&stopped).into_iter().collect()),
        // the server was dropped with its stop, which kills it
        _ = stops.next() => (ended, Vec::new()),
    }
}

/// Everything between the start of the server and its stop.
async fn work(
    wanted: Wanted,
    home: &Path,
    server: &mut Server,
    screen: &mut Screen,
) -> Result<Audit, Failure> {
    let members = crew::members(wanted.agents.into());
    let jobs = crew::jobs(&members);
    if !screen.is_json() {
        let stumbling = jobs.iter().filter(|(_, job)| job.stumbles).count();
        screen.line(&words::welcome(members.len(), jobs.len(), stumbling))?;
        screen.finish()?;
    }
    let client: Client = server.ready().await?;
    let given = crew::submit(&client, jobs).await?;
    let mut progress = Progress::new(&members, &given);
    let mut display = Display::begin(screen)?;
    let (agents, ()) = tokio::try_join!(
        crew::register(&client, home, &members),
        follow::until_done(&client, server, &mut progress, &mut display),
    )?;
    drop(display);
    audit::audit(&client, &given, &agents).await
}

fn in_the_way(stopped: &server::Stopped) -> Option<String> {
    let count = u64::try_from(stopped.killed).unwrap_or(u64::MAX);
    (count > 0).then(|| format!("{} did not end and had to be killed", counted(count, "process")))
}

fn tell(summary: &Summary, kept: Option<&Path>, screen: &mut Screen) -> Result<Exit, Failure> {
    let exit = if summary.is_right() { Exit::Fine } else { Exit::TaskFailed };
    if screen.is_json() {
        screen.line(&summary.json(kept).to_string())?;
        return Ok(exit);
    }
    screen.line("")?;
    screen.facts(&summary.facts(kept))?;
    if summary.is_right() {
        screen.line(words::FAREWELL)?;
        return Ok(exit);
    }
    let differences = &summary.audit.differences;
    let count = u64::try_from(differences.len()).unwrap_or(u64::MAX);
    screen.line(&format!("\n{}:", counted(count, "difference")))?;
    for difference in differences {
        screen.line(&format!("  {difference}"))?;
    }
    Ok(exit)
}

/// What is still there of a demo that did not come to its end.
fn tell_kept(left: &[String], kept: Option<&Path>, screen: &mut Screen) {
    for what in left {
        screen.note(what);
    }
    if let Some(path) = kept {
        screen.note(&format!("the folder stays at {}, with the hive's log in it", path.display()));
    }
}
