//! The correlation id of a request: named by the client, taken from its trace, or made here.

use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};
use domain::limits::CORRELATION_ID_CHARS_MAX;

/// The header, in and out.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-correlation-id");

/// The header of W3C Trace Context.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The id of the request with these headers.
pub(crate) fn of(headers: &HeaderMap) -> Arc<str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let named = text(HEADER).filter(|id| is_fit(id));
    let traced = || text(TRACE_PARENT).and_then(trace_id);
    named.or_else(traced).map_or_else(made, Arc::from)
}

/// One that is made here.
pub(crate) fn made() -> Arc<str> {
    Arc::from(format!("{:032x}", rand::random::<u128>()))
}

fn is_fit(id: &str) -> bool {
    (1..=CORRELATION_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

/// The trace id of a W3C `traceparent`, source: <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.trim().splitn(4, '-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may add parts after the flags.
    let flags = if version == "00" { flags } else { flags.split('-').next()? };
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_set = |text: &str| text.bytes().any(|b| b != b'0');
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_set(trace)
        && is_hex(parent, 16)
        && is_set(parent)
        && is_hex(flags, 2);
    is_valid.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn with(pairs: &[(&'static str, &str)]) -> Arc<str> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        of(&headers)
    }

    #[test]
    fn a_clients_own_id_is_kept_and_goes_before_its_trace() {
        let trace = format!("00-{TRACE}-b7ad6b7169203331-01");
        assert_eq!(&*with(&[("x-correlation-id", "Order-7:a.b_c")]), "Order-7:a.b_c");
        assert_eq!(&*with(&[("x-correlation-id", "mine"), ("traceparent", &trace)]), "mine");
        assert_eq!(&*with(&[("traceparent", &trace)]), TRACE);
    }

    #[test]
    fn an_id_that_is_not_fit_is_replaced_by_a_new_one() {
        let long = "x".repeat(129);
        for bad in ["", "a b", "a\"b", "ä", "a/b", long.as_str()] {
            let id = with(&[("x-correlation-id", bad)]);
            assert!(is_fit(&id) && id.len() == 32, "{bad} gave {id}");
        }
        assert_ne!(with(&[]), with(&[]));
    }

    #[test]
    fn only_a_valid_traceparent_counts() {
        let valid = |text: &str| trace_id(text).is_some();
        assert!(valid(&format!("01-{TRACE}-b7ad6b7169203331-01-more")));
        for bad in [
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
        ] {
            assert!(!valid(&bad), "{bad}");
        }
    }
}
