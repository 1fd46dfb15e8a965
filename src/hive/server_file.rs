//! `server.json` in the data folder: how the CLI finds a running hive. `serve` writes it when everything runs and
//! removes it at the end; after a crash it may be stale, which the reader learns when nobody answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data_folder::write_whole;

/// The file's name in the data folder.
pub const FILE_NAME: &str = "server.json";

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFile {
    /// The process that serves.
    pub pid: u32,
    /// Where it answers, as a URL.
    pub url: String,
}

/// Keeps the file in place as long as it lives.
#[derive(Debug)]
pub struct Announced {
    path: PathBuf,
}

impl ServerFile {
    /// Of this process, which listens on `bound`.
    #[must_use]
    pub fn of(bound: SocketAddr) -> Self {
        Self { pid: std::process::id(), url: url(bound) }
    }

    /// Reads it; `None` when there is none or it cannot be understood.
    #[must_use]
    pub fn read(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(FILE_NAME)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes it.
    ///
    /// # Errors
    /// What the system says.
    pub fn announce(&self, folder: &Path) -> std::io::Result<Announced> {
        let text = serde_json::to_string(self).map_err(std::io::Error::other)?;
        write_whole(folder, FILE_NAME, format!("{text}\n").as_bytes())?;
        Ok(Announced { path: folder.join(FILE_NAME) })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // a stale file does little harm: the CLI says that nobody answers there
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How somebody on this machine reaches `bound`: "every address" is nobody's address.
#[must_use]
pub fn url(bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_while_the_hive_serves_and_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let file = ServerFile::of("127.0.0.1:4242".parse().unwrap());
        let announced = file.announce(folder.path()).unwrap();
        assert_eq!(ServerFile::read(folder.path()), Some(file));
        drop(announced);
        assert_eq!(ServerFile::read(folder.path()), None);
    }

    #[test]
    fn every_address_becomes_one_that_can_be_called() {
        assert_eq!(url("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(url("[::]:80".parse().unwrap()), "http://[::1]:80");
        assert_eq!(url("10.0.0.7:80".parse().unwrap()), "http://10.0.0.7:80");
    }

    #[test]
    fn a_broken_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "{\"pid\":").unwrap();
        assert_eq!(ServerFile::read(folder.path()), None);
    }
}
