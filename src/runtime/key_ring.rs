//! The API keys of a running hive, by what they are looked up by: the hash of what a request offers.
//!
//! Filled at the start and changed on the writer's thread right after the commit of a change, before anybody is
//! answered. So a lookup costs no read of the store, and a removed key opens nothing once its removal is answered.
//!
//! Invariant: it holds no key but committed ones. Where a change was committed but its answer got lost with the writer's
//! thread, a key that was made is known to nobody, and one that was removed leaves when the coordinator recovers from
//! that, or when somebody repeats the removal.

use std::collections::{HashMap, HashSet};
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

    /// Those that are here now.
    pub(crate) fn held(&self) -> Vec<Arc<HeldKey>> {
        self.by_sha256.read().values().cloned().collect()
    }

    /// Takes those of `held` out that are not `stored`. Keys that came meanwhile stay; none is put in, since it may have
    /// been removed meanwhile.
    pub(crate) fn forget_missing(&self, held: &[Arc<HeldKey>], stored: &[ApiKey]) {
        let stored: HashSet<ApiKeyId> = stored.iter().map(|key| key.id).collect();
        let gone = held.iter().filter(|held| !stored.contains(&held.key.id));
        gone.for_each(|held| self.remove(held.key.tenant, held.key.id));
    }

    /// Takes a key out.
    pub fn remove(&self, tenant: TenantId, id: ApiKeyId) {
        self.by_sha256.write().retain(|_, held| (held.key.tenant, held.key.id) != (tenant, id));
    }
}

#[cfg(test)]
mod tests {
    use domain::Role;

    use super::*;

    fn key(id: i64) -> ApiKey {
        let at = domain::Timestamp::ZERO;
        ApiKey {
            id: ApiKeyId::from_raw(id),
            tenant: TenantId::DEFAULT,
            name: "key".parse().unwrap(),
            role: Role::Viewer,
            agent: None,
            sha256: [u8::try_from(id).unwrap(); 32],
            prefix: "hive_0".to_owned(),
            created_at: at,
            created_by: "tester".to_owned(),
            expires_at: None,
        }
    }

    #[test]
    fn what_the_store_has_no_more_leaves_and_what_came_meanwhile_stays() {
        let ring = KeyRing::default();
        ring.put(&key(1));
        ring.put(&key(2));
        let held = ring.held();
        ring.put(&key(3));
        ring.forget_missing(&held, &[key(2), key(4)]);
        let opens = |id: u8| ring.find(&[id; 32]).is_some();
        assert_eq!([opens(1), opens(2), opens(3), opens(4)], [false, true, true, false]);
    }
}
