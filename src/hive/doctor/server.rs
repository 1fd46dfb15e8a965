//! The port, and the hive that serves from the folder: that it answers, how it is doing, that it is this version.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use client::Client;
use protocol::{HealthStatus, HealthView};

use super::Finding;
use crate::exit::Exit;
use crate::failure::with_causes;
use crate::server_file::{ServerFile, url};

/// How long the hive may take to answer; a healthy one takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at both.
pub async fn examine(
    folder: &Path,
    bind: SocketAddr,
    is_served: bool,
    client: Option<&Client>,
) -> Vec<Finding> {
    let announced = ServerFile::read(folder).filter(|_| is_served);
    let mut found = vec![port(bind, announced.as_ref())];
    if !is_served {
        found.push(
            Finding::note("server", "no hive serves from this folder").advise("`hive serve` starts it"),
        );
        return found;
    }
    let (Some(announced), Some(client)) = (announced, client) else {
        found.push(
            Finding::note("server", "a hive holds the folder and has not said where it answers")
                .advise("it is starting or stopping just now; look again"),
        );
        return found;
    };
    match tokio::time::timeout(PATIENCE, client.health()).await {
        Ok(Ok(health)) => found.extend(answered(&announced, &health)),
        Ok(Err(error)) => found.push(silent(&announced, &with_causes(&error))),
        Err(_) => found.push(silent(&announced, "no answer in time")),
    }
    found
}

fn port(bind: SocketAddr, announced: Option<&ServerFile>) -> Finding {
    if let Some(ours) = announced.filter(|file| file.url == url(bind)) {
        return Finding::ok(
            "port",
            format!("{bind} is answered by the hive of this folder (process {})", ours.pid),
        );
    }
    match TcpListener::bind(bind) {
        Ok(_) => Finding::ok("port", format!("{bind} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let found = format!("{bind} is taken by another program");
            match announced {
                Some(file) => {
                    Finding::note("port", format!("{found}; the hive of this folder is at {}", file.url))
                }
                None => Finding::problem("port", found).advise("--bind 127.0.0.1:0 takes a free port"),
            }
        }
        Err(error) => Finding::problem("port", format!("cannot listen on {bind}: {error}"))
            .advise("--bind ADDR:PORT chooses another"),
    }
}

fn answered(announced: &ServerFile, health: &HealthView) -> Vec<Finding> {
    let of = |status| {
        let parts = health.components.iter().filter(move |(_, part)| part.status == status);
        parts.map(|(name, part)| format!("{name} ({})", part.details)).collect::<Vec<_>>().join(", ")
    };
    let at = &announced.url;
    let health_finding = match health.status {
        HealthStatus::Healthy => {
            Finding::ok("server", format!("{at}, all {} parts are healthy", health.summary.total))
        }
        HealthStatus::Degraded => {
            Finding::note("server", format!("{at}, degraded: {}", of(HealthStatus::Degraded)))
                .advise("its log says more")
        }
        HealthStatus::Unhealthy => {
            Finding::problem("server", format!("{at}, unhealthy: {}", of(HealthStatus::Unhealthy)))
                .advise("its log says more; `hive system` shows how it is doing")
                .exit(Exit::Unavailable)
        }
    };
    let mine = env!("CARGO_PKG_VERSION");
    let version = if health.version == mine {
        Finding::ok("version", format!("{mine}, as the hive that serves"))
    } else {
        Finding::note("version", format!("this is {mine}, and {} serves", health.version))
            .advise("stop the hive and start it again with this program")
    };
    vec![health_finding, version]
}

fn silent(announced: &ServerFile, why: &str) -> Finding {
    Finding::problem(
        "server",
        format!("process {} does not answer at {}: {why}", announced.pid, announced.url),
    )
    .advise("its log says more; an end by SIGTERM and a new start lose nothing")
    .exit(Exit::Unreachable)
}
