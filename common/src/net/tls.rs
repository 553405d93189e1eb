//! What rustls needs, from the files of a folder: who is trusted, what is shown, which certificates are revoked.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime,
};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};

use super::folder::{Files, Own};
use crate::Millis;

/// What is said of a server that closes a connection before its first answer. HTTP/2 keeps the text of an error, and
/// nothing else of it.
pub(super) const CLOSED: &str =
    "it closed the connection at once: it may not accept the certificate of this process";

/// The certificate that the other end of a connection showed, with those between it and the authority.
pub(super) type Chain = Vec<CertificateDer<'static>>;

/// How connections to servers are opened.
#[derive(Clone)]
pub(super) struct Outward {
    pub(super) config: Arc<ClientConfig>,
    verifier: Arc<WebPkiServerVerifier>,
}

/// How connections of clients are accepted.
#[derive(Clone)]
pub(super) struct Inward {
    pub(super) config: ServerConfig,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Outward {
    /// Trusts what `ca.crt` signed and `ca.crl` does not list; shows `tls.crt`, where it exists.
    ///
    /// # Errors
    /// Which file is not what it should be.
    pub(super) fn of(files: &Files) -> Result<Self, String> {
        let provider = provider();
        let mut verifier =
            WebPkiServerVerifier::builder_with_provider(roots(files)?, Arc::clone(&provider));
        if let Some(lists) = revoked(files)? {
            verifier = verifier
                .with_crls(lists)
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status();
        }
        let verifier = verifier.build().map_err(|e| format!("ca.crt: {e}"))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_webpki_verifier(Arc::clone(&verifier));
        let mut config = match &files.own {
            None => config.with_no_client_auth(),
            Some(own) => {
                let (chain, key) = shown(own)?;
                let config = config.with_client_auth_cert(chain, key);
                config.map_err(|e| format!("tls.crt and tls.key: {e}"))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            verifier,
        })
    }

    /// Whether the certificate of a server is valid now.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> Result<(), rustls::Error> {
        let (first, others) = split(chain)?;
        let verified = self
            .verifier
            .verify_server_cert(first, others, name, &[], now());
        verified.map(drop)
    }
}

impl Inward {
    /// Shows `tls.crt`. Takes connections without a certificate: those are people's, who show a token.
    ///
    /// # Errors
    /// Which file is not what it should be.
    pub(super) fn of(files: &Files) -> Result<Self, String> {
        let own = files.own.as_ref();
        let (chain, key) = shown(own.ok_or("tls.crt and tls.key are missing")?)?;
        let provider = provider();
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(roots(files)?, Arc::clone(&provider))
                .allow_unauthenticated();
        if let Some(lists) = revoked(files)? {
            verifier = verifier
                .with_crls(lists)
                .only_check_end_entity_revocation()
                .allow_unknown_revocation_status();
        }
        let verifier = verifier.build().map_err(|e| format!("ca.crt: {e}"))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(chain, key);
        let config = config.map_err(|e| format!("tls.crt and tls.key: {e}"))?;
        Ok(Self { config, verifier })
    }

    /// Whether the certificate of a client is valid now.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let (first, others) = split(chain)?;
        let verified = self.verifier.verify_client_cert(first, others, now());
        verified.map(drop)
    }
}

/// What TLS has to do with the failure of a call or a connection, for a person; `None`: nothing.
pub fn tls_failure(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An I/O error passes over what it holds.
        let held = error.downcast_ref::<std::io::Error>();
        let held = held.and_then(std::io::Error::get_ref);
        let tls = held.and_then(|held| held.downcast_ref());
        if let Some(tls) = tls.or_else(|| error.downcast_ref()) {
            return Some(reason(tls));
        }
        // HTTP/2 keeps only the text of what ended its connection.
        let text = error.to_string();
        if let Some((_, alert)) = text.split_once("received fatal alert: ") {
            return Some(refuses(alert));
        }
        if text.contains(CLOSED) {
            return Some(CLOSED.to_owned());
        }
        cause = error.source();
    }
    None
}

/// What TLS says, for a person.
pub(super) fn reason(error: &rustls::Error) -> String {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is not signed by the authority in ca.crt".to_owned()
            }
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired".to_owned(),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet".to_owned()
            }
            Bad::Revoked => "its certificate is revoked".to_owned(),
            other => format!("its certificate is not accepted: {other}"),
        },
        rustls::Error::AlertReceived(alert) => refuses(&format!("{alert:?}")),
        rustls::Error::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

fn refuses(alert: &str) -> String {
    format!("it does not accept the certificate of this process, or wants one ({alert})")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(Millis::now().0))
}

fn split<'a, 'c>(
    chain: &'a [CertificateDer<'c>],
) -> Result<(&'a CertificateDer<'c>, &'a [CertificateDer<'c>]), rustls::Error> {
    let parts = chain.split_first();
    parts.ok_or(rustls::Error::NoCertificatesPresented)
}

fn roots(files: &Files) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca.crt", &files.ca)? {
        roots.add(certificate).map_err(|e| format!("ca.crt: {e}"))?;
    }
    Ok(Arc::new(roots))
}

fn revoked(files: &Files) -> Result<Option<Vec<CertificateRevocationListDer<'static>>>, String> {
    let lists = |text: &String| {
        let read: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(text.as_bytes()).collect();
        match read {
            Ok(some) if !some.is_empty() => Ok(some),
            // An empty file, as a copy leaves that was interrupted, must not let everybody in again.
            _ => Err("ca.crl: not a list of revocations in PEM".to_owned()),
        }
    };
    files.revoked.as_ref().map(lists).transpose()
}

fn shown(own: &Own) -> Result<(Chain, PrivateKeyDer<'static>), String> {
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes());
    // The parser's errors may repeat what it read.
    let key = key.map_err(|_| "tls.key: not a private key in PEM".to_owned())?;
    Ok((certificates("tls.crt", &own.certificate)?, key))
}

fn certificates(file: &str, text: &str) -> Result<Chain, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match read {
        Ok(some) if !some.is_empty() => Ok(some),
        _ => Err(format!("{file}: no certificate in PEM")),
    }
}
