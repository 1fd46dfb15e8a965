//! Lanes: tasks that are alike to a dispatcher, and which agents can take them.
//!
//! Invariant: two tasks of one lane can be taken by exactly the same agents, so that a plan needs only counts.

use std::collections::BTreeSet;

use crate::id::{AgentId, TenantId};
use crate::name::Name;

/// What a lane stands for: tenant, queue, canonical requirements and, where pinned, the one agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneSpec {
    /// Whose.
    pub tenant: TenantId,
    /// Which queue.
    pub queue: Name,
    /// Capabilities an agent must have, sorted and without repeats.
    pub requires: BTreeSet<Name>,
    /// The one agent that may take it.
    pub pinned: Option<AgentId>,
}

impl LaneSpec {
    /// Whether an agent with `capabilities` may take tasks of this lane.
    #[must_use]
    pub fn is_covered_by(&self, tenant: TenantId, agent: AgentId, capabilities: &BTreeSet<Name>) -> bool {
        self.tenant == tenant
            && self.pinned.is_none_or(|pinned| pinned == agent)
            && self.requires.is_subset(capabilities)
    }

    /// The requirements as one text, the key under which the store interns a lane.
    #[must_use]
    pub fn requires_key(&self) -> String {
        let names: Vec<&str> = self.requires.iter().map(Name::as_str).collect();
        names.join(",")
    }

    /// Reads [`LaneSpec::requires_key`] back; what is not a name is left out.
    #[must_use]
    pub fn requires_from_key(key: &str) -> BTreeSet<Name> {
        key.split(',').filter_map(|name| name.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> BTreeSet<Name> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn an_agent_takes_a_lane_when_it_has_all_it_requires_and_is_the_pinned_one() {
        let (me, other) = (AgentId::from_raw(1), AgentId::from_raw(2));
        let lane = LaneSpec {
            tenant: TenantId::DEFAULT,
            queue: "default".parse().unwrap(),
            requires: names(&["gpu", "rust"]),
            pinned: None,
        };
        let has = names(&["gpu", "rust", "python"]);
        assert!(lane.is_covered_by(TenantId::DEFAULT, me, &has));
        assert!(!lane.is_covered_by(TenantId::DEFAULT, me, &names(&["gpu"])));
        assert!(!lane.is_covered_by(TenantId(2), me, &has));
        let pinned = LaneSpec { pinned: Some(other), ..lane };
        assert!(!pinned.is_covered_by(TenantId::DEFAULT, me, &has));
        assert!(pinned.is_covered_by(TenantId::DEFAULT, other, &has));
    }

    #[test]
    fn the_requirements_key_is_canonical() {
        let lane = |words: &[&str]| LaneSpec {
            tenant: TenantId::DEFAULT,
            queue: "q".parse().unwrap(),
            requires: names(words),
            pinned: None,
        };
        assert_eq!(lane(&["b", "a", "b"]).requires_key(), "a,b");
        assert_eq!(LaneSpec::requires_from_key("a,b"), names(&["a", "b"]));
        assert_eq!(LaneSpec::requires_from_key(""), BTreeSet::new());
    }
}
