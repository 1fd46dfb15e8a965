//! How a session begins: what it asked for on connecting.

use std::sync::Arc;

use protocol::live::client::Place;
use protocol::live::topic::Root;
use protocol::query::{Pairs, SessionQuery};
use protocol::request::Unreadable;

/// The places to connect: five for watchers, with the topics of whoever names none, and one for workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Dashboard,
    Agents,
    Coordination,
    Tasks,
    System,
    Worker,
}

impl Endpoint {
    /// Those for watchers.
    pub(crate) const WATCHING: [Self; 5] =
        [Self::Dashboard, Self::Agents, Self::Coordination, Self::Tasks, Self::System];
    pub(crate) const ALL: [Self; 6] =
        [Self::Dashboard, Self::Agents, Self::Coordination, Self::Tasks, Self::System, Self::Worker];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Agents => "agents",
            Self::Coordination => "coordination",
            Self::Tasks => "tasks",
            Self::System => "system",
            Self::Worker => "worker",
        }
    }

    const fn topics(self) -> &'static [Root] {
        match self {
            Self::Dashboard => &[Root::Agents, Root::Coordination, Root::Tasks, Root::System],
            Self::Agents => &[Root::Agents, Root::System],
            Self::Coordination => &[Root::Coordination, Root::Alerts, Root::System],
            Self::Tasks => &[Root::Tasks, Root::Agents],
            Self::System => &[Root::System, Root::Alerts],
            Self::Worker => &[],
        }
    }
}

/// The id of a new session.
pub(crate) fn new_id() -> Arc<str> {
    Arc::from(format!("ws_{:016x}", rand::random::<u64>()))
}

/// What a session is opened with.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub(crate) endpoint: Endpoint,
    pub(crate) id: Arc<str>,
    /// As they are written.
    pub(crate) topics: Vec<String>,
    pub(crate) resume: Option<Place>,
    /// Closed rather than told, when it does not keep up.
    pub(crate) is_strict: bool,
}

impl Greeting {
    /// From the parameters of the address.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub(crate) fn read(endpoint: Endpoint, pairs: Pairs) -> Result<Self, Unreadable> {
        let query = SessionQuery::read(pairs)?;
        let usual = || endpoint.topics().iter().map(|root| root.as_str().to_owned()).collect();
        Ok(Self {
            endpoint,
            id: new_id(),
            topics: query.subscriptions.unwrap_or_else(usual),
            resume: query.resume,
            is_strict: query.strict,
        })
    }
}
