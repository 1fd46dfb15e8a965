//! Who asks: the bearer token, compared in constant time, and the extractor of what it stands for.
//!
//! Invariant: what runs commands or deletes files on the hive's machine demands the admin role, here, by name.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use domain::TenantId;
use runtime::Caller;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::Problem;

/// What the holder of the admin token is called in `created_by`.
pub(crate) const ADMIN: &str = "admin";

/// Why a process agent is not for everybody.
pub(crate) const RUNS_COMMANDS: &str =
    "creating or changing a process agent runs commands on the hive's machine: it is remote execution";

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Everything, commands on the hive's machine included.
    Admin,
    /// For tests of what an admin alone may do: there is no other login yet.
    #[cfg(test)]
    Developer,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            #[cfg(test)]
            Self::Developer => "developer",
        }
    }
}

/// A token and what it stands for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Login {
    /// SHA-256 of the token; the token itself is not kept.
    pub(crate) token_sha256: [u8; 32],
    /// What its holder is called in `created_by`.
    pub(crate) name: &'static str,
    /// What its holder may do.
    pub(crate) role: Role,
}

/// An authenticated request. The gate puts it there; an endpoint that names it has it.
#[derive(Clone)]
pub(crate) struct Principal {
    pub(crate) caller: Caller,
    role: Role,
}

impl Principal {
    /// Whose things this request sees.
    pub(crate) fn tenant(&self) -> TenantId {
        self.caller.tenant
    }

    /// Refuses everybody but an admin. `what` says in words what was asked for, and why it is not for everybody.
    ///
    /// # Errors
    /// [`Problem::Forbidden`].
    pub(crate) fn require_admin(&self, what: &'static str) -> Result<(), Problem> {
        if self.role == Role::Admin {
            return Ok(());
        }
        Err(Problem::Forbidden { what, role: self.role.as_str() })
    }
}

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get::<Self>().cloned().ok_or(Problem::Unauthorized))
    }
}

/// The principal of a request with these headers.
///
/// # Errors
/// [`Problem::Unauthorized`], the same for every cause.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    logins: &[Login],
    correlation_id: &Arc<str>,
) -> Result<Principal, Problem> {
    let token = bearer(headers).ok_or(Problem::Unauthorized)?;
    let offered: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    // All of them are compared, so that the time does not tell which one came close.
    let mut found = None;
    for login in logins {
        if bool::from(offered.ct_eq(&login.token_sha256)) {
            found = Some(login);
        }
    }
    let login = found.ok_or(Problem::Unauthorized)?;
    let principal = if login.name == ADMIN { ADMIN_NAME.with(Arc::clone) } else { Arc::from(login.name) };
    let correlation_id = Arc::clone(correlation_id);
    Ok(Principal {
        caller: Caller { tenant: TenantId::DEFAULT, principal, correlation_id },
        role: login.role,
    })
}

thread_local! {
    /// One a thread, so that cloning it touches no other processor's cache.
    static ADMIN_NAME: Arc<str> = Arc::from(ADMIN);
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn ask(authorization: Option<&'static str>) -> Result<Principal, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        }
        let login =
            |token: &str, name, role| Login { token_sha256: Sha256::digest(token).into(), name, role };
        let logins = [login("secret", ADMIN, Role::Admin), login("other", "dev", Role::Developer)];
        authenticate(&headers, &logins, &Arc::from("c"))
    }

    #[test]
    fn only_an_admin_passes_where_an_admin_is_demanded() {
        assert!(ask(Some("Bearer secret")).unwrap().require_admin("this").is_ok());
        let developer = ask(Some("Bearer other")).unwrap();
        assert_eq!(&*developer.caller.principal, "dev");
        let refused = developer.require_admin("this").unwrap_err();
        assert_eq!(refused.to_string(), "this; that needs the role admin, and this token's is developer");
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
}
