//! A whole run: the troubles, the calm after them, and what must be true in the end.

use std::path::Path;
use std::rc::Rc;
use std::sync::{Once, OnceLock};

use anyhow::{Context, Result};
use links::{LinkSettings, Links};
use store::OpenOptions;
use tempfile::TempDir;

use crate::chance;
use crate::check;
use crate::hive::{self, Life};
use crate::network::Line;
use crate::people;
use crate::script::Script;
use crate::world::{Ended, Figures, World};

/// How long after the troubles everything must have come to its end: leases, graces, backoffs and deadlines of a run are
/// shorter than two minutes.
const END_WITHIN_MS: u64 = 600_000;
/// How long it may take until every slot of every agent is used.
const FULL_WITHIN_MS: u64 = 60_000;

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    pub seed: u64,
    pub history: Vec<String>,
    pub breaches: Vec<String>,
    pub figures: Figures,
    /// How long it took by the world's time.
    pub took_us: u64,
}

/// Plays a seed on a thread of its own, whose chance follows from it.
pub fn play(seed: u64) -> Result<Played> {
    let folder = data_folder()?;
    let path = folder.path().to_owned();
    let template = template()?;
    quietly();
    std::fs::copy(template.path().join("hive.db"), path.join("hive.db")).context("the template")?;
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).spawn(move || {
        chance::play(seed);
        let links = LinkSettings { data_dir: path.clone(), guard: "/bin/false".into(), kill_grace_ms: 1_000 };
        let links = Links::open(links)?;
        live(seed, &path, &links)
    })?;
    match thread.join() {
        Ok(played) => played,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            anyhow::bail!("seed {seed}: the simulator panicked: {}", text.unwrap_or_default())
        }
    }
}

/// Panics of actors are planned, and told in the history.
fn quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !std::thread::current().name().is_some_and(|name| name.starts_with("seed ")) {
                tell(panic);
            }
        }));
    });
}

/// In memory where the system has such a place: what a disk does to the store is another test.
fn data_folder() -> Result<TempDir> {
    let shared_memory = Path::new("/dev/shm");
    let mut named = tempfile::Builder::new();
    let named = named.prefix("hive-simulation");
    let made = if shared_memory.is_dir() { named.tempdir_in(shared_memory) } else { named.tempdir() };
    made.or_else(|_| named.tempdir()).context("no folder for a database")
}

/// A database that is new, to be copied: migrating it each time would cost more than the run.
fn template() -> Result<&'static TempDir> {
    static TEMPLATE: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| {
        let make = || {
            let folder = data_folder()?;
            drop(store::open(&OpenOptions::new(folder.path()))?);
            anyhow::Ok(folder)
        };
        make().map_err(|error| format!("{error:#}"))
    });
    made.as_ref().map_err(|error| anyhow::anyhow!("no template: {error}"))
}

fn live(seed: u64, folder: &Path, links: &Links) -> Result<Played> {
    let world = World::new(Script::of(seed));
    world.note("script", format_args!("{:?}", world.script));
    people::populate(&world);
    world.spawn(look_after(Rc::clone(&world)));
    let until_us = (world.script.troubled_ms + END_WITHIN_MS + 2 * FULL_WITHIN_MS) * 1_000;
    let mut number = 1;
    loop {
        match hive::live(&world, &Life { folder, links, number, until_us })? {
            Ended::Crashed { down_ms } => {
                world.count(|figures| figures.crashes += 1);
                world.note("hive", format_args!("ends; down for {down_ms} ms"));
                let back_us = world.now_us() + down_ms * 1_000;
                while hive::rest(&world, back_us) != Ended::TimeUp && !world.has_breach() {}
            }
            Ended::TimeUp => {
                world.breach("it does not come to its end");
                break;
            }
            Ended::Done => break,
        }
        number += 1;
        if world.has_breach() {
            break;
        }
    }
    if !world.has_breach() {
        begin_once_more(&world, &Life { folder, links, number: number + 1, until_us: u64::MAX })?;
    }
    let took_us = world.now_us();
    world.dismiss();
    let (history, breaches) = world.story();
    Ok(Played { seed, history, breaches, figures: world.figures.get(), took_us })
}

/// Whoever begins after all that finds the same.
fn begin_once_more(world: &Rc<World>, life: &Life<'_>) -> Result<()> {
    let checker = Rc::clone(world);
    world.spawn(async move {
        checker.sleep(2_000).await;
        check::all(&checker).await;
        checker.end(Ended::Done);
    });
    hive::live(world, life)?;
    Ok(())
}

/// Ends the troubles and sees to it that everything comes to its end.
async fn look_after(world: Rc<World>) {
    world.sleep(world.script.troubled_ms).await;
    world.calm_down();
    // What was still on its way then has arrived by now.
    world.sleep(10_000).await;
    people::set_right(Rc::clone(&world)).await;
    let is_over = |world: &World| world.clients_left.get() == 0 && world.witness.borrow().open_count() == 0;
    if !within(&world, END_WITHIN_MS, is_over).await {
        return world.breach(check::what_is_open(&world));
    }
    let agents: Vec<_> = {
        let witness = world.witness.borrow();
        witness.agents.iter().map(|(id, agent)| (*id, agent.capacity)).collect()
    };
    let mut line = Line::new(&world, "landlord");
    world.hold(true);
    people::let_in(&mut line, agents.iter().map(|(_, capacity)| capacity).sum()).await;
    people::fill(&mut line, &agents).await;
    let is_full = |world: &World| {
        let witness = world.witness.borrow();
        agents.iter().all(|(agent, capacity)| witness.working(*agent) == *capacity)
    };
    if !within(&world, FULL_WITHIN_MS, is_full).await {
        return world.breach(format_args!("a slot is lost: {}", check::what_is_open(&world)));
    }
    world.hold(false);
    if !within(&world, FULL_WITHIN_MS, is_over).await {
        return world.breach(check::what_is_open(&world));
    }
    world.sleep(3_000).await;
    check::all(&world).await;
    world.end(Ended::Done);
}

/// Whether something becomes true within so long.
async fn within(world: &World, ms: u64, is_true: impl Fn(&World) -> bool) -> bool {
    let until_us = world.now_us() + ms * 1_000;
    while world.now_us() < until_us {
        if is_true(world) {
            return true;
        }
        world.sleep(200).await;
    }
    false
}
