//! A supervisor's children, and the order in which they end.
//!
//! **Invariant:** keys grow and are never used again, so the order of keys is the order of starting, and an exit of a
//! child that is no longer in the table means nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::agenda::{Agenda, Due};
use crate::intensity::{Failures, Streak};
use crate::node::{ChildExited, Exit, ExitLine, Node, Startable};
use crate::{Restart, ShutdownReport};

/// A forced end takes only the next turn of the child's arbiter; a stalled one is not waited for any longer.
const FORCED_GRACE: Duration = Duration::from_secs(1);

/// What a supervisor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Children live, and may be added.
    Running,
    /// All children are being ended.
    Ending,
    /// Its incarnation ended; its own supervisor will say what follows.
    Suspended,
    /// Gone for good.
    Stopped,
}

/// What a child is doing, as far as its supervisor knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildState {
    Running,
    /// Its incarnation ended, and a restart is due. The number tells this wait from an earlier one.
    Waiting(u64),
    /// Its incarnation ended, and nothing is decided.
    Suspended,
    /// Was told to stop alone.
    Stopping,
    /// Was told to stop because it failed too often.
    GivingUp,
    /// Ended for good; kept, because the spec has it.
    Gone,
}

/// One child.
pub(crate) struct Child {
    pub(crate) node: Arc<dyn Node>,
    /// Kept for the children of the spec only.
    pub(crate) spec: Option<Arc<dyn Startable>>,
    pub(crate) restart: Restart,
    pub(crate) grace: Duration,
    pub(crate) state: ChildState,
    /// Whether `node` is gone, so that only the spec can start the child again.
    pub(crate) is_gone: bool,
    /// Made at the first failure.
    pub(crate) record: Option<Box<Record>>,
    pub(crate) stop_waiters: Vec<oneshot::Sender<StopOutcome>>,
}

/// A child's failures.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) failures: Failures,
    pub(crate) streak: Streak,
}

/// How a child that was told to stop did so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// Within its grace.
    InTime,
    /// Not within its grace; what was under way was dropped.
    Late,
}

/// How the children are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    Suspend,
    Stop,
}

/// What follows when they have ended.
#[derive(Debug, Clone)]
pub(crate) enum After {
    /// They begin again.
    RestartGroup { keys: Vec<u64>, delay: Duration },
    /// The supervisor tells its own supervisor.
    Suspend(Exit),
    /// The supervisor is gone.
    Finish { failure: Option<Arc<str>> },
}

/// A child whose end is waited for.
struct Awaited {
    deadline: Instant,
    is_to_be_gone: bool,
    is_forced: bool,
    is_late: bool,
}

/// An orderly end of several children: wave after wave, the one started last first.
pub(crate) struct Wind {
    goal: Goal,
    is_forced: bool,
    /// The last one is next. Children added at run time end together, those of the spec one by one.
    waves: Vec<Vec<u64>>,
    awaited: HashMap<u64, Awaited>,
    pub(crate) after: After,
}

/// All of a supervisor that changes.
pub(crate) struct Table {
    pub(crate) phase: Phase,
    pub(crate) line: Arc<ExitLine>,
    pub(crate) agenda: Agenda,
    pub(crate) children: BTreeMap<u64, Child>,
    pub(crate) ids: HashMap<Arc<str>, u64>,
    pub(crate) shared: Failures,
    pub(crate) wind: Option<Wind>,
    /// Failures of children that a wind under way does not concern, for after it.
    pub(crate) deferred: Vec<(u64, Arc<str>)>,
    pub(crate) late: Vec<Arc<str>>,
    pub(crate) waiters: Vec<oneshot::Sender<ShutdownReport>>,
    next_key: u64,
    next_wait: u64,
}

impl Table {
    pub(crate) fn new(line: Arc<ExitLine>) -> Self {
        Self {
            phase: Phase::Running,
            line,
            agenda: Agenda::default(),
            children: BTreeMap::new(),
            ids: HashMap::new(),
            shared: Failures::default(),
            wind: None,
            deferred: Vec::new(),
            late: Vec::new(),
            waiters: Vec::new(),
            next_key: 0,
            next_wait: 0,
        }
    }

