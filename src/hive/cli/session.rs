//! `hive session …`: who watches the hive over a WebSocket.

use clap::Subcommand;

use super::Context;
use super::session_broadcast::SessionBroadcast;
use super::session_contract::SessionContract;
use super::session_disconnect::SessionDisconnect;
use super::session_health::SessionHealth;
use super::session_limits::SessionLimits;
use super::session_list::SessionList;
use super::session_metrics::SessionMetrics;
use crate::exit::Exit;
use crate::failure::Failure;

/// The commands about sessions.
#[derive(Debug, Subcommand)]
pub enum Session {
    /// List who is connected, the oldest first
    List(SessionList),
    /// Show what a session may send and when it is closed
    Limits(SessionLimits),
    /// Show which versions of the contract are spoken
    Contract(SessionContract),
    /// Show how sessions fare; ends with 9 when they are unhealthy
    Health(SessionHealth),
    /// Print the metrics of sessions, as Prometheus reads them
    Metrics(SessionMetrics),
    /// Say something to everybody who watches a topic
    Broadcast(SessionBroadcast),
    /// End a session
    Disconnect(SessionDisconnect),
}

impl Session {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::List(command) => command.run(context).await,
            Self::Limits(command) => command.run(context).await,
            Self::Contract(command) => command.run(context).await,
            Self::Health(command) => command.run(context).await,
            Self::Metrics(command) => command.run(context).await,
            Self::Broadcast(command) => command.run(context).await,
            Self::Disconnect(command) => command.run(context).await,
        }
    }
}
