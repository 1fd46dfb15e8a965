//! `hive agent show`.

use clap::Args;
use protocol::{AgentView, LinkView, ProcessLinkView};

use super::screen::Screen;
use super::table::{Facts, nothing, number, state, text};
use super::words::span_ms;
use super::{Context, input, link_words};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
pub struct AgentShow {
    /// The agent
    #[arg(value_name = "ID|NAME")]
    agent: String,
}

impl AgentShow {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::agent(&context.client, &self.agent).await?;
        let agent = context.client.agent(id).await?;
        let screen = &mut context.screen;
        if screen.is_json() {
            screen.line(agent.text())?;
        } else {
            screen.facts(&facts(&agent, screen))?;
        }
        Ok(Exit::Fine)
    }
}

fn facts(agent: &AgentView, screen: &Screen) -> Facts {
    let mut facts = Facts::default();
    facts.add("id", text(agent.id.to_string()));
    facts.add("name", text(&agent.name));
    facts.add("state", state(&agent.state));
    facts.add("role", text(&agent.role));
    facts.add_some(
        "capabilities",
        (!agent.capabilities.is_empty()).then(|| text(agent.capabilities.join(", "))),
    );
    facts.add("load", text(format!("{} of {}", agent.working, agent.capacity)));
    let labels: Vec<String> = agent.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    facts.add_some("labels", (!labels.is_empty()).then(|| text(labels.join(", "))));
    facts.add("link", text(agent.link.kind()));
    if let LinkView::Process(link) = &agent.link {
        add_link(&mut facts, link);
    }
    facts.add("completed", number(agent.completed));
    facts.add("failed", number(agent.failed));
    facts.add_some("success", agent.success_rate.map(|rate| text(format!("{:.1} %", rate * 100.0))));
    facts.add("last seen", agent.last_activity_at.map_or_else(nothing, |at| screen.moment(at)));
    facts.add("registered", screen.moment(agent.created_at));
    facts
}

fn add_link(facts: &mut Facts, link: &ProcessLinkView) {
    facts.add_some("preset", link.preset.as_ref().map(text));
    facts.add("command", text(link_words::command(link)));
    facts.add_some("starts in", link.cwd.as_ref().map(text));
    facts.add("workspace", text(link_words::workspace(&link.workspace)));
    facts.add_some("env", (!link.env_names.is_empty()).then(|| text(link.env_names.join(", "))));
    facts.add_some("inherits", (!link.inherit_env.is_empty()).then(|| text(link.inherit_env.join(", "))));
    facts.add("prompt", text(link_words::prompt(link.prompt)));
    facts.add("result", text(link_words::result(link.result)));
    facts.add_some("timeout", link.timeout_ms.map(|ms| text(span_ms(ms))));
    facts.add_some("limits", link_words::limits(&link.limits).map(text));
}
