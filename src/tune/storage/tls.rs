//! TLS for PostgreSQL, by rustls: who is trusted is libpq's `sslmode`.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use crate::{Error, Result};

/// Whose certificates are taken.
#[derive(Debug)]
pub enum Trust {
    /// TLS against listeners alone.
    Anybody,
    /// Those that an authority signed, or that are listed themselves.
    Authorities {
        listed: Vec<CertificateDer<'static>>,
        /// Whether the certificate must be the host's.
        checks_name: bool,
    },
}

/// Where systems keep their authorities.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl Trust {
    /// The authorities of a PEM file; without one those of `~/.postgresql/root.crt`, libpq's place, or
    /// of the system.
    ///
    /// # Errors
    /// [`Error::Data`] where no certificate is found.
    pub fn authorities(file: Option<&str>, checks_name: bool) -> Result<Trust> {
        let files: Vec<PathBuf> = match file {
            Some(file) if file != "system" => vec![file.into()],
            Some(_) => SYSTEM.map(PathBuf::from).to_vec(),
            None => {
                let home = std::env::home_dir().unwrap_or_default();
                let own = home.join(".postgresql/root.crt");
                std::iter::once(own)
                    .chain(SYSTEM.map(PathBuf::from))
                    .collect()
            }
        };
        let found = files.iter().find(|file| file.is_file());
        let Some(found) = found else {
            return Err(Error::Data(format!(
                "no certificates at {}: name the file with sslrootcert=FILE",
                files[0].display()
            )));
        };
        let read = CertificateDer::pem_file_iter(found).and_then(Iterator::collect);
        let listed: Vec<_> = read.map_err(|error| {
            Error::Data(format!("{}: no certificates ({error})", found.display()))
        })?;
        if listed.is_empty() {
            let found = found.display();
            return Err(Error::Data(format!(
                "{found}: there is no certificate in it"
            )));
        }
        Ok(Trust::Authorities {
            listed,
            checks_name,
        })
    }
}

/// Makes a TLS session of a connection.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    pub fn new(trust: Trust) -> Result<Tls> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        if let Trust::Authorities { listed, .. } = &trust {
            roots.add_parsable_certificates(listed.iter().cloned());
        }
        let verifier = Verifier {
            trust,
            roots,
            provider: Arc::clone(&provider),
        };
        let wrong = |error| Error::Data(format!("TLS: {error}"));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Tls(Arc::new(config)))
    }
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        if let Trust::Authorities {
            listed,
            checks_name,
        } = &self.trust
        {
            let parsed = ParsedCertificate::try_from(certificate)?;
            if !listed.contains(certificate) {
                verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    &self.roots,
                    intermediates,
                    now,
                    self.provider.signature_verification_algorithms.all,
                )?;
            }
            if *checks_name {
                verify_server_name(&parsed, name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Session<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        // A socket has no name, and no TLS.
        let host = if host.is_empty() { "localhost" } else { host };
        let name = ServerName::try_from(host.to_string()).map_err(io::Error::other)?;
        Ok(Handshake {
            connector: TlsConnector::from(Arc::clone(&self.0)),
            name,
        })
    }
}

/// What is needed to begin.
pub struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Session<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Session<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let shaking = self.connector.connect(self.name, stream);
        Box::pin(async move { Ok(Session(shaking.await?)) })
    }
}

/// A connection under TLS.
pub struct Session<S>(tokio_rustls::client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Session<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Session<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Session<S> {
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
