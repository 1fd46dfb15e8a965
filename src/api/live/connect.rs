//! The five places to connect: checks of the handshake, in the order of what they cost.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::web::Payload;
use protocol::live::limits::Ending;
use runtime::Phase;
use supervision::GuestSpec;

use super::book::{Book, Full};
use super::greeting::{Endpoint, Greeting};
use super::hub::CloseSession;
use super::seat::Seat;
use super::session::Session;
use super::socket::{self, Holds};
use crate::allowed::{Allowed, Watch};
use crate::answer::Answer;
use crate::connection::Client;
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;

/// Where the five places are.
pub(crate) const ROOT: &str = "/api/dashboard/ws/";
/// A subprotocol that begins so carries a token, for browsers, which cannot send headers.
pub(crate) const BEARER: &str = "bearer.";

macro_rules! places {
    ($($name:ident, $endpoint:ident, $what:literal;)*) => { $(
        #[doc = $what]
        pub(crate) async fn $name(
            hive: Hive,
            principal: Allowed<Watch>,
            http: HttpRequest,
            payload: Payload,
            given: Given,
        ) -> Answer {
            open(hive, &principal, &http, payload, (Endpoint::$endpoint, given))
        }
    )* };
}

places! {
    watch_dashboard, Dashboard, "Watch agents, coordination, tasks and the system.";
    watch_agents, Agents, "Watch agents and the system.";
    watch_coordination, Coordination, "Watch coordination, alerts and the system.";
    watch_tasks, Tasks, "Watch tasks and agents.";
    watch_system, System, "Watch the system and alerts.";
}

fn open(
    hive: Hive,
    principal: &Allowed<Watch>,
    http: &HttpRequest,
    payload: Payload,
    (endpoint, given): (Endpoint, Given),
) -> Answer {
    let denied = |reason: &str, problem: Problem| {
        hive.live.metrics.denials.with_label_values(&[reason]).inc();
        tracing::info!(
            correlation_id = &*principal.caller.correlation_id,
            endpoint = endpoint.as_str(),
            reason,
            "session denied"
        );
        problem
    };
    if !is_origin_allowed(http, &hive.live.settings.allowed_origins) {
        return Err(denied("origin", Problem::OriginNotAllowed));
    }
    if hive.runtime.phase() == Phase::Draining {
        return Err(denied("draining", Problem::NotReady("draining")));
    }
    let answer = socket::shake_hands(http).map_err(|error| {
        denied("handshake", Problem::Malformed(format!("this route speaks WebSocket: {error}")))
    })?;
    let greeting = Greeting::read(endpoint, given.0)
        .map_err(|(name, what)| denied("parameters", Problem::invalid(&name, what)))?;
    let id = Arc::clone(&greeting.id);
    let listed =
        Book::enter(&hive, &id, endpoint, &principal.caller.principal).map_err(|full| match full {
            Full::Hive => denied("hive_full", Problem::Overloaded),
            Full::Principal => {
                let max = hive.live.settings.sessions_per_principal_max;
                denied("principal_full", Problem::TooManySessions { max })
            }
        })?;
    let live_hive = hive.clone();
    let closed = Arc::clone(&id);
    let spec = GuestSpec::new(Arc::clone(&id), "session", move || {
        for hub in live_hive.live.hubs() {
            // A hub that is gone has no sessions left.
            let _ = hub.tell(CloseSession { id: Arc::clone(&closed), ending: Ending::Shutdown });
        }
    });
    let guest = hive
        .live
        .supervisor
        .host(&spec)
        .map_err(|error| denied("not_supervised", Problem::Internal { cause: error.to_string() }))?;
    let client = Client::of(http);
    client.limit_writes(hive.live.settings.slow_timeout);
    let holds = Holds {
        _guest: guest,
        _listed: listed,
        _in_session: hive.in_flight.begin_session(),
        _under_way: client.begin(),
    };
    tracing::info!(
        session.id = &*id,
        correlation_id = &*principal.caller.correlation_id,
        principal = &*principal.caller.principal,
        endpoint = endpoint.as_str(),
        "session begins"
    );
    let seat = Seat::new(id, (**principal).clone());
    let session = Session::new(hive.clone(), (**principal).clone(), greeting, seat);
    Ok(socket::open(answer, http, payload, session, holds))
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
