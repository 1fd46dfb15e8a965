//! API keys: made, listed.

use domain::limits::API_KEY_TTL_S_MAX;
use domain::{AgentId, ApiKeyId, Limits, Name, Review, Role, Timestamp, Violations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schemas::{AgentIdText, NameText};
use crate::{Request, SecretText, time, whole};

/// Names that stand for the hive's own principals in `created_by`.
const OWN_NAMES: [&str; 2] = ["admin", "hive"];

/// `POST /auth/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"name": "ci", "role": "developer", "expires_in_s": 7776000})))]
#[serde(deny_unknown_fields, default)]
pub struct CreateApiKey {
    /// What people call it, and what stands in `created_by`; one key a name. Not `admin`, not `hive`.
    #[schema(required = true, value_type = NameText)]
    pub name: String,
    /// What its holder may do.
    #[schema(required = true, pattern = "^(admin|operator|developer|viewer|agent)$")]
    pub role: String,
    /// Which agent its holder is; with the role `agent`, and only with that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AgentIdText>)]
    pub agent_id: Option<String>,
    /// From when on it opens nothing, RFC 3339; excludes `expires_in_s`. Never when both are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// After how many seconds it opens nothing, up to ten years.
    #[serde(deserialize_with = "whole::option", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 315619200)]
    pub expires_in_s: Option<u64>,
}

/// What a [`CreateApiKey`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyAsked {
    /// What people call it.
    pub name: Name,
    /// What its holder may do.
    pub role: Role,
    /// Which agent its holder is.
    pub agent: Option<AgentId>,
    /// When it ends.
    pub end: KeyEnd,
}

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEnd {
    /// Never.
    Never,
    /// At this moment.
    At(Timestamp),
    /// So many seconds after it was made.
    AfterS(u64),
}

impl Request for CreateApiKey {
    type Asked = ApiKeyAsked;

    fn check(self, _: &Limits) -> Result<ApiKeyAsked, Violations> {
        let mut review = Review::new();
        let is_own = OWN_NAMES.contains(&self.name.as_str());
        review.require(!is_own, "name", "must not be a name of the hive itself");
        let name = review.take("name", self.name.parse::<Name>());
        let role = review.take("role", self.role.parse::<Role>());
        let names_agent = self.agent_id.is_some();
        let agent = self.agent_id.and_then(|id| review.take("agent_id", id.parse::<AgentId>()));
        if let Some(role) = role {
            let is_agent = role == Role::Agent;
            review.require(
                !is_agent || names_agent,
                "agent_id",
                "must name the agent of a key with that role",
            );
            review.require(is_agent || !names_agent, "agent_id", "only stands beside the role agent");
        }
        let end = match (self.expires_at, self.expires_in_s) {
            (None, None) => KeyEnd::Never,
            (Some(at), None) => review.take("expires_at", time::read(&at)).map_or(KeyEnd::Never, KeyEnd::At),
            (None, Some(seconds)) => {
                let fits = (1..=API_KEY_TTL_S_MAX).contains(&seconds);
                review.require(fits, "expires_in_s", "must be from 1 to 315619200");
                KeyEnd::AfterS(seconds)
            }
            (Some(_), Some(_)) => {
                review.note("expires_in_s", "cannot stand beside expires_at: name one of them");
                KeyEnd::Never
            }
        };
        review.finish()?;
        match (name, role) {
            (Some(name), Some(role)) => Ok(ApiKeyAsked { name, role, agent, end }),
            // Each of them was noted above when it is missing.
            (None, _) | (_, None) => Err(Violations(Vec::new())),
        }
    }
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyView {
    /// Its id: `key_` and 13 letters.
    #[serde(with = "crate::text")]
    #[schema(value_type = crate::schemas::ApiKeyIdText)]
    pub id: ApiKeyId,
    /// What people call it, and what stands in `created_by`.
    pub name: String,
    /// What its holder may do.
    #[schema(pattern = "^(admin|operator|developer|viewer|agent)$")]
    pub role: String,
    /// Which agent its holder is, of the role `agent`.
    #[serde(with = "crate::text::option")]
    #[schema(value_type = Option<crate::schemas::AgentIdText>)]
    pub agent_id: Option<AgentId>,
    /// How the key begins, to recognise it by.
    pub prefix: String,
    /// When it was made.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it opens nothing; null for never.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Whether its time is over.
    pub expired: bool,
    /// The key itself. It stands in the answer that made the key and nowhere else, ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub key: Option<SecretText>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request;

    fn read(body: &str) -> Result<ApiKeyAsked, Vec<String>> {
        request::read::<CreateApiKey>(body.as_bytes(), &Limits::default()).map_err(|error| match error {
            request::Unreadable::InvalidValue(Violations(broken)) => {
                broken.into_iter().map(|violation| violation.field).collect()
            }
            other => vec![other.to_string()],
        })
    }

    #[test]
    fn a_name_and_a_role_are_enough_but_for_an_agent() {
        let asked = read(r#"{"name":"ci","role":"developer"}"#).unwrap();
        assert_eq!((asked.role, asked.agent, asked.end), (Role::Developer, None, KeyEnd::Never));
        let asked = read(r#"{"name":"w","role":"agent","agent_id":"agent_0000000000001","expires_in_s":9}"#);
        let asked = asked.unwrap();
        assert_eq!((asked.agent, asked.end), (Some(AgentId::from_raw(1)), KeyEnd::AfterS(9)));
        assert_eq!(read(r#"{"name":"w","role":"agent"}"#).unwrap_err(), ["agent_id"]);
    }

    #[test]
    fn every_broken_rule_of_a_key_is_told_at_once() {
        let refused = |body: &str| read(body).unwrap_err();
        assert_eq!(refused("{}"), ["name", "role"]);
        assert_eq!(refused(r#"{"name":"admin","role":"root","agent_id":"7"}"#), ["name", "role", "agent_id"]);
        let other = r#"{"name":"a","role":"viewer","agent_id":"agent_0000000000001"}"#;
        assert_eq!(refused(other), ["agent_id"]);
        assert_eq!(refused(r#"{"name":"a","role":"viewer","expires_at":"soon"}"#), ["expires_at"]);
        assert_eq!(refused(r#"{"name":"a","role":"viewer","expires_in_s":0}"#), ["expires_in_s"]);
        let both = r#"{"name":"a","role":"viewer","expires_at":"2027-01-01T00:00:00Z","expires_in_s":1}"#;
        assert_eq!(refused(both), ["expires_in_s"]);
    }

    #[test]
    fn a_view_that_holds_the_key_does_not_show_it_to_a_log() {
        let text = r#"{"id":"key_0000000000001","name":"ci","role":"viewer","agent_id":null,"prefix":"hive_a",
            "created_at":"2027-01-01T00:00:00Z","created_by":"admin","expires_at":null,"expired":false,"key":"hive_abc"}"#;
        let view: ApiKeyView = serde_json::from_str(text).unwrap();
        assert!(!format!("{view:?}").contains("hive_abc"));
        assert!(serde_json::to_string(&view).unwrap().contains("hive_abc"));
    }
}
