//! What a session is subscribed to, and what of the log it therefore gets.

use std::collections::BTreeMap;

use domain::{AgentId, Role, TenantId};
use feed::Entry;
use protocol::live::frame::{Body, ErrorCode};
use protocol::live::topic::{Part, Root, Topic};

use super::roster::bit;
use crate::principal::Principal;

/// Characters of a name that is refused, as they are told.
const TOLD_CHARS: usize = 64;

/// The subscriptions of a session, by their text.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    topics: BTreeMap<Box<str>, Subscribed>,
    /// Topics as a whole, one bit each.
    roots: u8,
}

/// One of them.
#[derive(Debug, Clone)]
struct Subscribed {
    topic: Topic,
    /// The session has, or gets, every event of it after this one.
    since: i64,
}

/// What became of a wish to subscribe.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// What is new.
    pub(crate) topics: Vec<Topic>,
    /// What is to be said about the rest.
    pub(crate) refusals: Vec<Body>,
}

/// Who asks for topics.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watcher {
    pub(crate) tenant: TenantId,
    role: Role,
    agent: Option<AgentId>,
}

impl Watcher {
    pub(crate) fn of(principal: &Principal) -> Self {
        Self { tenant: principal.tenant(), role: principal.role, agent: principal.agent() }
    }

    /// Whether a topic may be seen. An agent sees itself.
    fn may_see(&self, topic: &Topic) -> bool {
        match self.role {
            Role::Admin | Role::Operator | Role::Developer | Role::Viewer => true,
            Role::Agent => {
                matches!(topic.part(), Part::Agent(agent) if self.agent == Some(*agent))
            }
        }
    }

    /// Whether data of the whole hive may be asked for.
    pub(crate) fn may_ask(&self) -> bool {
        self.role != Role::Agent
    }
}

impl Subscriptions {
    /// Adds topics as they are written, at most `max` in all; where that is too many, none. They begin after event `since`.
    pub(crate) fn add(&mut self, written: &[String], watcher: &Watcher, max: usize, since: i64) -> Added {
        let mut added = Added::default();
        let (mut unknown, mut hidden, mut wanted) = (Vec::new(), Vec::new(), BTreeMap::new());
        for text in written {
            match Topic::read(text) {
                None => unknown.push(text.trim().chars().take(TOLD_CHARS).collect::<String>()),
                Some(topic) if !watcher.may_see(&topic) => hidden.push(topic.to_string()),
                Some(topic) if self.topics.contains_key(topic.as_str()) => {}
                Some(topic) => drop(wanted.insert(Box::<str>::from(topic.as_str()), topic)),
            }
        }
        for (code, names, text) in [
            (ErrorCode::InvalidSubscription, unknown, "Invalid subscription(s)"),
            (ErrorCode::ForbiddenSubscription, hidden, "Not permitted to your role"),
        ] {
            if let Some(list) = listed(names) {
                added.refusals.push(Body::error(code, format!("{text}: {list}")));
            }
        }
        if self.topics.len().saturating_add(wanted.len()) > max {
            added
                .refusals
                .push(Body::error(ErrorCode::TooManySubscriptions, "Too many subscriptions requested"));
            return added;
        }
        added.topics = wanted.values().cloned().collect();
        self.topics.extend(wanted.into_iter().map(|(text, topic)| (text, Subscribed { topic, since })));
        self.refresh();
        added
    }

    /// Those that are named, where they are subscribed to.
    pub(crate) fn named(&self, written: &[String]) -> Self {
        let mut named = Self::default();
        for topic in written.iter().filter_map(|text| Topic::read(text)) {
            if let Some((text, subscribed)) = self.topics.get_key_value(topic.as_str()) {
                named.topics.insert(text.clone(), subscribed.clone());
            }
        }
        named.refresh();
        named
    }

    /// Takes out what others have not.
    pub(crate) fn keep(&mut self, others: &Self) {
        self.topics.retain(|text, _| others.topics.contains_key(text));
        self.refresh();
    }

    /// They begin after event `since`: those that also `only` has, or all of them.
    pub(crate) fn begin_at(&mut self, since: i64, only: Option<&Self>) {
        for (text, subscribed) in &mut self.topics {
            if only.is_none_or(|only| only.topics.contains_key(text)) {
                subscribed.since = since;
            }
        }
    }

    /// The latest event after which one of those begins that `only` has, too.
    pub(crate) fn begins(&self, only: &Self) -> Option<i64> {
        let fitting = self.topics.iter().filter(|(text, _)| only.topics.contains_key(*text));
        fitting.map(|(_, subscribed)| subscribed.since).max()
    }

    /// Takes topics out.
    pub(crate) fn remove(&mut self, written: &[String]) -> Option<Body> {
        let mut unknown = Vec::new();
        for text in written {
            match Topic::read(text) {
                Some(topic) => drop(self.topics.remove(topic.as_str())),
                None => unknown.push(text.trim().chars().take(TOLD_CHARS).collect::<String>()),
            }
        }
        self.refresh();
        let list = listed(unknown)?;
        Some(Body::error(ErrorCode::InvalidSubscription, format!("Invalid subscription(s): {list}")))
    }

