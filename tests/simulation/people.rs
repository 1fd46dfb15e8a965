//! Who lives outside the hive: clients, workers, an operator, and fate.

mod client;
mod fate;
mod operator;
mod worker;

use std::rc::Rc;
use std::sync::Arc;

use domain::{AgentId, Labels, Link, Name, NewAgent, TenantId};
use runtime::Caller;
use store::command::IdempotencyKey;
use store::outcome::Registered;

use crate::network::Line;
use crate::world::World;

pub use client::fill;
pub use operator::{let_in, set_right};
pub use worker::serve;

/// The queues there are; the first may have a limit.
pub const QUEUES: [&str; 2] = ["default", "night"];
/// What some agents are capable of and some tasks require.
pub const SKILL: &str = "rust";
/// Longer than any run.
const KEY_TTL_MS: u64 = 7 * 24 * 3_600 * 1_000;

pub fn name(word: &str) -> Name {
    word.parse().expect("a word of this file is a name")
}

fn caller(who: &str) -> Caller {
    Caller {
        tenant: TenantId::DEFAULT,
        principal: Arc::from(who),
        agent: None,
        correlation_id: Arc::from(who),
    }
}

/// A key as the layer above hashes it, only shorter.
fn key(words: &str, body: u8) -> IdempotencyKey {
    let mut hash = [0; 32];
    for (place, byte) in words.bytes().enumerate() {
        hash[place % 32] ^= byte.rotate_left(u32::try_from(place / 32).unwrap_or(0));
    }
    IdempotencyKey { hash, fingerprint: [body; 32], ttl_ms: KEY_TTL_MS }
}

/// Everybody of a run begins to live.
pub fn populate(world: &Rc<World>) {
    let begin = Rc::clone(world);
    world.spawn(async move {
        let mut agents = Vec::new();
        for number in 0..begin.script.agents {
            agents.push(register(&begin, number).await);
        }
        operator::limit(&begin).await;
        for (number, agent) in agents.iter().enumerate() {
            for worker in 0..begin.script.workers_of_agent {
                begin.spawn(serve(Line::new(&begin, format!("worker {number}.{worker}")), *agent));
            }
        }
        for number in 0..begin.script.clients {
            begin.spawn(client::live(Line::new(&begin, format!("client {number}")), agents.clone()));
        }
        if begin.script.operator_ms.is_some() {
            begin.spawn(operator::live(Line::new(&begin, operator::OPERATOR), agents));
        }
        fate::begin(&begin);
    });
}

/// Registers an agent, again and again until that is answered.
async fn register(world: &Rc<World>, number: u64) -> AgentId {
    let who = format!("agent {number}");
    let mut line = Line::new(world, &who);
    let asked = NewAgent {
        name: name(&format!("agent-{number}")),
        role: name("worker"),
        capabilities: if number == 0 { [name(SKILL)].into() } else { [].into() },
        capacity: world.script.capacity,
        labels: Labels::new(),
        link: Link::Worker,
    };
    loop {
        let (asked, caller, key) = (asked.clone(), caller(&who), key(&who, 1));
        let ask = move |hive: runtime::RuntimeHandle| {
            let (asked, caller) = (asked.clone(), caller.clone());
            async move { hive.register_agent(&caller, asked, Some(key)).await }
        };
        match line.call("register", None, ask).await {
            Ok(Registered::Accepted(agent) | Registered::Replayed(agent)) => return agent.id,
            Ok(other) => world.breach(format_args!("{who} is refused: {other:?}")),
            Err(_) => {}
        }
        line.idle(100, 1_000).await;
    }
}
