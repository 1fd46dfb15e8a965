//! The port: taken first, because it is what most often stands in the way of a start.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::server_file::{ServerFile, url};
use crate::settings::Settings;

/// Takes the port.
///
/// # Errors
/// A [`Failure`] that says who has it, as far as that can be seen.
pub fn bind(settings: &Settings) -> Result<TcpListener, Failure> {
    let bind = settings.server.bind;
    let listener = TcpListener::bind(bind).map_err(|error| refused(bind, &error, settings))?;
    listener.set_nonblocking(true).map_err(|error| Failure::surroundings(&error))?;
    if !bind.ip().is_loopback() {
        tracing::warn!(bind = %bind, "other machines can reach this hive, and there is no TLS: put a proxy with TLS in front");
    }
    Ok(listener)
}

fn refused(bind: SocketAddr, error: &std::io::Error, settings: &Settings) -> Failure {
    let failed = |message: String| Failure::new(Exit::Environment, message);
    match error.kind() {
        ErrorKind::AddrInUse => {
            let message = format!("port {} on {} is taken", bind.port(), bind.ip());
            match ServerFile::read(&settings.store.data_dir).filter(|file| file.url == url(bind)) {
                Some(file) => failed(format!(
                    "{message}: the hive of this data folder serves there already (process {})",
                    file.pid
                ))
                .hint("`hive system` shows how it is doing"),
                None => failed(format!("{message} by another program"))
                    .hint("--bind 127.0.0.1:0 takes a free port; the commands find it by themselves"),
            }
        }
        ErrorKind::PermissionDenied => {
            failed(format!("port {} needs more rights than this user has", bind.port()))
                .hint("ports from 1024 on are free for everybody: --bind 127.0.0.1:18080")
        }
        ErrorKind::AddrNotAvailable => failed(format!("{} is not an address of this machine", bind.ip()))
            .hint("127.0.0.1 is this machine alone, 0.0.0.0 all of its addresses"),
        _ => failed(format!("cannot listen on {bind}: {error}")),
    }
}
