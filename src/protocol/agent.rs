//! Agents: registered, changed, shown.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AgentId, AgentPatch, Labels, Limits, Link, Name, NewAgent, ProcessLinkEdit, Review, Timestamp,
    Violations, limits,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::process_link::{LinkAsked, LinkView, PatchLink, RegisterLink};
use crate::schemas::{LabelsText, NameText};
use crate::submit_task::{names, read_labels};
use crate::{Request, object, whole};

/// The role of an agent that names none.
pub const ROLE_DEFAULT: &str = "worker";

/// `POST /agents`. Only `name` is required.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"name": "words-1", "capabilities": ["english"], "capacity": 4})))]
#[serde(deny_unknown_fields, default)]
pub struct RegisterAgent {
    /// What people call it; one agent a name.
    #[schema(required = true, value_type = NameText)]
    pub name: String,
    /// What it is for, in a word; `worker` when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub role: Option<String>,
    /// What it can do, at most 64.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<NameText>, max_items = 64)]
    pub capabilities: Vec<String>,
    /// How many assignments it may hold at a time, 1 to 10000; 1 when missing.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub capacity: Option<u32>,
    /// For people and filters, at most 32.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = LabelsText)]
    pub labels: BTreeMap<String, String>,
    /// How it is reached; a worker when missing.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub link: Option<RegisterLink>,
}

/// What a [`RegisterAgent`] asks for: an agent whose preset is not looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentAsked {
    /// What people call it.
    pub name: Name,
    /// What it is for.
    pub role: Name,
    /// What it can do.
    pub capabilities: BTreeSet<Name>,
    /// How many assignments it may hold at a time.
    pub capacity: u32,
    /// For people and filters.
    pub labels: Labels,
    /// How it is reached.
    pub link: LinkAsked,
}

impl AgentAsked {
    /// The agent, with its link as it was found.
    #[must_use]
    pub fn with_link(self, link: Link) -> NewAgent {
        let Self { name, role, capabilities, capacity, labels, link: _ } = self;
        NewAgent { name, role, capabilities, capacity, labels, link }
    }
}

impl Request for RegisterAgent {
    type Asked = AgentAsked;

    fn check(self, _: &Limits) -> Result<AgentAsked, Violations> {
        let mut review = Review::new();
        let name = review.take("name", self.name.parse::<Name>());
        let role = self.role.as_deref().unwrap_or(ROLE_DEFAULT);
        let role = review.take("role", role.parse::<Name>());
        let link = self.link.map_or(LinkAsked::Worker, |link| link.check(&mut review));
        let capabilities = names(&mut review, "capabilities", &self.capabilities, limits::CAPABILITIES_MAX);
        let labels = read_labels(&mut review, self.labels);
        let capacity = self.capacity.unwrap_or(1);
        let rules = AgentPatch {
            capabilities: Some(capabilities.clone()),
            capacity: Some(capacity),
            labels: Some(labels.clone()),
            ..AgentPatch::default()
        };
        both(review.finish(), rules.review())?;
        match (name, role) {
            (Some(name), Some(role)) => Ok(AgentAsked { name, role, capabilities, capacity, labels, link }),
            // Each of them was noted above when it is missing.
            (None, _) | (_, None) => Err(Violations(Vec::new())),
        }
    }
}

/// `PATCH /agents/{id}`; what is missing stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"capacity": 2, "labels": {"team": "docs"}})))]
#[serde(deny_unknown_fields, default)]
pub struct PatchAgent {
    /// Another role.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NameText>)]
    pub role: Option<String>,
    /// Other capabilities, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<NameText>>, max_items = 64)]
    pub capabilities: Option<Vec<String>>,
    /// Another capacity, 1 to 10000.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub capacity: Option<u32>,
    /// Other labels, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<LabelsText>)]
    pub labels: Option<BTreeMap<String, String>>,
    /// What changes of how it is reached; for process agents only.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "object::option")]
    pub link: Option<PatchLink>,
}

