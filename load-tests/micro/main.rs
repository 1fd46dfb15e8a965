//! What the hot paths cost in instructions: `micro CASE` takes one of them often enough to be counted, on inputs that never
//! change; `micro` alone names the cases. `.ci/gate` runs each under callgrind and compares the counts.
//!
//! Invariant: what is counted follows from the code and these inputs alone: no clock, no chance ([`chance`]), one thread.

mod chance;
mod event_frame;
mod plan;
mod submit_body;
mod transition;
mod writer_batch;

use anyhow::{Context, Result};

/// One time through a case; fails where the outcome is not the one that is to be measured.
type Round = Box<dyn FnMut() -> Result<()>>;

/// A hot path.
struct Case {
    name: &'static str,
    /// How often it is taken before anything is counted: caches, statements and metrics are there then.
    warm_up: u32,
    /// How often it is taken while it is counted.
    rounds: u32,
    prepare: fn() -> Result<Round>,
}

const CASES: [Case; 5] = [
    Case { name: "transition", warm_up: 10, rounds: 3_000, prepare: transition::prepare },
    Case { name: "plan", warm_up: 5, rounds: 100, prepare: plan::prepare },
    Case { name: "event_frame", warm_up: 10, rounds: 200, prepare: event_frame::prepare },
    Case { name: "submit_body", warm_up: 10, rounds: 500, prepare: submit_body::prepare },
    Case { name: "writer_batch", warm_up: 8, rounds: 8, prepare: writer_batch::prepare },
];

fn main() -> Result<()> {
    let Some(name) = std::env::args().nth(1) else {
        CASES.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    };
    let case = CASES.iter().find(|case| case.name == name);
    let case = case.with_context(|| format!("there is no case {name}; `micro` alone names them"))?;
    let mut round = (case.prepare)()?;
    for _ in 0..case.warm_up {
        round()?;
    }
    counted(&mut *round, case.rounds)
}

/// Callgrind counts in here and in what is called from here, and nowhere else: `.ci/gate` names this function.
#[inline(never)]
fn counted(round: &mut dyn FnMut() -> Result<()>, rounds: u32) -> Result<()> {
    for _ in 0..rounds {
        round()?;
    }
    Ok(())
}
