//! The five places to connect to as a watcher.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Payload;

use super::admission::Asking;
use super::greeting::{Endpoint, Greeting};
use super::seat::Seat;
use super::session::Session;
use super::socket;
use crate::allowed::{Allowed, Watch};
use crate::answer::Answer;
use crate::connection::Client;
use crate::problem::Problem;
use crate::query::Given;
use crate::state::Hive;

/// Where the five places are.
pub(crate) const ROOT: &str = "/api/dashboard/ws/";
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
            open(hive, &principal, &http, payload, (Endpoint::$endpoint, given)).await
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

async fn open(
    hive: Hive,
    principal: &Allowed<Watch>,
    http: &HttpRequest,
    payload: Payload,
    (endpoint, given): (Endpoint, Given),
) -> Answer {
    let asking = Asking { hive: &hive, caller: &principal.caller, http, endpoint };
    let answer = asking.shake_hands()?;
    let greeting = Greeting::read(endpoint, given.0)
        .map_err(|unreadable| asking.denied("parameters", Problem::from(unreadable)))?;
    // Who was answered finds it in the snapshot.
    hive.runtime.settled().await;
    let holds = asking.admit(&greeting.id)?;
    let seat = Seat::new(Arc::clone(&greeting.id), (**principal).clone(), Client::of(http));
    let session = Session::new(hive.clone(), (**principal).clone(), greeting, seat);
    Ok(socket::open(answer, http, payload, session, holds))
}
