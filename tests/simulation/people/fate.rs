//! Fate: ends the hive's process at any moment, sets its wall clock, and makes single actors panic.

use std::rc::Rc;

use supervision::{Fault, SnapshotFilter};

use crate::network::Line;
use crate::world::{Ended, World};

/// An hour, by which wall clocks jump at most.
const HOUR_MS: u64 = 3_600_000;

/// Begins to strike, as the script says.
pub fn begin(world: &Rc<World>) {
    if let Some(every_ms) = world.script.crash_ms {
        world.spawn(crash(Line::new(world, "crash"), every_ms));
    }
    if let Some(every_ms) = world.script.panic_ms {
        world.spawn(panic(Line::new(world, "panic"), every_ms));
    }
    let (keeper, mut line) = (Rc::clone(world), Line::new(world, "wal"));
    world.spawn(async move {
        while !keeper.has_breach() {
            line.idle(500, 5_000).await;
            if let Some(hive) = keeper.hive() {
                hive.checkpoint();
            }
        }
    });
}

async fn crash(mut line: Line, every_ms: u64) {
    loop {
        line.idle(every_ms / 4, every_ms).await;
        if line.world.is_calm() || line.world.has_breach() {
            return;
        }
        if line.world.script.has_jumping_clock {
            let off = line.chance.between(0, 2 * HOUR_MS);
            line.world
                .wall_offset_ms
                .set(i64::try_from(off).unwrap_or(0) - i64::try_from(HOUR_MS).unwrap_or(0));
        }
        let down_ms = line.chance.between(10, 20_000);
        line.world.end(Ended::Crashed { down_ms });
        // Until the next life has begun.
        line.world.sleep(1).await;
    }
}

async fn panic(mut line: Line, every_ms: u64) {
    loop {
        line.idle(every_ms / 4, every_ms).await;
        if line.world.is_calm() || line.world.has_breach() {
            return;
        }
        let Some(hive) = line.world.hive() else { continue };
        let actors = hive.registry.snapshot(&SnapshotFilter::default());
        let Some(actor) = line.chance.pick(&actors) else { continue };
        let fault =
            if line.chance.once_in_a_while(700) { Fault::PanicInHandler } else { Fault::PanicInFuture };
        // The root's own end is the process's, which is the other fate.
        if actor.path.as_ref() != "hive" {
            line.world.count(|figures| figures.faults += 1);
            line.world.note("panic", format_args!("{} {fault:?}", actor.path));
            let is_next = line.chance.once_in_a_while(500);
            let _ = if is_next {
                hive.registry.inject_at_next_message(&actor.path, fault)
            } else {
                hive.registry.inject(&actor.path, fault)
            };
        }
    }
}
