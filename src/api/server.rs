//! The HTTP server and its numbers.
//!
//! It is put together from the parts of actix-web's own `HttpServer`, because that one takes no stream of ours
//! ([`Connection`]) below the protocol.

use std::future::ready;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, Error};
use tokio::net::TcpStream;

use crate::body::Budget;
use crate::connection::Connection;
use crate::gate::gate;
use crate::health::Probe;
use crate::live::metrics::LiveMetrics;
use crate::live::{Live, hub};
use crate::metrics::Metrics;
use crate::rate_limit::Quota;
use crate::routes;
use crate::state::{ApiState, Shared};

/// How long a client may take to close its side after ours is closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

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
    let live_metrics = LiveMetrics::new(&state.metrics).map_err(std::io::Error::other)?;
    let live = Live::new(state.live.clone(), live_metrics, state.sessions.clone());
    let shared = Data::new(Shared { state, metrics, budget, probe, quota, live });
    let server = Server::build()
        .workers(settings.web_threads)
        .max_concurrent_connections(settings.connections_per_thread_max)
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .disable_signals();
    let stops = server.graceful_shutdown_signal();
    let server = server.listen("api", listener, move || {
        hub::start(&shared);
        let app = App::new().app_data(shared.clone()).wrap(from_fn(gate)).configure(routes::configure);
        let app = app.into_factory().map_err(|error: Error| error.error_response());
        let stops = stops.clone();
        let protocol = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stops = stops.clone();
                async move { stops.notified().await }
            })
            // `Connection` ends what is idle or slow.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            // Who has said all it wants to say still gets its answer. Calls that wait end by `Traffic::closed`.
            .h1_allow_half_closed(true)
            .on_connect_ext(|connection: &Connection, extensions| {
                extensions.insert(connection.traffic());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let connection = Connection::new(stream, &settings);
            let peer = connection.peer();
            ready(Ok::<_, DispatchError>((connection, peer)))
        })
        .and_then(protocol)
    })?;
    Ok(server.run())
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
