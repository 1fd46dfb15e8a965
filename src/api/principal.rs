//! Who asks: the bearer token, compared in constant time, and the extractor of what it stands for.

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

/// An authenticated request. The gate puts it there; an endpoint that names it has it.
#[derive(Clone)]
pub(crate) struct Principal {
    pub(crate) caller: Caller,
}

impl Principal {
    /// Whose things this request sees.
    pub(crate) fn tenant(&self) -> TenantId {
        self.caller.tenant
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
    admin_token_sha256: &[u8; 32],
    correlation_id: &Arc<str>,
) -> Result<Principal, Problem> {
    let token = bearer(headers).ok_or(Problem::Unauthorized)?;
    let offered: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    if bool::from(offered.ct_eq(admin_token_sha256)) {
        let correlation_id = Arc::clone(correlation_id);
        let principal = ADMIN_NAME.with(Arc::clone);
        Ok(Principal { caller: Caller { tenant: TenantId::DEFAULT, principal, correlation_id } })
    } else {
        Err(Problem::Unauthorized)
    }
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
        let admin: [u8; 32] = Sha256::digest(b"secret").into();
        authenticate(&headers, &admin, &Arc::from("c"))
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
