//! Whether a session may begin, a watcher's or a worker's: checks of the handshake, in the order of what they cost; and what a
//! session holds from then on.
//!
//! Invariant: who is denied is counted and logged with the reason.

use std::sync::Arc;

use actix_web::http::header::{HOST, ORIGIN};
use actix_web::{HttpRequest, HttpResponseBuilder};
use protocol::live::limits::Ending;
use runtime::{Caller, Phase};
use supervision::GuestSpec;

use super::book::{Book, Full};
use super::greeting::Endpoint;
use super::socket::{self, Holds};
use crate::connection::Client;
use crate::problem::Problem;
use crate::state::Hive;

/// A subprotocol that begins so carries a token, for browsers, which cannot send headers.
pub(crate) const BEARER: &str = "bearer.";

/// A request to begin a session.
pub(crate) struct Asking<'a> {
    pub(crate) hive: &'a Hive,
    pub(crate) caller: &'a Caller,
    pub(crate) http: &'a HttpRequest,
    pub(crate) endpoint: Endpoint,
}

impl Asking<'_> {
    /// Counts and logs a denial.
    pub(crate) fn denied(&self, reason: &str, problem: Problem) -> Problem {
        self.hive.live.metrics.denials.with_label_values(&[reason]).inc();
        tracing::info!(
            correlation_id = &*self.caller.correlation_id,
            endpoint = self.endpoint.as_str(),
            reason,
            "session denied"
        );
        problem
    }

    /// Looks at what the request alone says. The answer is still without its body.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn shake_hands(&self) -> Result<HttpResponseBuilder, Problem> {
        if !is_origin_allowed(self.http, &self.hive.live.settings.allowed_origins) {
            return Err(self.denied("origin", Problem::OriginNotAllowed));
        }
        if self.hive.runtime.phase() == Phase::Draining {
            return Err(self.denied("draining", Problem::NotReady("draining")));
        }
        socket::shake_hands(self.http).map_err(|error| {
            self.denied("handshake", Problem::Malformed(format!("this route speaks WebSocket: {error}")))
        })
    }

    /// Takes the session in.
    ///
    /// # Errors
    /// There is no room for it.
    pub(crate) fn admit(&self, id: &Arc<str>) -> Result<Holds, Problem> {
        let hive = self.hive;
        let listed =
            Book::enter(hive, id, self.endpoint, &self.caller.principal).map_err(|full| match full {
                Full::Hive => self.denied("hive_full", Problem::Overloaded),
                Full::Principal => {
                    let max = hive.live.settings.sessions_per_principal_max;
                    self.denied("principal_full", Problem::TooManySessions { max })
                }
            })?;
        let live_hive = hive.clone();
        let closed = Arc::clone(id);
        let spec = GuestSpec::new(Arc::clone(id), "session", move || {
            live_hive.live.close(&closed, Ending::Shutdown);
        });
        let guest =
            hive.live.supervisor.host(&spec).map_err(|error| {
                self.denied("not_supervised", Problem::Internal { cause: error.to_string() })
            })?;
        hive.live.metrics.connections.with_label_values(&[self.endpoint.as_str()]).inc();
        let client = Client::of(self.http);
        client.limit_writes(hive.live.settings.slow_timeout);
        tracing::info!(
            session.id = &**id,
            correlation_id = &*self.caller.correlation_id,
            principal = &*self.caller.principal,
            endpoint = self.endpoint.as_str(),
            "session begins"
        );
        Ok(Holds {
            _guest: guest,
            _listed: listed,
            _in_session: hive.in_flight.begin_session(),
            _under_way: client.begin(),
        })
    }
}

/// Counts and logs the end of a session, with its reason.
pub(crate) fn tell_end(
    hive: &Hive,
    (id, endpoint): (&str, Endpoint),
    correlation_id: &str,
    (reason, is_stalled): (&'static str, bool),
) {
    if is_stalled {
        hive.live.metrics.send_failures.inc();
    }
    hive.live.metrics.disconnections.with_label_values(&[reason]).inc();
    tracing::info!(session.id = id, correlation_id, endpoint = endpoint.as_str(), reason, "session ended");
}

/// A page may connect from the hive's own origin, or from one that the settings name; programs send no origin.
fn is_origin_allowed(http: &HttpRequest, allowed: &[String]) -> bool {
    let Some(origin) = http.headers().get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    if allowed.iter().any(|known| known.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let host = http.headers().get(HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").map(|(_, host)| host);
    own.is_some() && own == host
}
