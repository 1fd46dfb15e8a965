//! `hive agent …`.

use clap::Subcommand;

use super::Context;
use super::agent_add::AgentAdd;
use super::agent_drain::AgentDrain;
use super::agent_lease::AgentLease;
use super::agent_list::AgentList;
use super::agent_remove::AgentRemove;
use super::agent_restart::AgentRestart;
use super::agent_resume::AgentResume;
use super::agent_show::AgentShow;
use super::agent_update::AgentUpdate;
use crate::exit::Exit;
use crate::failure::Failure;

/// The commands about agents.
#[derive(Debug, Subcommand)]
pub enum Agent {
    /// Register an agent; prints its id
    Add(Box<AgentAdd>),
    /// List agents
    List(AgentList),
    /// Show one agent
    Show(AgentShow),
    /// Change an agent: role, capabilities, capacity, labels, and how its process is started
    Update(Box<AgentUpdate>),
    /// Let an agent finish what it has and take nothing new
    Drain(AgentDrain),
    /// Let a drained agent take tasks again
    Resume(AgentResume),
    /// Let the actor of an agent begin anew, for example after it gave up
    Restart(AgentRestart),
    /// Take assignments for an agent, for workers written in shell
    Lease(AgentLease),
    /// Remove an agent
    Remove(AgentRemove),
}

impl Agent {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(command) => command.run(context).await,
            Self::List(command) => command.run(context).await,
            Self::Show(command) => command.run(context).await,
            Self::Update(command) => command.run(context).await,
            Self::Drain(command) => command.run(context).await,
            Self::Resume(command) => command.run(context).await,
            Self::Restart(command) => command.run(context).await,
            Self::Lease(command) => command.run(context).await,
            Self::Remove(command) => command.run(context).await,
        }
    }
}
