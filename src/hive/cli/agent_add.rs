//! `hive agent add`: registers an agent: a worker, or a command that the hive starts for each task.

use clap::Args;
use protocol::{AgentView, LinkView, RegisterAgent};

use super::process_flags::ProcessFlags;
use super::{Context, input, link_words};
use crate::exit::Exit;
use crate::failure::Failure;

/// The flags.
#[derive(Debug, Args)]
#[command(after_help = super::help::agent_add())]
pub struct AgentAdd {
    /// What people call it: a-z 0-9 . _ -
    name: String,
    /// What it is for, in a word [default: worker]
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// What it can do
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// Tasks it may hold at a time, 1 to 10000 [default: 1]
    #[arg(long, value_name = "N")]
    capacity: Option<u32>,
    /// Label for people; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = input::label)]
    label: Vec<(String, String)>,
    #[command(flatten)]
    process: ProcessFlags,
}

impl AgentAdd {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let asked = RegisterAgent {
            name: self.name,
            role: self.role,
            capabilities: self.capabilities,
            capacity: self.capacity,
            labels: input::labels(self.label)?,
            link: self.process.link()?,
        };
        let agent = context.client.register_agent(&asked, None).await?;
        if context.screen.is_json() {
            context.screen.line(agent.text())?;
        } else {
            context.screen.line(&agent.id.to_string())?;
            let note = what_now(&agent, context.client.base_url());
            context.screen.note(&note);
        }
        Ok(Exit::Fine)
    }
}

fn what_now(agent: &AgentView, url: &str) -> String {
    match &agent.link {
        LinkView::Worker => {
            format!(
                "{} is registered; it asks for work at POST {url}/api/v2/agents/{}/lease",
                agent.name, agent.id
            )
        }
        LinkView::Process(link) => {
            format!(
                "{} is registered; for each task the hive starts: {}",
                agent.name,
                link_words::command(link)
            )
        }
    }
}
