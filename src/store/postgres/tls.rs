//! TLS to a server, by the words of libpq: `sslmode` and `sslrootcert` in the URL.
//!
//! | `sslmode` | encrypted | whose certificate | whose name |
//! |---|---|---|---|
//! | `disable` | no | – | – |
//! | `prefer` (when nothing is said) | if the server can | anybody's | any |
//! | `require` | yes | anybody's; with `sslrootcert` one of those | any |
//! | `verify-ca` | yes | one that `sslrootcert` signed | any |
//! | `verify-full` | yes | one that `sslrootcert` signed | the host's of the URL |
//!
//! `sslrootcert` is a file of certificates (PEM), or `system` for those that this machine trusts. A socket of this machine
//! is never encrypted. Source: the PostgreSQL manual, 34.19, "SSL Support".

mod stream;
mod verifier;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub(super) use stream::Connector;
use verifier::Verifier;

/// What the URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Why there is no connection as it was asked for.
#[derive(Debug)]
pub(super) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// A server and how it is spoken to.
pub(super) struct Asked {
    /// Everything but TLS.
    pub config: Config,
    /// What encrypts; nothing where nothing is to be encrypted.
    pub connector: Option<Connector>,
}

/// Reads a URL, `sslmode` and `sslrootcert` included.
pub(super) fn asked(url: &str) -> Result<Asked, String> {
    let Wishes { url, mode, roots } = wishes(url)?;
    let mut config: Config = url.parse().map_err(|error| super::connection::explained(&error))?;
    let is_local =
        !config.get_hosts().is_empty() && config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    let mode = if is_local { Mode::Disable } else { mode };
    config.ssl_mode(match mode {
        Mode::Disable => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
    });
    let connector = if mode == Mode::Disable { None } else { Some(connector(mode, roots.as_deref())?) };
    Ok(Asked { config, connector })
}

struct Wishes {
    /// The URL without what is asked for here.
    url: String,
    mode: Mode,
    roots: Option<String>,
}

fn wishes(url: &str) -> Result<Wishes, String> {
    let (mut mode, mut roots) = (Mode::Prefer, None);
    let Some((place, parameters)) = url.split_once('?') else {
        return Ok(Wishes { url: url.to_owned(), mode, roots });
    };
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", word)) => mode = mode_of(word)?,
            Some(("sslrootcert", path)) => roots = Some(decoded(path)?),
            _ => others.push(parameter),
        }
    }
    let url = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
    Ok(Wishes { url, mode, roots })
}

fn mode_of(word: &str) -> Result<Mode, String> {
    match word {
        "disable" => Ok(Mode::Disable),
        "prefer" => Ok(Mode::Prefer),
        "require" => Ok(Mode::Require),
        "verify-ca" => Ok(Mode::VerifyCa),
        "verify-full" => Ok(Mode::VerifyFull),
        other => Err(format!(
            "sslmode must be disable, prefer, require, verify-ca or verify-full, and not {other}"
        )),
    }
}

/// A value of a URL: `%2F` is a slash.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
        let digits = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(digits.ok_or_else(|| format!("sslrootcert={text} is not written as in a URL"))?);
    }
    String::from_utf8(bytes).map_err(|_| format!("sslrootcert={text} is not written as in a URL"))
}

fn connector(mode: Mode, roots: Option<&str>) -> Result<Connector, String> {
    let is_verified = matches!(mode, Mode::VerifyCa | Mode::VerifyFull);
    let store = match roots {
        Some(roots) => Some(trusted(roots)?),
        None if is_verified => {
            return Err(
                "sslmode=verify-ca and verify-full need sslrootcert: a file of certificates, or system"
                    .to_owned(),
            );
        }
        None => None,
    };
    let refused = |error: &dyn fmt::Display| format!("TLS cannot be set up: {error}");
    let provider = Arc::new(default_provider());
    let signed_by = roots.unwrap_or_default();
    let verifier = Verifier::new(&provider, store, mode == Mode::VerifyFull, signed_by)
        .map_err(|error| refused(&error))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Connector::new(Arc::new(config), signed_by))
}

/// Certificates of a file, or those that this machine trusts.
fn trusted(roots: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if roots == "system" {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        let certificates = CertificateDer::pem_file_iter(Path::new(roots))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("sslrootcert: cannot read certificates from {roots}: {error}"))?;
        for certificate in certificates {
            let added = store.add(certificate);
            added.map_err(|error| format!("sslrootcert: {roots} holds what is no certificate: {error}"))?;
        }
    }
    if store.is_empty() {
        return Err(format!("sslrootcert: there is no certificate in {roots}"));
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        match asked(url) {
            Ok(_) => panic!("{url}"),
            Err(why) => why,
        }
    }

    #[test]
    fn what_libpq_calls_tls_is_read_off_the_url_and_the_rest_is_left() {
        let asked = asked("postgresql://me@db.example/hive?sslmode=require&connect_timeout=3").unwrap();
        assert_eq!(asked.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(asked.config.get_connect_timeout().unwrap().as_secs(), 3);
        assert!(asked.connector.is_some());
    }

    #[test]
    fn without_a_word_it_is_preferred_and_a_socket_is_never_encrypted() {
        assert_eq!(asked("postgresql://db.example/hive").unwrap().config.get_ssl_mode(), SslMode::Prefer);
        for url in ["postgresql://hive@%2Fvar%2Frun/hive?sslmode=require", "postgresql://h/x?sslmode=disable"]
        {
            let asked = asked(url).unwrap();
            assert!(asked.connector.is_none() && asked.config.get_ssl_mode() == SslMode::Disable, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_in_a_sentence() {
        assert!(refusal("postgresql://h/x?sslmode=allow").contains("and not allow"));
        assert!(refusal("postgresql://h/x?sslmode=verify-full").contains("need sslrootcert"));
        let missing = refusal("postgresql://h/x?sslmode=verify-ca&sslrootcert=%2Fno%2Fsuch.crt");
        assert!(missing.contains("cannot read certificates from /no/such.crt"), "{missing}");
        let empty = tempfile::NamedTempFile::new().unwrap();
        let path = empty.path().to_str().unwrap();
        assert!(
            refusal(&format!("postgresql://h/x?sslrootcert={path}")).contains("there is no certificate in")
        );
        assert!(refusal("postgresql://h/x?sslrootcert=%2").contains("not written as in a URL"));
    }
}
