//! What lies between people and the hive: messages are late, get lost on either way, or arrive twice.

use std::rc::Rc;

use runtime::{Error, RuntimeHandle};
use tokio::sync::oneshot;

use crate::chance::Chance;
use crate::world::World;

/// How long somebody waits for an answer that does not come.
const PATIENCE_MS: u64 = 5_000;

/// What came of a call.
pub type Answer<T> = Result<T, Unanswered>;

/// A call brought no answer that counts: the request was lost, the answer was, the hive went down, or it said that it did
/// not do it or does not know. Who calls cannot tell which.
#[derive(Debug)]
pub struct Unanswered;

/// One who calls the hive.
pub struct Line {
    pub world: Rc<World>,
    pub who: String,
    pub chance: Chance,
}

impl Line {
    pub fn new(world: &Rc<World>, who: impl Into<String>) -> Self {
        let who = who.into();
        let chance = Chance::of(world.script.seed, &who);
        Self { world: Rc::clone(world), who, chance }
    }

    /// Calls the hive once. `ask` may be carried out twice.
    pub async fn call<T, F>(
        &mut self,
        what: &str,
        hang_up_ms: Option<u64>,
        ask: impl Fn(RuntimeHandle) -> F + 'static,
    ) -> Answer<T>
    where
        T: std::fmt::Debug + 'static,
        F: Future<Output = Result<T, Error>> + 'static,
    {
        let world = Rc::clone(&self.world);
        world.count(|figures| figures.calls += 1);
        let network = world.script.network.clone();
        let delays = [0, 1, 2].map(|_| self.chance.between(0, network.delay_ms));
        let throws = [network.loses / 2, network.loses / 2, network.doubles]
            .map(|permille| self.chance.once_in_a_while(permille) && !world.is_calm());
        let [is_lost, is_answer_lost, is_doubled] = throws;
        world.sleep(delays[0]).await;
        if is_lost {
            world.note(&self.who, format_args!("{what}: the request is lost"));
            world.sleep(PATIENCE_MS).await;
            return Err(Unanswered);
        }
        let Some(hive) = world.hive() else {
            world.note(&self.who, format_args!("{what}: nobody there"));
            return Err(Unanswered);
        };
        let handle = hive.handle.clone();
        drop(hive);
        let told = carry_out(&world, ask(handle.clone()), hang_up_ms);
        if is_doubled {
            world.note(&self.who, format_args!("{what}: arrives twice"));
            let (second, delay_ms) = (ask(handle), delays[2] * 10);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
                let _ = second.await;
            });
        }
        let answer = told.await;
        world.sleep(delays[1]).await;
        match answer {
            Err(_) => {
                world.note(&self.who, format_args!("{what}: the connection breaks"));
                Err(Unanswered)
            }
            Ok(answer) if is_answer_lost => {
                world.note(&self.who, format_args!("{what}: the answer is lost: {}", brief(&answer)));
                world.sleep(PATIENCE_MS).await;
                Err(Unanswered)
            }
            Ok(answer) => {
                world.note(&self.who, format_args!("{what}: {}", brief(&answer)));
                answer.map_err(|_| Unanswered)
            }
        }
    }

    /// Waits a moment that chance chooses, up to so long.
    pub async fn idle(&mut self, least_ms: u64, most_ms: u64) {
        let ms = self.chance.between(least_ms, most_ms.max(least_ms));
        self.world.sleep(ms).await;
    }
}

/// Lets the hive answer a request; whoever asks may hang up meanwhile.
fn carry_out<T: 'static>(
    world: &Rc<World>,
    request: impl Future<Output = T> + 'static,
    hang_up_ms: Option<u64>,
) -> oneshot::Receiver<T> {
    let (tell, told) = oneshot::channel();
    let inside = Rc::clone(world);
    let call = tokio::task::spawn_local(async move {
        let answer = request.await;
        // Once the process has ended, no answer leaves it.
        if !inside.is_ending() {
            let _ = tell.send(answer);
        }
    });
    if let Some(after_ms) = hang_up_ms {
        let (call, outside) = (call.abort_handle(), Rc::clone(world));
        world.spawn(async move {
            outside.sleep(after_ms).await;
            call.abort();
        });
    }
    told
}

/// An answer in one line.
fn brief(answer: &impl std::fmt::Debug) -> String {
    format!("{answer:?}").chars().take(160).collect()
}