/// What a [`PatchAgent`] asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentChangeAsked {
    /// All but the link.
    pub patch: AgentPatch,
    /// What changes of the present link.
    pub link: Option<ProcessLinkEdit>,
}

impl Request for PatchAgent {
    type Asked = AgentChangeAsked;

    fn check(self, _: &Limits) -> Result<AgentChangeAsked, Violations> {
        let mut review = Review::new();
        let role = self.role.and_then(|role| review.take("role", role.parse::<Name>()));
        let capabilities = self
            .capabilities
            .map(|texts| names(&mut review, "capabilities", &texts, limits::CAPABILITIES_MAX));
        let labels: Option<Labels> = self.labels.map(|labels| read_labels(&mut review, labels));
        let link = self.link.map(|link| link.check(&mut review));
        let patch = AgentPatch { role, capabilities, capacity: self.capacity, labels, link: None };
        both(review.finish(), patch.review())?;
        Ok(AgentChangeAsked { patch, link })
    }
}

/// All broken rules of two reviews.
fn both(one: Result<(), Violations>, other: Result<(), Violations>) -> Result<(), Violations> {
    match (one, other) {
        (Ok(()), other) => other,
        (one, Ok(())) => one,
        (Err(Violations(mut broken)), Err(Violations(more))) => {
            broken.extend(more);
            Err(Violations(broken))
        }
    }
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// Its id: `agent_` and 13 letters.
    #[serde(with = "crate::text")]
    #[schema(value_type = crate::schemas::AgentIdText)]
    pub id: AgentId,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub role: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// How many assignments it may hold at a time.
    pub capacity: u32,
    /// For people and filters.
    pub labels: BTreeMap<String, String>,
    /// How it is doing, in a word.
    #[schema(pattern = "^(idle|working|draining|stalled|offline|failed)$")]
    pub state: String,
    /// How it is reached.
    pub link: LinkView,
    /// How many assignments it holds.
    pub working: u64,
    /// How many attempts it completed.
    pub completed: u64,
    /// How many of its attempts failed.
    pub failed: u64,
    /// completed / (completed + failed); null before the first.
    pub success_rate: Option<f64>,
    /// Its last sign of life.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_activity_at: Option<Timestamp>,
    /// When it was registered.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request;

    fn fields<R: Request>(body: &str) -> Vec<String> {
        match request::read::<R>(body.as_bytes(), &Limits::default()) {
            Ok(_) => vec![],
            Err(request::Unreadable::InvalidValue(Violations(broken))) => {
                broken.into_iter().map(|violation| violation.field).collect()
            }
            Err(other) => vec![other.to_string()],
        }
    }

    #[test]
    fn a_name_is_enough_for_an_agent() {
        let asked = request::read::<RegisterAgent>(br#"{"name":"coder-1"}"#, &Limits::default()).unwrap();
        assert_eq!(asked.role.as_str(), ROLE_DEFAULT);
        assert_eq!((asked.capacity, asked.link), (1, LinkAsked::Worker));
    }

    #[test]
    fn every_broken_rule_of_an_agent_is_told_at_once() {
        let body = r#"{"name":"No","role":"x y","capabilities":["ok","NO"],"capacity":0,
            "labels":{"K":"v"},"link":{"kind":"robot"}}"#;
        let expected = ["name", "role", "link.kind", "capabilities[1]", "labels.K", "capacity"];
        assert_eq!(fields::<RegisterAgent>(body), expected);
        assert_eq!(fields::<RegisterAgent>(r#"{"name":"a","link":{}}"#), ["link.kind"]);
        assert_eq!(fields::<PatchAgent>(r#"{"capacity":10001,"role":""}"#), ["role", "capacity"]);
        assert_eq!(fields::<PatchAgent>("{}"), Vec::<String>::new());
    }
}
