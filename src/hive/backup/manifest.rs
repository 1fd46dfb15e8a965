//! What a backup says about itself.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::backup::Contents;

/// The manifest of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The program that made it.
    pub hive_version: String,
    /// When it was begun.
    #[serde(with = "protocol::time")]
    pub created_at: Timestamp,
    /// The newest migration of the database.
    pub schema: String,
    /// The name of its log.
    pub epoch: String,
    /// The first event that is in it.
    pub first_seq: i64,
    /// The last event of its log.
    pub last_seq: i64,
    /// All tasks.
    pub task_count: u64,
    /// Tasks by state.
    pub tasks: BTreeMap<String, u64>,
    /// Agents that were not removed.
    pub agent_count: u64,
    /// Length of the database, which begins the file.
    pub database_bytes: u64,
}

impl Manifest {
    /// Of a copy that was looked into.
    #[must_use]
    pub fn of(contents: &Contents, created_at: Timestamp, database_bytes: u64) -> Self {
        Self {
            hive_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            schema: contents.schema.clone(),
            epoch: contents.epoch.clone(),
            first_seq: contents.first_seq,
            last_seq: contents.last_seq,
            task_count: contents.tasks.values().sum(),
            tasks: contents.tasks.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect(),
            agent_count: contents.agent_count,
            database_bytes,
        }
    }

    /// Whether a database is the one that this manifest tells of.
    #[must_use]
    pub fn agrees_with(&self, contents: &Contents) -> bool {
        let found = Self {
            hive_version: self.hive_version.clone(),
            ..Self::of(contents, self.created_at, self.database_bytes)
        };
        *self == found
    }
}
