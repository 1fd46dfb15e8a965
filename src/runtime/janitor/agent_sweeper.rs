//! The janitor that watches agents: who shows no sign of life is offline, who shows no progress is stalled.

use std::time::Duration;

use domain::{AgentId, Health, Timestamp};
use store::command::{AgentEdit, ChangeAgent};
use supervision::{ActorRef, Behaviour, Context, Handle, Reply};

use super::{Tick, apply};
use crate::caller::Caller;
use crate::coordinator::{Coordinator, RefreshAgent};
use crate::directory::Seat;
use crate::settings::RuntimeSettings;
use crate::shared::{Phase, SharedRef};

/// How often it looks at all agents; in memory.
const INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
pub struct AgentSweeper {
    shared: SharedRef,
    coordinator: ActorRef<Coordinator>,
    /// Since when it watches: before a full span has passed, silence means nothing.
    since: Timestamp,
}

impl AgentSweeper {
    /// One that begins to watch now.
    #[must_use]
    pub fn new(shared: SharedRef, coordinator: ActorRef<Coordinator>) -> Self {
        let since = shared.clock.now();
        Self { shared, coordinator, since }
    }

    fn note(&self, seat: &Seat, health: Health, cx: &mut Context<Self>) {
        let agent: AgentId = seat.agent.id;
        tracing::info!(agent.id = %agent, agent.name = %seat.agent.asked.name, ?health, "an agent is doing differently");
        let command = ChangeAgent {
            tenant: seat.agent.tenant,
            agent,
            change: AgentEdit::Observe(health),
            correlation_id: Caller::hive().correlation_id,
        };
        // When this fails, the next look finds the same.
        cx.spawn(apply(self.coordinator.clone(), command), |_, _, _| {});
    }
}

/// What the signs say; `None` keeps what is noted.
fn observed(
    noted: Health,
    (seen_at, progress_at): (Option<Timestamp>, Option<Timestamp>),
    is_working: bool,
    (since, now): (Timestamp, Timestamp),
    settings: &RuntimeSettings,
) -> Option<Health> {
    let silent_ms = now.ms_since(seen_at.unwrap_or(since).max(since));
    let idle_ms = now.ms_since(progress_at.unwrap_or(since).max(since));
    let health = match noted {
        // Only a restart by an operator mends a failed actor.
        Health::Failed => Health::Failed,
        _ if silent_ms > settings.offline_after_ms => Health::Offline,
        _ if is_working && idle_ms > settings.stalled_after_ms => Health::Stalled,
        _ if seen_at.is_some() => Health::Active,
        Health::Active | Health::Stalled | Health::Offline => noted,
    };
    (health != noted).then_some(health)
}

impl Behaviour for AgentSweeper {
    const KIND: &'static str = "janitor";
    /// Its own ticks come past the mailbox; nobody else writes to it.
    const MAILBOX_CAPACITY: usize = 1;

    fn started(&mut self, cx: &mut Context<Self>) {
        cx.notify_later(Tick, INTERVAL);
    }
}

impl Handle<Tick> for AgentSweeper {
    fn handle(&mut self, tick: Tick, cx: &mut Context<Self>) -> Reply<()> {
        cx.notify_later(tick, INTERVAL);
        if self.shared.phase() != Phase::Serving {
            return Reply::Now(());
        }
        let times = (self.since, self.shared.clock.now());
        for seat in self.shared.directory.seats() {
            // The hive itself is the sign of life of an agent whose processes it starts.
            let is_ours = seat.agent.asked.link.process().is_some();
            let seen_at = if is_ours { Some(times.1) } else { seat.pulse.seen_at() };
            let signs = (seen_at, seat.pulse.progress_at());
            let is_working = self.shared.feed.read(|projection| projection.agent(seat.agent.id).working > 0);
            let health = observed(seat.agent.health, signs, is_working, times, &self.shared.settings);
            if let Some(health) = health {
                self.note(&seat, health, cx);
            }
            if !seat.actor.is_running() && seat.agent.health != Health::Failed {
                // It restarts by itself, unless its supervisor began anew without it.
                let refresh = RefreshAgent { tenant: seat.agent.tenant, agent: seat.agent.id };
                let _ = self.coordinator.tell(refresh);
            }
        }
        Reply::Now(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_micros(seconds * 1_000_000))
    }

    #[test]
    fn health_follows_from_silence_and_lack_of_progress() {
        let settings = RuntimeSettings::default();
        let now = Timestamp::from_micros(10_000_000_000);
        let times = (Timestamp::ZERO, now);
        let of = |noted, seen, progress, is_working| {
            observed(noted, (seen, progress), is_working, times, &settings)
        };
        let (just_now, long_ago) = (at(9_990), at(9_000));
        assert_eq!(of(Health::Active, just_now, just_now, true), None);
        assert_eq!(of(Health::Active, long_ago, long_ago, false), Some(Health::Offline));
        assert_eq!(of(Health::Active, just_now, long_ago, true), Some(Health::Stalled));
        assert_eq!(of(Health::Active, just_now, long_ago, false), None, "idle is not stalled");
        assert_eq!(of(Health::Stalled, just_now, just_now, true), Some(Health::Active));
        assert_eq!(of(Health::Offline, just_now, just_now, false), Some(Health::Active));
        assert_eq!(of(Health::Failed, just_now, just_now, true), None);
    }

    #[test]
    fn after_a_start_an_agent_has_its_full_time_to_show_itself() {
        let settings = RuntimeSettings::default();
        let since = Timestamp::from_micros(10_000_000_000);
        let soon = (since, since.plus_ms(59_000));
        assert_eq!(observed(Health::Active, (None, None), true, soon, &settings), None);
        let late = (since, since.plus_ms(61_000));
        assert_eq!(observed(Health::Active, (None, None), true, late, &settings), Some(Health::Offline));
        assert_eq!(observed(Health::Offline, (None, None), false, soon, &settings), None);
    }
}
