//! How a command finds the hive and its token by itself.
//!
//! Invariant: a token from a data folder goes to this machine only, unless the folder was named on purpose: the
//! token of a local hive must not travel to whatever `HIVE_SERVER` says.

use std::path::{Path, PathBuf};

use client::Client;

use crate::admin_token::{self, Token};
use crate::data_folder;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::server_file::ServerFile;

/// Where a hive listens when nobody says otherwise.
const FALLBACK_URL: &str = "http://127.0.0.1:18080";

/// What the user said about the hive to talk to.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// `--server` or `HIVE_SERVER`.
    pub server: Option<String>,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `HIVE_TOKEN`.
    pub token: Option<String>,
    /// `--data-dir` or `HIVE__STORE__DATA_DIR`.
    pub data_dir: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The address.
    pub url: String,
    /// The token, where there is one.
    pub token: Option<Token>,
    /// What to say when nobody answers.
    unreachable_hint: String,
    /// What to say when the token does not help.
    denied_hint: String,
}

impl Connection {
    /// Looks at what was said, then into the data folder.
    ///
    /// # Errors
    /// A [`Failure`] when a token was named that cannot be used.
    pub fn find(wishes: Wishes) -> Result<Self, Failure> {
        let folder = wishes.data_dir.clone().unwrap_or_else(|| PathBuf::from(data_folder::DEFAULT));
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let announced = ServerFile::read(&folder).map(|file| file.url);
        let unreachable_hint = match (&wishes.server, &announced) {
            (Some(_), _) => "is it running? the address is from --server or HIVE_SERVER".to_owned(),
            (None, Some(_)) => format!(
                "the address is from {}; the hive there has ended. Start it again with `hive`",
                folder.join(crate::server_file::FILE_NAME).display()
            ),
            (None, None) => format!(
                "start one with `hive`, or name another with --server URL or --data-dir PATH (no hive announces itself in {})",
                folder.display()
            ),
        };
        let url = wishes.server.clone().or(announced).unwrap_or_else(|| FALLBACK_URL.to_owned());
        let (token, denied_hint) = find_token(&wishes, &url, &folder)?;
        Ok(Self { url, token, unreachable_hint, denied_hint })
    }

    /// A client for it.
    ///
    /// # Errors
    /// A [`Failure`] when address or token cannot be used at all.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(Client::new(&self.url, self.token.as_ref().map(Token::reveal))?)
    }

    /// Adds what is known about address and token to a failure that they may have caused.
    #[must_use]
    pub fn explain(&self, failure: Failure) -> Failure {
        match failure.exit {
            Exit::Unreachable => failure.hint(self.unreachable_hint.clone()),
            Exit::Denied => failure.hint(self.denied_hint.clone()),
            _ => failure,
        }
    }
}

fn find_token(wishes: &Wishes, url: &str, folder: &Path) -> Result<(Option<Token>, String), Failure> {
    if let Some(path) = &wishes.token_file {
        let token = Token::from_file(path).map_err(|error| denied(&error))?;
        return Ok((Some(token), format!("the token is from --token-file {}", path.display())));
    }
    if let Some(text) = wishes.token.as_deref().filter(|text| !text.is_empty()) {
        let token = Token::from_text(text)
            .ok_or_else(|| Failure::new(Exit::Denied, "HIVE_TOKEN holds characters that no token has"))?;
        return Ok((Some(token), "the token is from HIVE_TOKEN".to_owned()));
    }
    let path = folder.join(admin_token::FILE_NAME);
    if wishes.data_dir.is_none() && !is_this_machine(url) {
        let hint = "a remote hive needs its token in HIVE_TOKEN or --token-file".to_owned();
        return Ok((None, hint));
    }
    match Token::from_file(&path) {
        Ok(token) => {
            Ok((Some(token), format!("the token is from {}: is it this hive's folder?", path.display())))
        }
        Err(admin_token::Error::Missing(_)) => Ok((
            None,
            format!(
                "no token was found: name the hive's folder with --data-dir, or the token with HIVE_TOKEN or --token-file (looked for {})",
                path.display()
            ),
        )),
        Err(error) => Err(denied(&error)),
    }
}

fn denied(error: &admin_token::Error) -> Failure {
    Failure::new(Exit::Denied, crate::failure::with_causes(error))
        .hint("the token can be read by the user who started the hive, or be given in HIVE_TOKEN")
}

fn is_this_machine(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_token::read_or_make;

    fn folder() -> (tempfile::TempDir, Token) {
        let folder = tempfile::tempdir().unwrap();
        let token = read_or_make(folder.path()).unwrap();
        (folder, token)
    }

    #[test]
    fn address_and_token_are_found_in_the_data_folder() {
        let (folder, token) = folder();
        let _announced = ServerFile::of("127.0.0.1:4242".parse().unwrap()).announce(folder.path()).unwrap();
        let wishes = Wishes { data_dir: Some(folder.path().into()), ..Wishes::default() };
        let found = Connection::find(wishes).unwrap();
        assert_eq!(found.url, "http://127.0.0.1:4242");
        assert!(found.token == Some(token));
    }

    #[test]
    fn what_is_said_beats_what_is_found() {
        let (folder, _) = folder();
        let file = folder.path().join("other.token");
        std::fs::write(&file, "o".repeat(40)).unwrap();
        let wishes = Wishes {
            server: Some("http://127.0.0.1:9".into()),
            token: Some("from-the-environment".into()),
            data_dir: Some(folder.path().into()),
            token_file: None,
        };
        let found = Connection::find(wishes.clone()).unwrap();
        assert_eq!(found.url, "http://127.0.0.1:9");
        assert_eq!(found.token.unwrap().reveal(), "from-the-environment");
        let found = Connection::find(Wishes { token_file: Some(file), ..wishes }).unwrap();
        assert_eq!(found.token.unwrap().reveal(), "o".repeat(40));
    }

    #[test]
    fn without_anything_the_usual_address_is_tried_without_a_token() {
        let empty = tempfile::tempdir().unwrap();
        let wishes = Wishes { data_dir: Some(empty.path().into()), ..Wishes::default() };
        let found = Connection::find(wishes).unwrap();
        assert_eq!((found.url.as_str(), found.token.is_none()), (FALLBACK_URL, true));
        let failure = found.explain(Failure::new(Exit::Unreachable, "no hive answers"));
        assert!(failure.hint.unwrap().starts_with("start one with `hive`"));
    }

    #[test]
    fn only_this_machine_gets_the_token_of_a_folder_that_nobody_named() {
        for here in ["http://127.0.0.1:1", "http://localhost:1/", "http://[::1]:18080", "http://127.8.8.8"] {
            assert!(is_this_machine(here), "{here}");
        }
        for there in [
            "http://10.0.0.1:1",
            "http://localhost.example:1",
            "http://127.0.0.1.example",
            "http://x@localhost",
        ] {
            assert!(!is_this_machine(there), "{there}");
        }
    }

    #[test]
    fn a_token_file_that_was_named_must_exist() {
        let wishes = Wishes { token_file: Some("/nowhere/token".into()), ..Wishes::default() };
        assert_eq!(Connection::find(wishes).unwrap_err().exit, Exit::Denied);
    }
}
