//! `Idempotency-Key`: which scope it has and what it stands for.

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use sha2::{Digest, Sha256};
use store::command::IdempotencyKey;

use crate::principal::Principal;
use crate::problem::Problem;
use crate::state::Hive;

const HEADER: &str = "Idempotency-Key";
const NAME: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_CHARS_MAX: usize = 255;

/// The key of a request, if it names one, within the scope of tenant, principal and route.
///
/// # Errors
/// When it is empty, longer than 255 characters, or holds more than visible ASCII or a quotation mark.
pub(crate) fn key(
    hive: &Hive,
    principal: &Principal,
    http: &HttpRequest,
    route: &str,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = http.headers().get(NAME) else { return Ok(None) };
    let key = value
        .to_str()
        .ok()
        .map(bare)
        .filter(|key| (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(is_fit))
        .ok_or_else(|| {
            Problem::invalid(HEADER, "must be 1 to 255 visible ASCII characters, bare or quoted")
        })?;
    let ttl_ms = u64::try_from(hive.settings.idempotency_ttl.as_millis()).unwrap_or(u64::MAX);
    let tenant = principal.tenant().0.to_string();
    let hash = hash(&[&tenant, &principal.caller.principal, route, key]);
    Ok(Some(IdempotencyKey { hash, fingerprint: Sha256::digest(body).into(), ttl_ms }))
}

/// The key of one item of a request that has a key.
pub(crate) fn of_item(key: IdempotencyKey, place: usize) -> IdempotencyKey {
    let mut hasher = Sha256::new();
    hasher.update(key.hash);
    hasher.update(u64::try_from(place).unwrap_or(u64::MAX).to_be_bytes());
    IdempotencyKey { hash: hasher.finalize().into(), ..key }
}

/// Within quotation marks another one would have to be escaped; there is none.
fn is_fit(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"'
}

/// A quoted key (a string of RFC 8941) and a bare one are the same key.
fn bare(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// SHA-256 over the parts, each with its length before it, so that no two scopes run together.
fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_key_is_the_same_as_a_bare_one() {
        assert_eq!(bare("\"abc\""), "abc");
        assert_eq!(bare(" abc "), "abc");
        assert_eq!(bare("\"abc"), "\"abc");
        assert_eq!(bare("\"\""), "");
        assert_eq!(bare("\""), "\"");
    }

    #[test]
    fn a_key_holds_no_quotation_mark_of_its_own() {
        assert!("a-Z9~!".bytes().all(is_fit));
        assert!([b'"', b' ', b'\n', 0x7f, 0x80].into_iter().all(|byte| !is_fit(byte)));
    }

    #[test]
    fn scopes_do_not_run_together() {
        assert_ne!(hash(&["1", "admin", "POST /tasks", "k"]), hash(&["1", "admin", "POST /agents", "k"]));
        assert_ne!(hash(&["1", "ab", "c", "k"]), hash(&["1", "a", "bc", "k"]));
    }
}