    pub(crate) fn next_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    pub(crate) fn insert(&mut self, key: u64, id: Arc<str>, child: Child) {
        self.ids.insert(id, key);
        self.children.insert(key, child);
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<Child> {
        let child = self.children.remove(&key)?;
        self.ids.remove(&child.node.entry().segment);
        Some(child)
    }

    /// Marks a child whose incarnation ended as due for a restart.
    pub(crate) fn await_restart(&mut self, key: u64) -> Option<u64> {
        self.next_wait += 1;
        let wait = self.next_wait;
        let child = self.children.get_mut(&key)?;
        child.state = ChildState::Waiting(wait);
        Some(wait)
    }

    /// Begins to end the children `keys`, given in their order of starting. A wind under way is replaced.
    pub(crate) fn begin_wind(&mut self, keys: &[u64], goal: Goal, is_forced: bool, after: After) {
        let mut waves: Vec<Vec<u64>> = Vec::new();
        let mut together = Vec::new();
        for key in keys {
            match self.children.get(key) {
                Some(child) if child.spec.is_some() => waves.push(vec![*key]),
                Some(_) => together.push(*key),
                None => {}
            }
        }
        if !together.is_empty() {
            waves.push(together);
        }
        self.wind = Some(Wind { goal, is_forced, waves, awaited: HashMap::new(), after });
    }

    /// Notes an exit for the wind under way. True: the wind concerns this child.
    pub(crate) fn wind_absorbs(&mut self, signal: &ChildExited) -> bool {
        let Some(wind) = &mut self.wind else { return false };
        let Some(awaited) = wind.awaited.get(&signal.key) else {
            return wind.waves.iter().flatten().any(|key| *key == signal.key) && self.note_early(signal);
        };
        if signal.is_gone || !awaited.is_to_be_gone {
            wind.awaited.remove(&signal.key);
        }
        if !signal.is_gone
            && let Some(child) = self.children.get_mut(&signal.key)
        {
            child.state = ChildState::Suspended;
        }
        true
    }

    /// A child that ended before its turn is not failing any more: it just is at its end already.
    fn note_early(&mut self, signal: &ChildExited) -> bool {
        if !signal.is_gone
            && let Some(child) = self.children.get_mut(&signal.key)
        {
            child.state = ChildState::Suspended;
        }
        true
    }

    /// Orders the next waves to end, as far as there is nobody to wait for. What follows, when all have ended.
    pub(crate) fn advance_wind(&mut self, now: Instant) -> Option<After> {
        let wind = self.wind.as_mut()?;
        let mut first_deadline = None;
        while wind.awaited.is_empty() {
            let Some(wave) = wind.waves.pop() else {
                return self.wind.take().map(|wind| wind.after);
            };
            for key in wave {
                let Some(child) = self.children.get_mut(&key) else { continue };
                let is_to_be_gone =
                    wind.goal == Goal::Stop || child.spec.is_none() || child.restart == Restart::Temporary;
                let is_forced = wind.is_forced || child.grace.is_zero();
                match child.state {
                    _ if child.is_gone => continue,
                    ChildState::Waiting(_) | ChildState::Suspended if !is_to_be_gone => {
                        child.state = ChildState::Suspended;
                        continue;
                    }
                    _ if is_to_be_gone => child.node.stop(is_forced),
                    _ => child.node.suspend(is_forced),
                }
                let grace = if is_forced { FORCED_GRACE } else { child.grace };
                let deadline = now.checked_add(grace).unwrap_or(now);
                first_deadline = first_deadline.map_or(Some(deadline), |first| Some(deadline.min(first)));
                wind.awaited.insert(key, Awaited { deadline, is_to_be_gone, is_forced, is_late: false });
            }
        }
        if let Some(deadline) = first_deadline {
            self.agenda.add(deadline, Due::CheckWind);
        }
        None
    }

    /// Forces the children whose grace is over, and waits no longer for those that were forced in vain. Returns who
    /// became late.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<u64> {
        let Some(wind) = &mut self.wind else { return Vec::new() };
        let mut late = Vec::new();
        let mut next_deadline: Option<Instant> = None;
        let children = &mut self.children;
        wind.awaited.retain(|key, awaited| {
            let Some(child) = children.get_mut(key) else { return false };
            if awaited.deadline <= now {
                if !awaited.is_late {
                    awaited.is_late = true;
                    late.push(*key);
                }
                if awaited.is_forced || !child.node.can_be_forced() {
                    // Orders wait for it: should it ever end, it stops, or begins again with the others.
                    child.state =
                        if awaited.is_to_be_gone { ChildState::Stopping } else { ChildState::Suspended };
                    return false;
                }
                awaited.is_forced = true;
                awaited.deadline = now.checked_add(FORCED_GRACE).unwrap_or(now);
                if awaited.is_to_be_gone {
                    child.node.stop(true);
                } else {
                    child.node.suspend(true);
                }
            }
            next_deadline = Some(next_deadline.map_or(awaited.deadline, |next| next.min(awaited.deadline)));
            true
        });
        if let Some(next) = next_deadline {
            self.agenda.add(next, Due::CheckWind);
        }
        late
    }
}
