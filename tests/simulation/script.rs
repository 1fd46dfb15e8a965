//! What a seed means: how many people there are, what they want, and what goes wrong how often.
//!
//! Each seed switches some troubles off altogether and turns others up (swarm testing: Groce et al., ISSTA 2012), so that
//! no trouble hides another one's consequences in every run.

use crate::chance::Chance;

/// See the module. Rates are in a thousand.
#[derive(Debug, Clone)]
pub struct Script {
    pub seed: u64,
    pub clients: u64,
    pub agents: u64,
    pub workers_of_agent: u64,
    pub capacity: u32,
    /// Most tasks of the first queue that may work at a time.
    pub limit: Option<u32>,
    pub tasks_of_client: u64,
    /// How long a client waits between its tasks, at most.
    pub think_ms: u64,
    /// How long the troubles go on.
    pub troubled_ms: u64,
    pub lease_ttl_ms: u64,
    pub cancel_grace_ms: u64,
    /// How long an attempt works, at most.
    pub work_ms: u64,
    pub network: Network,
    pub writer: Writer,
    pub worker: Worker,
    /// How long between two acts of the operator, at most; `None` without one.
    pub operator_ms: Option<u64>,
    /// How long between two strokes of fate, at most; `None` without any.
    pub crash_ms: Option<u64>,
    pub panic_ms: Option<u64>,
    pub has_jumping_clock: bool,
}

#[derive(Debug, Clone)]
pub struct Network {
    /// How long a message is under way, at most.
    pub delay_ms: u64,
    pub loses: u64,
    pub doubles: u64,
}

#[derive(Debug, Clone)]
pub struct Writer {
    /// How long a batch waits, at most.
    pub delay_ms: u64,
    /// Of a thousand batches, those that wait ten times as long as a caller does.
    pub stalls: u64,
    pub fails: u64,
    pub fails_after_commit: u64,
    pub panics: u64,
    pub panics_after_commit: u64,
    pub crashes_before_commit: u64,
    pub crashes_after_commit: u64,
}

#[derive(Debug, Clone)]
pub struct Worker {
    pub fails: u64,
    pub gives_up: u64,
    pub vanishes: u64,
    pub pauses: u64,
    pub dies: u64,
    pub hangs_up: u64,
}

impl Script {
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::of(seed, "script");
        let mut rate = {
            let mut chance = Chance::of(seed, "rates");
            move |most: u64| if chance.once_in_a_while(500) { chance.between(1, most) } else { 0 }
        };
        let network = Network { delay_ms: chance.between(1, 60), loses: rate(120), doubles: rate(120) };
        let writer = Writer {
            delay_ms: chance.between(2, 12),
            stalls: rate(20),
            fails: rate(30),
            fails_after_commit: rate(30),
            panics: rate(10),
            panics_after_commit: rate(10),
            crashes_before_commit: rate(10),
            crashes_after_commit: rate(15),
        };
        let worker = Worker {
            fails: rate(300),
            gives_up: rate(80),
            vanishes: rate(150),
            pauses: rate(200),
            dies: rate(60),
            hangs_up: rate(150),
        };
        let mut every = |most: u64| chance.once_in_a_while(600).then(|| chance.between(1_000, most));
        let (operator_ms, crash_ms, panic_ms) = (every(12_000), every(40_000), every(20_000));
        Self {
            seed,
            clients: chance.between(1, 3),
            agents: chance.between(1, 3),
            workers_of_agent: chance.between(1, 2),
            capacity: u32::try_from(chance.between(1, 4)).unwrap_or(1),
            limit: chance.once_in_a_while(400).then(|| u32::try_from(chance.between(1, 3)).unwrap_or(1)),
            tasks_of_client: chance.between(4, 16),
            think_ms: chance.between(50, 6_000),
            troubled_ms: chance.between(10_000, 60_000),
            lease_ttl_ms: chance.between(2_000, 9_000),
            cancel_grace_ms: chance.between(1_000, 6_000),
            work_ms: chance.between(200, 12_000),
            network,
            writer,
            worker,
            operator_ms,
            crash_ms,
            panic_ms,
            has_jumping_clock: chance.once_in_a_while(300),
        }
    }
}
