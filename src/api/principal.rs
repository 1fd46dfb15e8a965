//! Who asks: the bearer token, and what it stands for: the admin token, compared in constant time, or an API key, found
//! by its hash. Of neither is more kept than the hash, so that the time of a lookup tells nothing of use.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use actix_web::web::Query;
use domain::{AgentId, Role, TenantId};
use runtime::{Caller, HeldKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::allowed::{Grant, Permission};
use crate::live::admission::BEARER;
use crate::problem::Problem;
use crate::state::Shared;

/// What the holder of the admin token is called in `created_by`.
pub(crate) const ADMIN: &str = "admin";

/// An authenticated request. The gate puts it there; an endpoint has it through `Allowed`.
#[derive(Clone)]
pub(crate) struct Principal {
    pub(crate) caller: Caller,
    pub(crate) role: Role,
    /// The key it came with; the admin token is none.
    pub(crate) key: Option<Arc<HeldKey>>,
}

impl Principal {
    /// Whose things this request sees.
    pub(crate) fn tenant(&self) -> TenantId {
        self.caller.tenant
    }

    /// The one agent that it is, where it is no more than that.
    pub(crate) fn agent(&self) -> Option<AgentId> {
        self.caller.agent
    }

    /// Whether what it came with still opens: for what goes on for long after it was let in.
    pub(crate) fn still_opens(&self, hive: &Shared) -> bool {
        self.key.as_ref().is_none_or(|held| hive.runtime.api_key(&held.key.sha256).is_some())
    }

    /// Whether it has a right, at least in part.
    pub(crate) fn may<P: Permission>(&self) -> bool {
        P::RIGHT.grant(self.role) != Grant::No
    }

    /// Refuses it unless it has a right, at least in part.
    ///
    /// # Errors
    /// [`Problem::Forbidden`].
    pub(crate) fn demand<P: Permission>(&self) -> Result<(), Problem> {
        if self.may::<P>() { Ok(()) } else { Err(Problem::Forbidden { right: P::RIGHT, role: self.role }) }
    }
}

/// The principal of a request with this token; `find` knows the API keys that open.
///
/// # Errors
/// [`Problem::Unauthorized`], the same for every cause.
pub(crate) fn authenticate(
    token: Option<&str>,
    admin_sha256: &[u8; 32],
    find: impl FnOnce(&[u8; 32]) -> Option<Arc<HeldKey>>,
    correlation_id: &Arc<str>,
) -> Result<Principal, Problem> {
    let token = token.filter(|token| !token.is_empty()).ok_or(Problem::Unauthorized)?;
    let offered: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let correlation_id = Arc::clone(correlation_id);
    if bool::from(offered.ct_eq(admin_sha256)) {
        let principal = ADMIN_NAME.with(Arc::clone);
        let caller = Caller { tenant: TenantId::DEFAULT, principal, agent: None, correlation_id };
        return Ok(Principal { caller, role: Role::Admin, key: None });
    }
    let held = find(&offered).ok_or(Problem::Unauthorized)?;
    let key = &held.key;
    let (tenant, principal, agent) = (key.tenant, Arc::clone(&held.name), key.agent);
    let caller = Caller { tenant, principal, agent, correlation_id };
    Ok(Principal { caller, role: key.role, key: Some(held) })
}

thread_local! {
    /// One a thread, so that cloning it touches no other processor's cache.
    static ADMIN_NAME: Arc<str> = Arc::from(ADMIN);
}

/// The token of a request to open a WebSocket: browsers can send no header, so it may stand in the address, or be a
/// subprotocol.
pub(crate) fn bearer_or_offered(headers: &HeaderMap, query: &str) -> Option<String> {
    if let Some(token) = bearer(headers) {
        return Some(token.to_owned());
    }
    let pairs = Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner).unwrap_or_default();
    let named = pairs.into_iter().find_map(|(name, value)| (name == "access_token").then_some(value));
    named.or_else(|| {
        let mut protocols = headers.get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?.split(',').map(str::trim);
        protocols.find_map(|name| name.strip_prefix(BEARER)).map(str::to_owned)
    })
}

/// The token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowed::{ChangeTasks, ManageKeys, ManageQueues, RunCommands};
    use actix_web::http::header::HeaderValue;
    use domain::{ApiKey, ApiKeyId, Timestamp};

    fn held() -> Arc<HeldKey> {
        let key = ApiKey {
            id: ApiKeyId::from_raw(1),
            tenant: TenantId(7),
            name: "dev".parse().unwrap(),
            role: Role::Developer,
            agent: None,
            sha256: Sha256::digest("other").into(),
            prefix: "o".into(),
            created_at: Timestamp::ZERO,
            created_by: ADMIN.into(),
            expires_at: None,
        };
        Arc::new(HeldKey { name: "dev".into(), key, meter: 0.into() })
    }

    fn ask(authorization: Option<&'static str>) -> Result<Principal, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let find = |sha256: &[u8; 32]| Some(held()).filter(|held| held.key.sha256 == *sha256);
        authenticate(bearer(&headers), &Sha256::digest("secret").into(), find, &Arc::from("c"))
    }

    #[test]
    fn whoever_lacks_a_right_is_told_which_roles_have_it() {
        let admin = ask(Some("Bearer secret")).unwrap();
        assert!(admin.demand::<RunCommands>().is_ok() && admin.demand::<ManageKeys>().is_ok());
        let developer = ask(Some("Bearer other")).unwrap();
        assert!(developer.demand::<ChangeTasks>().is_ok());
        let refused = developer.demand::<ManageQueues>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "managing queues needs the role admin or operator, and yours is developer"
        );
    }

    #[test]
    fn only_the_right_token_opens() {
        for good in ["Bearer secret", "bearer secret", "BEARER  secret "] {
            assert_eq!(&*ask(Some(good)).unwrap().caller.principal, ADMIN, "{good}");
        }
        for bad in ["Bearer", "Bearer ", "Bearer secret2", "Basic secret", "secret", "Bearersecret"] {
            assert!(ask(Some(bad)).is_err(), "{bad}");
        }
        assert!(ask(None).is_err());
    }

    #[test]
    fn a_key_stands_for_its_name_its_tenant_and_its_role() {
        let developer = ask(Some("Bearer other")).unwrap();
        assert_eq!((&*developer.caller.principal, developer.tenant()), ("dev", TenantId(7)));
        assert_eq!((developer.role, developer.agent()), (Role::Developer, None));
    }
}
