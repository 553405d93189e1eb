//! What a process shows and whom it trusts, from one folder: `ca.crt`, `tls.crt` and `tls.key`, as Kubernetes
//! calls them, and, where they exist, `tokens` and `ca.crl` (certificates that are no longer valid).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, ServerConfig, WebPkiClientVerifier};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::tokens::{Principal, Tokens};
use crate::{KolError, world};

/// The name that certificates of executors are made out to.
pub const EXECUTOR: &str = "kol-executor";
/// How often the files are read again.
const AGAIN: Duration = Duration::from_secs(1);
/// Largest file, bytes.
const MAX_FILE: u64 = 1 << 20;

/// See the module. Cheap to clone; clones share what was read last.
#[derive(Clone)]
pub struct Credentials {
    folder: PathBuf,
    current: Arc<Mutex<Current>>,
}

/// The files, as they were read.
#[derive(Clone, Default, PartialEq)]
struct Files {
    ca: String,
    certificate: String,
    key: String,
    tokens: Option<String>,
    revoked: Option<String>,
}

#[derive(Clone)]
struct Current {
    files: Files,
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    tokens: Arc<Tokens>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads a folder.
    ///
    /// # Errors
    /// `TLS_FILES`: a file is missing or is not what it should be.
    pub fn load(folder: &Path) -> Result<Self, KolError> {
        let current = Files::read(folder).and_then(Current::of);
        let current = current.map_err(|why| wrong(folder, &why))?;
        Ok(Self {
            folder: folder.to_owned(),
            current: Arc::new(Mutex::new(current)),
        })
    }

    /// Reads the files again until it is stopped. Connections that are open keep what they began with.
    ///
    /// # Errors
    /// None; what cannot be used is logged, and changes nothing.
    pub async fn keep(self, stop: CancellationToken) -> Result<(), KolError> {
        let mut refused = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
            let folder = self.folder.clone();
            let read = world::blocking(move || Files::read(&folder)).await;
            let read = read.unwrap_or_else(|| Err("reading them panicked".into()));
            let outcome = match read {
                Ok(files) if files == self.lock().files => {
                    refused = None;
                    continue;
                }
                other => other.and_then(Current::of),
            };
            match outcome {
                Ok(current) => {
                    *self.lock() = current;
                    refused = None;
                    tracing::info!(folder = %self.folder.display(), "certificates and tokens were read again");
                }
                Err(why) if refused.as_ref() != Some(&why) => {
                    let error = wrong(&self.folder, &why);
                    tracing::warn!(%error, "certificates and tokens stay as they were");
                    refused = Some(why);
                }
                Err(_) => {}
            }
        }
    }

    /// For a gRPC server that wants a certificate of executors, and takes connections without one.
    pub(super) fn grpc(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.lock().grpc)
    }

    /// For an HTTP server.
    pub(super) fn http(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.lock().http)
    }

    /// For connections to a master: shows this process's certificate.
    pub fn client(&self) -> ClientTlsConfig {
        let current = self.lock();
        let files = &current.files;
        ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&files.ca))
            .identity(Identity::from_pem(&files.certificate, &files.key))
    }

    /// Whose token this is.
    pub fn holder(&self, token: &str) -> Option<Principal> {
        let tokens = Arc::clone(&self.lock().tokens);
        tokens.holder(token).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a certificate is made out to an executor.
pub(super) fn is_executor(certificate: &CertificateDer<'_>) -> bool {
    let name = ServerName::try_from(EXECUTOR);
    let parsed = ParsedCertificate::try_from(certificate);
    let (Ok(name), Ok(parsed)) = (name, parsed) else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}

impl Files {
    fn read(folder: &Path) -> Result<Self, String> {
        let optional = |name: &str| {
            let path = folder.join(name);
            path.exists().then(|| read(&path)).transpose()
        };
        Ok(Self {
            ca: read(&folder.join("ca.crt"))?,
            certificate: read(&folder.join("tls.crt"))?,
            key: read(&folder.join("tls.key"))?,
            tokens: optional("tokens")?,
            revoked: optional("ca.crl")?,
        })
    }
}

impl Current {
    fn of(files: Files) -> Result<Self, String> {
        let tokens = Tokens::parse(files.tokens.as_deref().unwrap_or_default());
        let tokens = tokens.map_err(|why| format!("tokens: {why}"))?;
        let config = server(&files)?;
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Self {
            grpc: speaking(b"h2"),
            http: speaking(b"http/1.1"),
            tokens: Arc::new(tokens),
            files,
        })
    }
}

fn server(files: &Files) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(files.key.as_bytes());
    // The parser's errors may repeat what it read.
    let key = key.map_err(|_| "tls.key: not a private key in PEM".to_owned())?;
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_client_cert_verifier(verifier(files, provider)?)
        .with_single_cert(certificates("tls.crt", &files.certificate)?, key);
    config.map_err(|e| format!("tls.crt and tls.key: {e}"))
}

/// Connections without a certificate are people's, who show a token.
fn verifier(
    files: &Files,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca.crt", &files.ca)? {
        roots.add(certificate).map_err(|e| format!("ca.crt: {e}"))?;
    }
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated();
    if let Some(revoked) = &files.revoked {
        let lists = CertificateRevocationListDer::pem_slice_iter(revoked.as_bytes());
        let lists: Result<Vec<_>, _> = lists.collect();
        let lists = lists.map_err(|_| "ca.crl: not a list of revocations in PEM".to_owned())?;
        verifier = verifier
            .with_crls(lists)
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status();
    }
    verifier.build().map_err(|e| format!("ca.crt: {e}"))
}

fn certificates(file: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match read {
        Ok(some) if !some.is_empty() => Ok(some),
        _ => Err(format!("{file}: no certificate in PEM")),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let size = std::fs::metadata(path).map_err(|e| format!("{name}: {e}"))?;
    if size.len() > MAX_FILE {
        return Err(format!("{name}: more than {MAX_FILE} bytes"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))
}

fn wrong(folder: &Path, why: &str) -> KolError {
    let what = format!("the folder {} of --tls: {why}", folder.display());
    KolError::user("TLS_FILES", what).help(
        "It needs ca.crt, tls.crt and tls.key in PEM; kol-client certs init makes such folders.",
    )
}
