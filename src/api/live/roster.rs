//! The seats of one web thread, and the index that finds whom an event concerns.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use domain::{AgentId, Name, TaskId};
use feed::Entry;
use protocol::live::topic::{Part, Root, Topic};
use tokio::sync::Notify;

use super::seat::Seat;

/// The key of a seat.
pub(crate) type Key = u64;

/// The topics of some entries, one bit each, and what else may be asked for by name.
#[derive(Default)]
pub(crate) struct Concerned {
    roots: u8,
    keys: HashSet<Key>,
}

impl Concerned {
    /// Nobody knows whom.
    pub(crate) fn everybody() -> Self {
        Self { roots: u8::MAX, keys: HashSet::new() }
    }
}

/// The seats of one thread.
#[derive(Default)]
pub(crate) struct Roster {
    inner: RefCell<Inner>,
    joined: Notify,
}

#[derive(Default)]
struct Inner {
    next: Key,
    seats: HashMap<Key, Place>,
    tasks: HashMap<TaskId, Vec<Key>>,
    agents: HashMap<AgentId, Vec<Key>>,
    queues: HashMap<Name, Vec<Key>>,
}

struct Place {
    seat: Rc<Seat>,
    roots: u8,
    topics: Vec<Topic>,
}

thread_local! {
    static HERE: Rc<Roster> = Rc::default();
}

/// The bit of a topic.
pub(crate) const fn bit(root: Root) -> u8 {
    match root {
        Root::Agents => 1,
        Root::Alerts => 2,
        Root::Coordination => 4,
        Root::ProjectIndex => 8,
        Root::System => 16,
        Root::Tasks => 32,
    }
}

impl Roster {
    /// The one of this thread. It outlives its hub's incarnations.
    pub(crate) fn here() -> Rc<Self> {
        HERE.with(Rc::clone)
    }

    /// Takes a seat.
    pub(crate) fn join(&self, seat: Rc<Seat>) -> Key {
        let mut inner = self.inner.borrow_mut();
        inner.next = inner.next.wrapping_add(1);
        let key = inner.next;
        inner.seats.insert(key, Place { seat, roots: 0, topics: Vec::new() });
        drop(inner);
        self.joined.notify_one();
        key
    }

    /// Comes when a seat was taken.
    pub(crate) async fn joined(&self) {
        self.joined.notified().await;
    }

    /// Gives a seat up.
    pub(crate) fn leave(&self, key: Key) {
        self.subscribe(key, Vec::new());
        self.inner.borrow_mut().seats.remove(&key);
    }

    /// Changes what a seat is subscribed to.
    pub(crate) fn subscribe(&self, key: Key, topics: Vec<Topic>) {
        let mut inner = self.inner.borrow_mut();
        let Some(place) = inner.seats.get_mut(&key) else { return };
        place.roots = topics
            .iter()
            .filter(|topic| *topic.part() == Part::Whole)
            .fold(0, |bits, topic| bits | bit(topic.root()));
        let before = std::mem::replace(&mut place.topics, topics.clone());
        for topic in before {
            inner.unlist(key, &topic);
        }
        for topic in topics {
            inner.list(key, &topic);
        }
    }

    /// How many seats there are.
    pub(crate) fn count(&self) -> usize {
        self.inner.borrow().seats.len()
    }

    /// Every seat.
    pub(crate) fn seats(&self) -> Vec<Rc<Seat>> {
        self.inner.borrow().seats.values().map(|place| Rc::clone(&place.seat)).collect()
    }

    /// The seats that are subscribed to anything; a worker's is not.
    pub(crate) fn watching(&self) -> Vec<Rc<Seat>> {
        let inner = self.inner.borrow();
        let places = inner.seats.values().filter(|place| !place.topics.is_empty());
        places.map(|place| Rc::clone(&place.seat)).collect()
    }

    /// The seat of a connection.
    pub(crate) fn find(&self, id: &str) -> Option<Rc<Seat>> {
        let inner = self.inner.borrow();
        inner.seats.values().find(|place| &*place.seat.id == id).map(|place| Rc::clone(&place.seat))
    }

    /// Those who are subscribed to a topic, or to a part of it.
    pub(crate) fn of(&self, root: Root) -> Vec<Rc<Seat>> {
        let inner = self.inner.borrow();
        let fits = |place: &&Place| place.topics.iter().any(|topic| topic.root() == root);
        inner.seats.values().filter(fits).map(|place| Rc::clone(&place.seat)).collect()
    }

    /// Adds whom an entry concerns.
    pub(crate) fn concern(&self, entry: &Entry, concerned: &mut Concerned) {
        let root = Root::of(entry.kind);
        concerned.roots |= bit(root);
        let inner = self.inner.borrow();
        if inner.tasks.is_empty() && inner.agents.is_empty() && inner.queues.is_empty() {
            return;
        }
        let found = [
            entry.task.and_then(|task| inner.tasks.get(&task)),
            entry.agent.and_then(|agent| inner.agents.get(&agent)),
            entry.queue.as_ref().and_then(|queue| inner.queues.get(queue)),
        ];
        concerned.keys.extend(found.into_iter().flatten().flatten());
    }

    /// Rings whom it concerns. Answers how many, and the ids of those who have missed too many by now.
    pub(crate) fn ring(&self, concerned: &Concerned, now: Instant) -> (usize, Vec<Arc<str>>) {
        let inner = self.inner.borrow();
        let (mut count, mut lagging) = (0_usize, Vec::new());
        for (key, place) in &inner.seats {
            let is_any = concerned.roots == u8::MAX && !place.topics.is_empty();
            let awaits = place.seat.awaited_growth();
            if is_any || awaits || place.roots & concerned.roots != 0 || concerned.keys.contains(key) {
                count = count.saturating_add(1);
                if !place.seat.ring(now) {
                    lagging.push(Arc::clone(&place.seat.id));
                }
            }
        }
        (count, lagging)
    }
}

impl Inner {
    fn list(&mut self, key: Key, topic: &Topic) {
        match topic.part() {
            Part::Task(task) => self.tasks.entry(*task).or_default().push(key),
            Part::Agent(agent) => self.agents.entry(*agent).or_default().push(key),
            Part::Queue(queue) => self.queues.entry(queue.clone()).or_default().push(key),
            Part::Whole | Part::Other => {}
        }
    }

    fn unlist(&mut self, key: Key, topic: &Topic) {
        match topic.part() {
            Part::Task(task) => drop_key(&mut self.tasks, task, key),
            Part::Agent(agent) => drop_key(&mut self.agents, agent, key),
            Part::Queue(queue) => drop_key(&mut self.queues, queue, key),
            Part::Whole | Part::Other => {}
        }
    }
}

fn drop_key<K: std::hash::Hash + Eq>(index: &mut HashMap<K, Vec<Key>>, name: &K, key: Key) {
    if let Some(keys) = index.get_mut(name) {
        keys.retain(|known| *known != key);
        if keys.is_empty() {
            index.remove(name);
        }
    }
}
