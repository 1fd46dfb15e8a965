//! The HTTP server and its numbers.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use crate::body::Budget;
use crate::gate::gate;
use crate::health::Probe;
use crate::metrics::Metrics;
use crate::rate_limit::Quota;
use crate::routes;
use crate::state::{ApiState, Shared};

/// How long a client may take to close its side after ours is closed.
const DISCONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Serves on a bound listener. The caller drives the returned server; its handle stops it, gracefully.
///
/// # Errors
/// When the listener cannot be used, or the metrics' names are taken.
pub fn serve(listener: TcpListener, state: ApiState) -> std::io::Result<Server> {
    let settings = state.settings;
    let metrics = Metrics::new().map_err(std::io::Error::other)?;
    metrics.register(&state.metrics).map_err(std::io::Error::other)?;
    let budget = Arc::new(Budget::new(settings.bodies_in_flight_bytes_max, metrics.bodies_in_flight.clone()));
    let (probe, quota) = (Probe::default(), Quota::new(settings.rate));
    let shared = Data::new(Shared { state, metrics, budget, probe, quota });
    let server = HttpServer::new(move || {
        App::new().app_data(shared.clone()).wrap(from_fn(gate)).configure(routes::configure)
    })
    .workers(settings.web_threads)
    .max_connections(settings.connections_per_thread_max)
    .keep_alive(settings.keep_alive)
    .client_request_timeout(settings.head_timeout)
    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
    // A long poll whose client is gone must be dropped, so that its lease is handed back.
    .h1_allow_half_closed(false)
    .tcp_nodelay(true)
    .shutdown_timeout(settings.shutdown_timeout.as_secs())
    .disable_signals();
    Ok(server.listen(listener)?.run())
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
