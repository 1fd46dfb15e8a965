//! `GET /agents/{id}/session`: a worker opens its session.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Payload;
use domain::AgentId;
use protocol::worker_session::SessionQuery;

use super::session::{Begun, WorkSession};
use crate::allowed::{Allowed, Work};
use crate::answer::Answer;
use crate::connection::Client;
use crate::live::admission::Asking;
use crate::live::greeting::{Endpoint, new_id};
use crate::live::seat::Seat;
use crate::live::socket;
use crate::path::Named;
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;

/// Whether a path is that of a worker's session.
pub(crate) fn is_here(path: &str) -> bool {
    path.starts_with("/api/v2/agents/") && path.ends_with("/session")
}

/// Take work over a WebSocket.
pub(crate) async fn open_session(
    hive: Hive,
    principal: Allowed<Work>,
    http: HttpRequest,
    (id, payload): (Named<AgentId>, Payload),
    given: Given,
) -> Answer {
    let asking = Asking { hive: &hive, caller: &principal.caller, http: &http, endpoint: Endpoint::Worker };
    let answer = asking.shake_hands()?;
    let session_id = new_id();
    let asked = SessionQuery::read(given.0).map_err(|error| asking.denied("parameters", error.into()))?;
    let instance = asked.worker_instance.map_or_else(|| Arc::clone(&session_id), Arc::from);
    match hive.runtime.is_worker(&principal.caller, id.0).await? {
        Some(true) => {}
        Some(false) => return Err(asking.denied("not_a_worker", Problem::NotAWorker)),
        None => return Err(asking.denied("no_agent", id.not_found())),
    }
    let holds = asking.admit(&session_id)?;
    let seat = Seat::new(Arc::clone(&session_id), (*principal).clone(), Client::of(&http));
    let begun = Begun { principal: (*principal).clone(), agent: id.0, instance, id: session_id };
    Ok(socket::open(answer, &http, payload, WorkSession::new(hive.clone(), begun, seat), holds))
}
