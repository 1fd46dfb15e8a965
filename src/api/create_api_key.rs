//! `POST /auth/keys`: an API key is made. It is shown once, in this answer; from then on only its hash is there.

use actix_web::HttpRequest;
use domain::limits::API_KEYS_MAX;
use domain::{ALPHABET, Timestamp, Violations};
use protocol::schemas::IdempotencyKeyText;
use protocol::{ApiKeyView, CreateApiKey, KeyEnd, SecretText};
use runtime::NewApiKey;
use sha2::{Digest, Sha256};
use store::outcome::ApiKeyCreated;

use crate::allowed::{Allowed, ManageKeys};
use crate::answer::{self, Answer};
use crate::body::{Body, Small};
use crate::idempotency;
use crate::problem::Problem;
use crate::query::NoQuery;
use crate::state::Hive;
use crate::views;

const ROUTE: &str = "POST /auth/keys";
/// What every token of a hive begins with, so that scanners of repositories and logs can tell one.
const PREFIX: &str = "hive_";
/// Letters after that: 52 letters of 5 bits hold 256 random bits.
const LETTERS: usize = 52;
/// So many of them are kept to recognise a key by: 30 bits, which leaves 226 that nobody knows.
const LETTERS_SHOWN: usize = 6;

/// Make an API key.
#[utoipa::path(post, path = "/api/v2/auth/keys", tag = "keys", request_body = CreateApiKey,
    params(("Idempotency-Key" = Option<IdempotencyKeyText>, Header, description = "1 to 255 visible ASCII characters, kept for 24 h")),
    responses(
        (status = 201, description = "Made, with `key`; or made before under the same idempotency key, and then without `key`: \
            nobody can show it again", body = ApiKeyView,
         headers(("Idempotent-Replayed", description = "`true` when it was made before"))),
        (status = 409, description = "`unique_conflict`: the name is taken; `state_conflict`: there are 1,000 keys")))]
pub(crate) async fn create_api_key(
    hive: Hive,
    principal: Allowed<ManageKeys>,
    http: HttpRequest,
    body: Body<Small>,
    _: NoQuery,
) -> Answer {
    let asked = body.read::<CreateApiKey>(&hive)?;
    let guard = idempotency::key(&hive, &principal, &http, ROUTE, body.bytes())?;
    let now = hive.clock.now();
    let secret = new_secret();
    let key = NewApiKey {
        name: asked.name.clone(),
        role: asked.role,
        agent: asked.agent,
        expires_at: expiry(asked.end, now)?,
        sha256: Sha256::digest(&secret).into(),
        prefix: secret.chars().take(PREFIX.len() + LETTERS_SHOWN).collect(),
    };
    match hive.runtime.create_api_key(&principal.caller, key, guard).await? {
        ApiKeyCreated::Accepted(key) => {
            answer::key_created(&views::api_key(*key, Some(SecretText::new(secret)), now), false)
        }
        ApiKeyCreated::Replayed(key) => answer::key_created(&views::api_key(*key, None, now), true),
        ApiKeyCreated::KeyMismatch => Err(Problem::IdempotencyMismatch),
        ApiKeyCreated::NameTaken => Err(Problem::KeyNameTaken(asked.name.to_string())),
        ApiKeyCreated::UnknownAgent => Err(Problem::invalid("agent_id", "names no agent")),
        ApiKeyCreated::TooMany => Err(Problem::TooManyKeys { max: API_KEYS_MAX }),
    }
}

fn expiry(end: KeyEnd, now: Timestamp) -> Result<Option<Timestamp>, Violations> {
    match end {
        KeyEnd::Never => Ok(None),
        KeyEnd::At(at) if at <= now => Err(Violations::one("expires_at", "must lie ahead")),
        KeyEnd::At(at) => Ok(Some(at)),
        KeyEnd::AfterS(seconds) => Ok(Some(now.plus_ms(seconds.saturating_mul(1_000)))),
    }
}

/// A new key from 256 random bits.
fn new_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0);
    let letters = (0..LETTERS).map(|letter| {
        let digit = (letter * 5..letter * 5 + 5).fold(0, |digit, at| digit * 2 + usize::from(bit(at)));
        ALPHABET.get(digit).map_or('0', |byte| char::from(*byte))
    });
    PREFIX.chars().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_prefix_and_52_letters_and_no_two_are_the_same() {
        let keys: std::collections::HashSet<String> = (0..100).map(|_| new_secret()).collect();
        assert_eq!(keys.len(), 100);
        for key in &keys {
            let letters = key.strip_prefix("hive_").unwrap();
            assert!(letters.len() == 52 && letters.bytes().all(|letter| ALPHABET.contains(&letter)), "{key}");
        }
        let seen: std::collections::HashSet<char> = keys.iter().flat_map(|key| key.chars().skip(5)).collect();
        assert_eq!(seen.len(), 32, "every letter comes up");
    }

    #[test]
    fn a_key_cannot_be_made_for_the_past() {
        let now = Timestamp::from_micros(1_000_000);
        assert_eq!(expiry(KeyEnd::Never, now), Ok(None));
        assert_eq!(expiry(KeyEnd::AfterS(2), now), Ok(Some(Timestamp::from_micros(3_000_000))));
        assert!(expiry(KeyEnd::At(now), now).is_err());
        let later = now.plus_ms(1);
        assert_eq!(expiry(KeyEnd::At(later), now), Ok(Some(later)));
    }
}
