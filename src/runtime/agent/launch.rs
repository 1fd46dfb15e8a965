//! A process agent takes what it may: each assignment goes to its task's actor, which starts the process. An agent whose
//! processes cannot be started pauses, so that it does not use up the attempts of everything that waits.

use std::time::Duration;

use supervision::{Context, Handle, Reply};
use tokio::time::Instant;

use super::{AgentActor, LeaseGrant, OfferDue};
use crate::shared::Phase;
use crate::task::Launch;

/// How long it pauses after the first failure to start; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How starting processes went.
#[derive(Debug, Default)]
pub(crate) struct Launching {
    failures: u32,
    paused_until: Option<Instant>,
}

impl Launching {
    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// One more attempt has ended; answers how long to pause from now.
    fn note(&mut self, is_failure: bool, now: Instant) -> Option<Duration> {
        if self.is_paused(now) {
            // Those that were under way together fail together, and count once; one that started before tells nothing.
            return None;
        }
        if !is_failure {
            *self = Self::default();
            return None;
        }
        let pause = PAUSE_MIN.saturating_mul(1_u32 << self.failures.min(6)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.paused_until = Some(now + pause);
        Some(pause)
    }
}

/// An attempt of this agent has ended.
pub struct LaunchEnded {
    /// Whether its process could not be started at all.
    pub is_failure: bool,
}

impl actix::Message for LaunchEnded {
    type Result = ();
}

impl Handle<LaunchEnded> for AgentActor {
    fn handle(&mut self, message: LaunchEnded, cx: &mut Context<Self>) -> Reply<()> {
        let pause = self.launching.note(message.is_failure, Instant::now());
        if let Some(pause) = pause {
            let (name, pause_ms) = (&self.agent.asked.name, pause.as_millis());
            tracing::warn!(agent.id = %self.agent.id, agent.name = %name, pause_ms, "an agent's process could not be started; it pauses");
            self.offer(cx);
            cx.notify_later(OfferDue, pause);
        }
        Reply::Now(())
    }
}

impl AgentActor {
    /// How many processes it may have running, as far as it depends on the agent.
    pub(crate) fn launchable(&self) -> u32 {
        let rests = self.agent.is_draining || self.launching.is_paused(Instant::now());
        if rests { 0 } else { self.agent.asked.capacity }
    }

    /// Hands each assignment to its task's actor; what none takes goes back. Answers whether all were taken.
    pub(crate) fn launch(&self, grant: LeaseGrant) -> bool {
        let is_serving = self.shared.phase() == Phase::Serving;
        let Some(link) = self.agent.asked.link.process().filter(|_| is_serving) else {
            return grant.launch(|_| false);
        };
        grant.launch(|claimed| {
            let Some(actor) = self.shared.board.actor(claimed.task, claimed.attempt) else { return false };
            let launch = Launch {
                claimed: Box::new(claimed.clone()),
                agent_name: self.agent.asked.name.clone(),
                link: Box::new(link.clone()),
            };
            actor.tell(launch).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_the_first_start_that_works() {
        let (mut launching, mut now) = (Launching::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = launching.note(true, now).unwrap();
            assert!(launching.is_paused(now));
            assert_eq!(launching.note(true, now), None, "those that fail meanwhile count once");
            pauses.push(pause.as_secs());
            now += pause;
            assert!(!launching.is_paused(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(launching.note(true, now), Some(PAUSE_MAX));
        assert_eq!(launching.note(false, now), None);
        assert!(launching.is_paused(now), "the end of one that had started before ends no pause");
        now += PAUSE_MAX;
        assert_eq!(launching.note(false, now), None);
        assert_eq!(launching.note(true, now), Some(PAUSE_MIN));
    }
}
