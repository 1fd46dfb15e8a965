//! One life of the hive: its real store and its real actors on one thread, with the world's time.
//!
//! What is real: `domain`, `scheduling`, `supervision`, `store` on SQLite files, `feed` and `runtime`, as the program has
//! them. What is not: HTTP (calls go to [`RuntimeHandle`]), the writer's thread (this module takes its turns) and the
//! threads of readers (they read where they are asked).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::System;
use anyhow::{Context, Result};
use bytestring::ByteString;
use domain::Timestamp;
use feed::log::Encoded;
use feed::{Encode, FeedHandle};
use links::Links;
use runtime::{Parts, Runtime, RuntimeHandle, RuntimeSettings};
use store::{Clock, OpenOptions, Readers, Store, Threads, Turn};
use supervision::{Home, Registry};

use crate::chance::Chance;
use crate::disk::Disk;
use crate::world::{Ended, World};

/// When the world begins, by a wall clock that is right: 2026-06-01.
const BEGIN_US: i64 = 1_780_272_000_000_000;
/// How long a writer that died is left alone, and one whose database went away.
const AGAIN: Duration = Duration::from_millis(60);

/// A hive that is up.
pub struct Hive {
    pub handle: RuntimeHandle,
    pub readers: Readers,
    pub feed: FeedHandle,
    pub registry: Registry,
    runtime: Runtime,
    store: Store,
}

impl Hive {
    /// Whether a task has an actor.
    pub fn running(&self) -> u64 {
        self.handle.running_attempts()
    }
}

/// The wire form of events is not looked at.
fn encode() -> Encode {
    Arc::new(|_, _| Encoded { frame: ByteString::new(), event: 0..0 })
}

/// A projection that knows nothing yet.
pub fn empty_feed() -> FeedHandle {
    FeedHandle::new(encode())
}

/// How a life of the hive is to be spent.
pub struct Life<'a> {
    pub folder: &'a Path,
    pub links: &'a Links,
    /// Which life it is.
    pub number: u64,
    /// When it ends, if nothing else ends it.
    pub until_us: u64,
}

/// Lets the hive live until the period ends.
pub fn live(world: &Rc<World>, life: &Life<'_>) -> Result<Ended> {
    let system = System::with_tokio_rt(paused);
    let ended = system.block_on(async {
        world.begin_period();
        let store = open(world, life.folder)?;
        let hand = store.writer_loop.clone();
        let ended = match begin(world, store, life).await {
            Ok(hive) => {
                world.set_hive(Some(hive));
                world.note("hive", format_args!("life {} begins", life.number));
                watch(world);
                world.live(life.until_us).await
            }
            Err(error) if world.is_ending() => {
                world.note("hive", format_args!("died while it began: {error:#}"));
                world.live(0).await
            }
            Err(error) => {
                world.note("hive", format_args!("did not begin: {error:#}"));
                world.end_period();
                Ended::Crashed { down_ms: 100 }
            }
        };
        // The loop's listener knows the actors, and they the loop.
        hand.on_commit(Box::new(|_| {}));
        hand.on_reopen(Box::new(|| {}));
        anyhow::Ok(ended)
    });
    world.set_hive(None);
    drop(system);
    ended
}

/// The process ends when its root supervisor gives up.
fn watch(world: &Rc<World>) {
    let (world, hive) = (Rc::clone(world), world.hive());
    tokio::task::spawn_local(async move {
        if let Some(hive) = hive {
            let failure = hive.failed().await;
            world.note("hive", format_args!("gives up: {failure}"));
            world.end(Ended::Crashed { down_ms: 1_000 });
        }
    });
}

/// Lets the world live without a hive.
pub fn rest(world: &Rc<World>, until_us: u64) -> Ended {
    let system = System::with_tokio_rt(paused);
    system.block_on(async {
        world.begin_period();
        world.live(until_us).await
    })
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of this thread asks the system for nothing")
}

fn open(world: &Rc<World>, folder: &Path) -> Result<Store> {
    let passed = i64::try_from(world.now_us())? + world.wall_offset_ms.get() * 1_000;
    let clock = Clock::running_from(Timestamp::from_micros(BEGIN_US + passed));
    let options =
        OpenOptions { threads: Threads::Callers, reader_connections: 1, ..OpenOptions::new(folder) };
    store::open_at(&options, clock).context("the store does not open")
}

async fn begin(world: &Rc<World>, store: Store, life: &Life<'_>) -> Result<Hive> {
    let chance = Chance::of(world.script.seed, &format!("writer {}", life.number));
    let writing = write(Rc::clone(world), store.writer_loop.clone(), store.writer.clone(), chance);
    tokio::task::spawn_local(writing);
    let registry = Registry::new();
    let metrics = prometheus::Registry::new();
    let home = Home::current("core").context("no arbiter")?;
    let script = &world.script;
    let settings = RuntimeSettings {
        lease_ttl_ms: script.lease_ttl_ms,
        cancel_grace_ms: script.cancel_grace_ms,
        offline_after_ms: 20_000,
        stalled_after_ms: 40_000,
        ..RuntimeSettings::default()
    };
    let parts = Parts {
        store: &store,
        node: 0,
        settings,
        registry: &registry,
        metrics: &metrics,
        links: life.links.clone(),
        home: &home,
        encode: encode(),
    };
    let died = async {
        while !world.is_ending() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let runtime = tokio::select! {
        biased;
        () = died => anyhow::bail!("the process ended"),
        started = Runtime::start(parts) => started?,
    };
    let (handle, feed) = (runtime.handle.clone(), runtime.feed.clone());
    let hive = Hive { handle, readers: store.readers.clone(), feed, registry, runtime, store };
    Ok(hive)
}

/// Takes the writer's turns, as its thread would.
async fn write(
    world: Rc<World>,
    writer_loop: store::WriterLoop,
    queue: store::WriterHandle,
    mut chance: Chance,
) {
    loop {
        let Ok(writer) = writer_loop.open() else {
            world.note("writer", "the database does not open");
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let mut disk = Disk::new(writer, Rc::clone(&world), chance.clone());
        loop {
            let pause_ms = wait_ms(&world, &mut chance, queue.depth());
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            if world.is_ending() || queue.depth() == 0 {
                continue;
            }
            match catch_unwind(AssertUnwindSafe(|| writer_loop.turn(&mut disk))) {
                Ok(Turn::Idle | Turn::Committed) => {}
                Ok(Turn::OutOfReach) | Err(_) => break,
            }
        }
        drop(disk);
        chance.next();
        tokio::time::sleep(AGAIN).await;
        world.note("writer", "begins anew");
    }
}

/// How long what waits in the writer's queue goes on waiting.
fn wait_ms(world: &World, chance: &mut Chance, depth: usize) -> u64 {
    let most = world.script.writer.delay_ms;
    if depth > 0 && !world.is_calm() && chance.once_in_a_while(world.script.writer.stalls) {
        world.note("writer", "stalls");
        return chance.between(500, 2_500);
    }
    chance.between(1, most)
}

impl Hive {
    /// Runs a checkpoint of the write-ahead log, as its thread does each second.
    pub fn checkpoint(&self) {
        self.store.checkpoint_loop.tick();
    }

    /// Comes back when the root supervisor has given up.
    pub async fn failed(&self) -> supervision::RootFailure {
        self.runtime.failed().await
    }
}