    /// Sorted, as they are told.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.topics.keys().map(|text| text.to_string()).collect()
    }

    /// All of them.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.topics.values().map(|subscribed| subscribed.topic.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Whether a topic is subscribed to as a whole.
    pub(crate) const fn has(&self, root: Root) -> bool {
        self.roots & bit(root) != 0
    }

    /// Whether an event of the log is for this session.
    pub(crate) fn want(&self, entry: &Entry) -> bool {
        self.has(Root::of(entry.kind)) || self.topics.values().any(|subscribed| subscribed.fits(entry))
    }

    /// Whether an event is for topics that are taken up before it, and did not come by what was there already.
    pub(crate) fn missed(&self, joined: &Self, entry: &Entry) -> bool {
        let has_come = |subscribed: &Subscribed| subscribed.since < entry.seq && subscribed.fits(entry);
        joined.want(entry) && !self.topics.values().any(has_come)
    }

    fn refresh(&mut self) {
        let topics = self.topics.values().map(|subscribed| &subscribed.topic);
        let whole = topics.filter(|topic| *topic.part() == Part::Whole);
        self.roots = whole.fold(0, |bits, topic| bits | bit(topic.root()));
    }
}

impl Subscribed {
    fn fits(&self, entry: &Entry) -> bool {
        self.topic.root() == Root::of(entry.kind) && fits(self.topic.part(), entry)
    }
}

/// Whether an event is of a part of its topic.
fn fits(part: &Part, entry: &Entry) -> bool {
    match part {
        Part::Whole => true,
        Part::Task(task) => entry.task == Some(*task),
        Part::Agent(agent) => entry.agent == Some(*agent),
        Part::Queue(queue) => entry.queue.as_ref() == Some(queue),
        Part::Other => false,
    }
}

fn listed(mut names: Vec<String>) -> Option<String> {
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYBODY: Watcher = Watcher { tenant: TenantId::DEFAULT, role: Role::Viewer, agent: None };

    fn add(subscriptions: &mut Subscriptions, written: &[&str], watcher: &Watcher) -> (usize, Vec<String>) {
        let written: Vec<String> = written.iter().map(ToString::to_string).collect();
        let added = subscriptions.add(&written, watcher, 3, 0);
        let said = added.refusals.into_iter().map(|body| match body {
            Body::Error { message, .. } => message,
            other => panic!("{other:?}"),
        });
        (added.topics.len(), said.collect())
    }

    #[test]
    fn what_is_no_topic_is_told_sorted_and_once_and_the_rest_is_added() {
        let mut subscriptions = Subscriptions::default();
        let (count, said) =
            add(&mut subscriptions, &["zebra", " Tasks ", "apple", "zebra", "tasks"], &EVERYBODY);
        assert_eq!((count, said), (1, vec!["Invalid subscription(s): apple, zebra".to_owned()]));
        assert_eq!(subscriptions.texts(), ["tasks"]);
    }

    #[test]
    fn one_too_many_adds_none_and_what_is_there_already_does_not_count() {
        let mut subscriptions = Subscriptions::default();
        assert_eq!(add(&mut subscriptions, &["tasks", "agents", "system"], &EVERYBODY).0, 3);
        assert_eq!(add(&mut subscriptions, &["tasks", "agents"], &EVERYBODY), (0, vec![]));
        let (count, said) = add(&mut subscriptions, &["alerts"], &EVERYBODY);
        assert_eq!((count, said), (0, vec!["Too many subscriptions requested".to_owned()]));
        assert_eq!(subscriptions.texts(), ["agents", "system", "tasks"]);
    }

    #[test]
    fn an_agent_sees_itself_and_is_told_what_it_may_not_see() {
        let own = AgentId::from_raw(5);
        let watcher = Watcher { role: Role::Agent, agent: Some(own), ..EVERYBODY };
        let (mine, other) = (format!("agents/{own}"), format!("agents/{}", AgentId::from_raw(6)));
        let (count, said) = add(&mut Subscriptions::default(), &[&mine, &other, "tasks"], &watcher);
        assert_eq!((count, said), (1, vec![format!("Not permitted to your role: {other}, tasks")]));
    }

    fn event(seq: i64, queue: &str) -> Entry {
        Entry {
            seq,
            at: domain::Timestamp::from_micros(seq),
            tenant: TenantId::DEFAULT,
            kind: domain::EventKind::TaskSubmitted,
            task: None,
            agent: None,
            queue: Some(queue.parse().unwrap()),
            encoded: feed::Encoded { frame: "{}".into(), event: 0..2 },
        }
    }

    #[test]
    fn what_is_taken_up_leaves_out_what_another_topic_has_brought() {
        let mut subscriptions = Subscriptions::default();
        let written = |text: &str| vec![text.to_owned()];
        subscriptions.add(&written("tasks/queue/a"), &EVERYBODY, 3, 10);
        subscriptions.add(&written("tasks"), &EVERYBODY, 3, 20);
        let joined = subscriptions.named(&[" TASKS ".to_owned(), "agents".to_owned()]);
        assert_eq!((joined.texts(), subscriptions.begins(&joined)), (vec!["tasks".to_owned()], Some(20)));
        let missed = |subscriptions: &Subscriptions, queue: &str| -> Vec<i64> {
            (5..25).filter(|seq| subscriptions.missed(&joined, &event(*seq, queue))).collect()
        };
        assert_eq!(
            missed(&subscriptions, "a"),
            (5..=10).collect::<Vec<_>>(),
            "from 11 on the queue brought it"
        );
        assert_eq!(missed(&subscriptions, "b"), (5..=20).collect::<Vec<_>>());
        let mut kept = subscriptions.named(&["tasks".to_owned(), "tasks/queue/a".to_owned()]);
        kept.keep(&joined);
        assert_eq!((kept.texts(), kept.has(Root::Tasks)), (joined.texts(), true));
        subscriptions.begin_at(7, Some(&joined));
        assert_eq!(missed(&subscriptions, "b"), [5, 6, 7], "a second time only what is still missing");
        assert_eq!(subscriptions.begins(&joined), Some(7));
    }
}
