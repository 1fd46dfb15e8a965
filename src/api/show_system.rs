//! `GET /system`: the hive itself, in numbers that were counted or measured.

use domain::{Agent, AgentState};
use feed::figures::RATE_SECONDS;
use protocol::{AgentCounts, LogView, RatesView, SystemView};
use runtime::Phase;

use crate::allowed::{Allowed, ReadHive};
use crate::answer::{Answer, ok};
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

/// Show the hive.
#[utoipa::path(get, path = "/api/v2/system", tag = "system",
    responses((status = 200, description = "As it stands now", body = SystemView)))]
pub(crate) async fn show_system(hive: Hive, principal: Allowed<ReadHive>, _: NoQuery) -> Answer {
    hive.runtime.settled().await;
    let (agents, (first_seq, last_seq)) = hive.readers.overview(principal.tenant()).await?;
    let now = hive.clock.now();
    let (totals, rates) = hive.feed.read(|projection| (projection.totals(), projection.rates(now)));
    let facts = &hive.facts;
    ok(&SystemView {
        version: facts.version.to_owned(),
        uptime_seconds: now.ms_since(facts.started_at) / 1_000,
        started_at: facts.started_at,
        phase: word(hive.runtime.phase()).to_owned(),
        node: facts.node,
        database: facts.database.to_owned(),
        data_dir: facts.data_dir.display().to_string(),
        epoch: facts.epoch.clone(),
        tasks: views::counts(&totals),
        agents: count(&hive, &agents),
        log: LogView { first_seq, last_seq },
        rates: RatesView {
            window_seconds: u32::try_from(RATE_SECONDS).unwrap_or(u32::MAX),
            submitted_per_second: rates.submitted_per_second,
            started_per_second: rates.started_per_second,
            completed_per_second: rates.completed_per_second,
            failed_per_second: rates.failed_per_second,
        },
    })
}

/// A phase as it is shown.
pub(crate) const fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Serving => "serving",
        Phase::Draining => "draining",
    }
}

fn count(hive: &Hive, agents: &[Agent]) -> AgentCounts {
    let mut counts = AgentCounts::default();
    hive.feed.read(|projection| {
        for agent in agents {
            let place = match views::agent_state(agent, &projection.agent(agent.id)) {
                AgentState::Idle => &mut counts.idle,
                AgentState::Working => &mut counts.working,
                AgentState::Draining => &mut counts.draining,
                AgentState::Stalled => &mut counts.stalled,
                AgentState::Offline => &mut counts.offline,
                AgentState::Failed => &mut counts.failed,
            };
            *place += 1;
            counts.total += 1;
        }
    });
    counts
}
