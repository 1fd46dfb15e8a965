//! API keys: logins beside the admin token, each with a role. Of the key itself only a hash is ever kept.

use std::fmt;
use std::str::FromStr;

use crate::id::{AgentId, ApiKeyId, TenantId};
use crate::name::Name;
use crate::time::Timestamp;

/// What the holder of a key or token is there for. What each role may is decided in `api`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, commands on the hive's machine and other keys included.
    Admin,
    /// Keeps queues and workers going.
    Operator,
    /// Hands in tasks.
    Developer,
    /// Looks.
    Viewer,
    /// One agent: takes its assignments and reports about them.
    Agent,
}

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be admin, operator, developer, viewer or agent")]
pub struct NotARole;

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Operator, Self::Developer, Self::Viewer, Self::Agent];

    /// The word that is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
            Self::Agent => "agent",
        }
    }
}

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NotARole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An API key as the hive knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it, and what stands in `created_by` of what its holder makes; one key a name.
    pub name: Name,
    /// What its holder may do.
    pub role: Role,
    /// Which agent its holder is; of the role agent, and of no other.
    pub agent: Option<AgentId>,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// How the key begins, for people to recognise it by.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it opens nothing.
    pub expires_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_back_from_its_word() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        for bad in ["", "Admin", "root", "admin "] {
            assert_eq!(bad.parse::<Role>(), Err(NotARole), "{bad}");
        }
    }

    #[test]
    fn a_key_opens_until_its_moment_has_come() {
        let mut key = ApiKey {
            id: ApiKeyId::from_raw(1),
            tenant: TenantId::DEFAULT,
            name: "ci".parse().unwrap(),
            role: Role::Viewer,
            agent: None,
            sha256: [0; 32],
            prefix: "hive_".into(),
            created_at: Timestamp::ZERO,
            created_by: "admin".into(),
            expires_at: None,
        };
        assert!(!key.is_expired(Timestamp::MAX));
        key.expires_at = Some(Timestamp::from_micros(10));
        assert!(!key.is_expired(Timestamp::from_micros(9)));
        assert!(key.is_expired(Timestamp::from_micros(10)));
    }
}
