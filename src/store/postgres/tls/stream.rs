//! The encrypted connection, as the client library wants it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error};

use super::Refused;

/// Encrypts connections to any host. Cheap to clone.
#[derive(Clone)]
pub(in crate::postgres) struct Connector {
    config: Arc<ClientConfig>,
    signed_by: Arc<str>,
}

impl Connector {
    pub(super) fn new(config: Arc<ClientConfig>, signed_by: &str) -> Self {
        Self { config, signed_by: Arc::from(signed_by) }
    }
}

/// Encrypts one connection.
pub(in crate::postgres) struct ToHost {
    connector: Connector,
    host: String,
}

impl<S> MakeTlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type TlsConnect = ToHost;
    type Error = Refused;

    fn make_tls_connect(&mut self, host: &str) -> Result<ToHost, Refused> {
        Ok(ToHost { connector: self.clone(), host: host.to_owned() })
    }
}

impl<S> TlsConnect<S> for ToHost
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Encrypted<S>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted<S>, Refused>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let Self { connector, host } = self;
            let name = ServerName::try_from(host.clone())
                .map_err(|_| Refused(format!("{host} is no name that a certificate could have")))?;
            let connected = TlsConnector::from(connector.config).connect(name, stream).await;
            connected.map(Encrypted).map_err(|error| refused(&error, &host, &connector.signed_by))
        })
    }
}

/// A connection whose bytes nobody else reads.
pub(in crate::postgres) struct Encrypted<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// What speaks against a server's certificate, in a sentence.
fn refused(error: &io::Error, host: &str, signed_by: &str) -> Refused {
    let found = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    Refused(match found {
        Some(Error::InvalidCertificate(why)) => match why {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("its certificate is for another name than {host}, which sslmode=verify-full compares")
            }
            CertificateError::UnknownIssuer => {
                format!("its certificate is signed by none of those in {signed_by} (sslrootcert)")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            other => format!("its certificate is not to be believed: {other}"),
        },
        Some(_) | None => error.to_string(),
    })
}
