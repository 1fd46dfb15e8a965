//! Who is connected, over all threads.
//!
//! Invariant: an entry is there exactly as long as its [`Listed`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::Timestamp;
use parking_lot::Mutex;
use protocol::live::answers::{ConnectionView, ConnectionsView};
use protocol::live::topic::{Root, Topic};

use super::greeting::Endpoint;
use crate::state::Hive;

/// Connections that are shown one by one.
const SHOWN_MAX: usize = 100;

/// The connections of this process.
#[derive(Default)]
pub(crate) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    sessions: HashMap<Arc<str>, Entry>,
    principals: HashMap<Arc<str>, usize>,
    /// Sessions by topic, whole or in part.
    topics: BTreeMap<Root, usize>,
}

struct Entry {
    endpoint: Endpoint,
    principal: Arc<str>,
    subscriptions: Vec<String>,
    connected_at: Timestamp,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The hive has as many sessions as it may.
    Hive,
    /// This principal has.
    Principal,
}

/// An entry, until it is dropped.
pub(crate) struct Listed {
    hive: Hive,
    id: Arc<str>,
}

impl Book {
    /// Enters a connection.
    ///
    /// # Errors
    /// [`Full`].
    pub(crate) fn enter(
        hive: &Hive,
        id: &Arc<str>,
        endpoint: Endpoint,
        principal: &Arc<str>,
    ) -> Result<Listed, Full> {
        let settings = &hive.live.settings;
        let mut pages = hive.live.book.0.lock();
        if pages.sessions.len() >= settings.sessions_max {
            return Err(Full::Hive);
        }
        let own = pages.principals.entry(Arc::clone(principal)).or_default();
        if *own >= settings.sessions_per_principal_max {
            return Err(Full::Principal);
        }
        *own += 1;
        let entry = Entry {
            endpoint,
            principal: Arc::clone(principal),
            subscriptions: Vec::new(),
            connected_at: hive.clock.now(),
        };
        pages.sessions.insert(Arc::clone(id), entry);
        hive.live.metrics.open.set(i64::try_from(pages.sessions.len()).unwrap_or(i64::MAX));
        Ok(Listed { hive: hive.clone(), id: Arc::clone(id) })
    }

    /// Changes what a connection is subscribed to.
    pub(crate) fn subscribe(&self, id: &str, subscriptions: Vec<String>) {
        let mut pages = self.0.lock();
        let Some(entry) = pages.sessions.get_mut(id) else { return };
        let before = std::mem::replace(&mut entry.subscriptions, subscriptions.clone());
        pages.count(&before, false);
        pages.count(&subscriptions, true);
    }

    /// How many connections are subscribed to each topic, or to a part of it.
    pub(crate) fn subscribed(&self) -> [(Root, usize); 6] {
        let pages = self.0.lock();
        Root::ALL.map(|root| (root, pages.topics.get(&root).copied().unwrap_or(0)))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().sessions.len()
    }

    /// As they are shown.
    pub(crate) fn view(&self) -> ConnectionsView {
        let pages = self.0.lock();
        let mut view =
            ConnectionsView { total_connections: pages.sessions.len(), ..ConnectionsView::default() };
        for endpoint in Endpoint::ALL {
            let count = pages.sessions.values().filter(|entry| entry.endpoint == endpoint).count();
            view.connections_by_type.insert(endpoint.as_str().to_owned(), count);
        }
        for root in Root::ALL {
            let count = pages.topics.get(&root).copied().unwrap_or(0);
            view.subscription_counts.insert(root.as_str().to_owned(), count);
        }
        let mut all: Vec<_> = pages.sessions.iter().collect();
        all.sort_unstable_by(|one, other| (one.1.connected_at, one.0).cmp(&(other.1.connected_at, other.0)));
        view.oldest_connection = all.first().map(|(_, entry)| entry.connected_at);
        view.active_connections = all
            .into_iter()
            .take(SHOWN_MAX)
            .map(|(id, entry)| ConnectionView {
                connection_id: id.to_string(),
                endpoint: entry.endpoint.as_str().to_owned(),
                principal: entry.principal.to_string(),
                subscriptions: entry.subscriptions.clone(),
                connected_at: entry.connected_at,
            })
            .collect();
        view
    }
}

impl Pages {
    fn count(&mut self, subscriptions: &[String], is_up: bool) {
        let mut roots: Vec<Root> =
            subscriptions.iter().filter_map(|text| Topic::read(text)).map(|topic| topic.root()).collect();
        roots.sort_unstable();
        roots.dedup();
        for root in roots {
            let count = self.topics.entry(root).or_default();
            *count = if is_up { *count + 1 } else { count.saturating_sub(1) };
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.hive.live.book.subscribe(&self.id, Vec::new());
        let live = &self.hive.live;
        let mut pages = live.book.0.lock();
        if let Some(entry) = pages.sessions.remove(&self.id)
            && let Some(own) = pages.principals.get_mut(&entry.principal)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                pages.principals.remove(&entry.principal);
            }
        }
        live.metrics.open.set(i64::try_from(pages.sessions.len()).unwrap_or(i64::MAX));
    }
}
