//! `hive agent update`: another role, other capabilities, capacity or labels, or another way to start its process.

use clap::Args;
use client::Client;
use domain::AgentId;
use protocol::{LinkLimits, LinkView, LinkWorkspace, PatchAgent, PatchLink};

use super::link_flags::LinkFlags;
use super::{Context, input};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::AGENT_UPDATE)]
pub struct AgentUpdate {
    /// The agent
    #[arg(value_name = "ID|NAME")]
    agent: String,
    /// What it is for, in a word
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// What it can do: all of it, in place of what it could
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// It can do nothing in particular any more
    #[arg(long, conflicts_with = "capabilities")]
    no_capabilities: bool,
    /// Tasks it may hold at a time, 1 to 10000
    #[arg(long, value_name = "N")]
    capacity: Option<u32>,
    /// Label for people, in place of all that it has; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = input::label)]
    label: Vec<(String, String)>,
    /// Take all labels off
    #[arg(long, conflicts_with = "label")]
    no_labels: bool,
    #[command(flatten)]
    link: LinkFlags,
    /// Work in an empty folder for each task
    #[arg(long, conflicts_with_all = ["repository", "directory"], help_heading = super::link_flags::HEADING)]
    no_workspace: bool,
    /// Let an attempt use as much as there is
    #[arg(long, conflicts_with_all = ["cpu", "memory", "file_size", "open_files"], help_heading = super::link_flags::HEADING)]
    no_limits: bool,
}

impl AgentUpdate {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let id = input::agent(&context.client, &self.agent).await?;
        let patch = self.into_patch(&context.client, id).await?;
        if patch == PatchAgent::default() {
            return Err(Failure::usage("nothing was named that is to change")
                .hint("name it, like --capacity 4; `hive agent update --help` lists what can change"));
        }
        let agent = context.client.patch_agent(id, &patch).await?;
        if context.screen.is_json() {
            context.screen.line(agent.text())?;
        } else {
            context.screen.note(&format!("{} is changed; what it works on goes on as it began", agent.name));
        }
        Ok(Exit::Fine)
    }

    async fn into_patch(self, client: &Client, id: AgentId) -> Result<PatchAgent, Failure> {
        let is_in_workspace = self.link.has_path() && !self.no_workspace && has_workspace(client, id).await?;
        let mut link = self.link.change(is_in_workspace)?;
        if self.no_workspace {
            link.workspace = Some(LinkWorkspace { kind: "none".to_owned(), ..LinkWorkspace::default() });
        }
        if self.no_limits {
            link.limits = Some(LinkLimits::default());
        }
        let has_labels = self.no_labels || !self.label.is_empty();
        let has_capabilities = self.no_capabilities || !self.capabilities.is_empty();
        let labels = input::labels(self.label)?;
        Ok(PatchAgent {
            role: self.role,
            capabilities: has_capabilities.then_some(self.capabilities),
            capacity: self.capacity,
            labels: has_labels.then_some(labels),
            link: (link != PatchLink::default()).then_some(link),
        })
    }
}

/// Whether it works in a worktree or a folder, so that a relative path lies below that.
async fn has_workspace(client: &Client, id: AgentId) -> Result<bool, Failure> {
    let agent = client.agent(id).await?;
    Ok(match &agent.link {
        LinkView::Worker => false,
        LinkView::Process(link) => link.workspace.path.is_some() || link.workspace.repository.is_some(),
    })
}
