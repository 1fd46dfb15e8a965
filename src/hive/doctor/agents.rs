//! The programs of agents: of the presets, where missing ones are worth knowing, and of the agents that are registered.

use std::collections::BTreeMap;

use client::Client;
use domain::ProcessLink;
use links::run::find_program;
use protocol::query::PageQuery;
use protocol::{AgentView, LinkView};

use super::Finding;
use crate::failure::with_causes;

/// Agents that are looked at.
const AGENTS_MAX: usize = 1_000;

/// Looks at both. The PATH is that of this command; the hive may have been started with another.
pub async fn examine(client: Option<&Client>) -> Vec<Finding> {
    let path = std::env::var("PATH").ok();
    let mut found = presets(path.as_deref());
    if let Some(client) = client {
        match agents(client).await {
            Ok(agents) => found.extend(registered(&agents, path.as_deref())),
            Err(why) => found.push(Finding::note("agents", format!("cannot be listed: {why}"))),
        }
    }
    found
}

fn presets(path: Option<&str>) -> Vec<Finding> {
    let presets = match links::Presets::embedded() {
        Ok(presets) => presets,
        Err(error) => return vec![Finding::problem("presets", with_causes(&error))],
    };
    let each = presets.all().map(|preset| match find_program(&preset.link, path) {
        Ok(file) => Finding::ok("preset", format!("{}: {}", preset.name, file.display())),
        Err(_) => {
            let finding = Finding::note("preset", format!("{}: not installed", preset.name));
            match &preset.install {
                Some(install) => finding.advise(format!("`{install}` installs it")),
                None => finding,
            }
        }
    });
    each.collect()
}

async fn agents(client: &Client) -> Result<Vec<AgentView>, String> {
    let mut found = Vec::new();
    let mut query = PageQuery { limit: Some(200), cursor: None };
    loop {
        let page = client.agents(&query).await.map_err(|error| with_causes(&error))?.into_value();
        found.extend(page.items);
        query.cursor = page.next_cursor;
        if query.cursor.is_none() || found.len() >= AGENTS_MAX {
            return Ok(found);
        }
    }
}

/// One finding for all whose program is there, and one for each program that is not.
fn registered(agents: &[AgentView], path: Option<&str>) -> Vec<Finding> {
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut fine = 0_u64;
    for agent in agents {
        let LinkView::Process(link) = &agent.link else { continue };
        // its own PATH is known to nobody but the hive
        let has_own_path = link.env_names.iter().any(|name| name == "PATH");
        let command = ProcessLink { command: link.command.clone(), ..ProcessLink::default() };
        match find_program(&command, path) {
            Err(why) if !has_own_path => missing.entry(why).or_default().push(&agent.name),
            Ok(_) | Err(_) => fine += 1,
        }
    }
    let all = format!(
        "{} registered, {fine} with a program that is there",
        crate::cli::counted(count(agents), "agent")
    );
    let mut found = vec![Finding::ok("agents", all)];
    found.extend(missing.into_iter().map(|(why, names)| {
        Finding::problem("agents", format!("{}: {why}", names.join(", ")))
            .advise("install it, or remove the agent; its tasks fail or wait meanwhile")
    }));
    found
}

fn count(agents: &[AgentView]) -> u64 {
    let processes = agents.iter().filter(|agent| matches!(agent.link, LinkView::Process(_))).count();
    u64::try_from(processes).unwrap_or(u64::MAX)
}
