//! The API keys of a running hive, by what they are looked up by: the hash of what a request offers.
//!
//! Filled at the start and changed on the writer's thread right after the commit of a change, before anybody is
//! answered. So a lookup costs no read of the store, and a removed key opens nothing once its removal is answered.
//!
//! Invariant: it holds exactly the committed keys. Where a change was committed but its answer got lost, the key that
//! was made is known to nobody, and whoever repeats the removal is told that there is none, which takes it out here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use domain::{ApiKey, ApiKeyId, TenantId};
use parking_lot::RwLock;

/// A key with what is counted of it in memory.
#[derive(Debug)]
pub struct HeldKey {
    /// The key as it is stored.
    pub key: ApiKey,
    /// Its name, cheap to clone.
    pub name: Arc<str>,
    /// For whoever limits its rate: one number that is theirs, 0 at the beginning.
    pub meter: AtomicI64,
}

/// All keys of this process: at most 1,000 a tenant.
#[derive(Debug, Default)]
pub struct KeyRing {
    by_sha256: RwLock<HashMap<[u8; 32], Arc<HeldKey>>>,
}

impl KeyRing {
    /// The key of a hash, also one whose time is over.
    #[must_use]
    pub fn find(&self, sha256: &[u8; 32]) -> Option<Arc<HeldKey>> {
        self.by_sha256.read().get(sha256).map(Arc::clone)
    }

    /// Puts a committed key in; one that is there keeps its count.
    pub fn put(&self, key: &ApiKey) {
        let held = || HeldKey { key: key.clone(), name: key.name.as_str().into(), meter: AtomicI64::new(0) };
        self.by_sha256.write().entry(key.sha256).or_insert_with(|| Arc::new(held()));
    }

    /// Takes a key out.
    pub fn remove(&self, tenant: TenantId, id: ApiKeyId) {
        self.by_sha256.write().retain(|_, held| (held.key.tenant, held.key.id) != (tenant, id));
    }
}
