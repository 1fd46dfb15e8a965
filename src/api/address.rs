//! Which resource a path means, found without a regular expression.
//!
//! actix matches a pattern with a variable by regular expression, one after the other: 25 µs for the longest of ours,
//! more than everything else in a request. All our variables stand at one place, so the path is cut there once, and
//! the router is pointed to a path without variables. What users sent stays in the request's URI.
//!
//! Invariant: every pattern of the table that has a variable has it right after its collection:
//! `/api/v2/{collection}/{variable}` (or below `/api/dashboard/websocket/`) and, where there is more, `/{action}`.

use std::sync::LazyLock;

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;

use crate::routes::{SOCKETS, TABLE};

const ROOTS: [&str; 2] = ["/api/v2/", "/api/dashboard/websocket/"];
/// The one collection whose name has two parts.
const KEYS: &str = "auth/keys";

/// A pattern with a variable, and where its resource is registered.
struct Address {
    root: &'static str,
    collection: &'static str,
    action: &'static str,
    registered: Uri,
}

static ADDRESSES: LazyLock<Vec<Address>> = LazyLock::new(|| {
    let patterns = TABLE.iter().map(|(pattern, _)| *pattern).chain(SOCKETS.iter().copied());
    patterns
        .filter(|pattern| pattern.contains('{'))
        .filter_map(|pattern| {
            let Parts { root, collection, action, .. } = cut(pattern)?;
            Some(Address { root, collection, action, registered: registered(pattern).parse().ok()? })
        })
        .collect()
});

/// Patterns without a variable that look as if they had one.
static PLAIN: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let patterns = TABLE.iter().map(|(pattern, _)| *pattern).filter(|pattern| !pattern.contains('{'));
    patterns.filter(|pattern| cut(pattern).is_some()).collect()
});

/// The path under which a pattern's resource is registered: a dash in place of the variable.
pub(crate) fn registered(pattern: &str) -> String {
    pattern.replace("{id}", "-").replace("{name}", "-")
}

/// The text in the place of the variable. Ids and names need no percent-encoding; the gate has undone what there was.
pub(crate) fn variable(path: &str) -> Option<&str> {
    cut(path).map(|parts| parts.variable)
}

/// Points the router to the resource that the path means, where the path has a variable.
pub(crate) fn point(request: &mut ServiceRequest) {
    let Some(address) = find(request.path()) else { return };
    request.match_info_mut().get_mut().update(&address.registered);
}

fn find(path: &str) -> Option<&'static Address> {
    let parts = cut(path)?;
    if PLAIN.contains(&path) {
        return None;
    }
    ADDRESSES.iter().find(|address| {
        (address.action, address.collection, address.root) == (parts.action, parts.collection, parts.root)
    })
}

struct Parts<'a> {
    root: &'static str,
    collection: &'a str,
    variable: &'a str,
    action: &'a str,
}

fn cut(path: &str) -> Option<Parts<'_>> {
    let (root, path) = ROOTS.into_iter().find_map(|root| Some((root, path.strip_prefix(root)?)))?;
    let (collection, rest) = match path.strip_prefix(KEYS).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => (KEYS, rest),
        None => path.split_once('/')?,
    };
    let (variable, action) = rest.split_once('/').unwrap_or((rest, ""));
    Some(Parts { root, collection, variable, action })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_with_a_variable_is_found_and_no_other() {
        for (pattern, _) in TABLE {
            let (path, value) = (pattern.replace("{id}", "v7").replace("{name}", "v7"), Some("v7"));
            match find(&path) {
                Some(address) => {
                    assert_eq!(address.registered.path(), registered(pattern), "{pattern}");
                    assert_eq!(variable(&path), value, "{pattern}");
                }
                None => assert!(!pattern.contains('{'), "{pattern}"),
            }
        }
    }

    #[test]
    fn what_is_no_route_is_not_found() {
        for path in [
            "/api/v2/tasks",
            "/api/v2/tasks/a/b/c",
            "/api/v2/bogus/a",
            "/api/v2/auth/a",
            "/api/v2/disconnect/a",
            "/api/dashboard/websocket/tasks/a",
            "/api/v2/auth/keys/a/b",
            "/health/live",
            "/api/v2//",
            "",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
        assert_eq!(variable("/api/v2/tasks//complete"), Some(""));
    }
}
