//! What a process of the cluster shows and whom it trusts, from the [`Folder`] of `--tls`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ParsedCertificate, ServerConfig};
use tokio_util::sync::CancellationToken;

use super::dial::Dialer;
use super::folder::{Content, Files, Folder};
use super::session::{Session, Sessions, Shown};
use super::tls::{Inward, Outward};
use super::tokens::{Principal, Tokens};
use crate::KolError;

/// The name that certificates of executors are made out to.
pub const EXECUTOR: &str = "kol-executor";
/// What the folder needs.
const NEEDS: &str =
    "It needs ca.crt, tls.crt and tls.key in PEM; kol-client certs init makes such folders.";

/// See the module. Cheap to clone; clones share what was read last.
#[derive(Clone, Debug)]
pub struct Credentials {
    folder: Folder<Current>,
    clients: Sessions<()>,
    masters: Sessions<ServerName<'static>>,
}

#[derive(Clone)]
struct Current {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    inward: Inward,
    outward: Outward,
    tokens: Arc<Tokens>,
}

impl Credentials {
    /// Reads a folder.
    ///
    /// # Errors
    /// `TLS_FILES`: a file is missing or is not what it should be.
    pub fn load(folder: &Path) -> Result<Self, KolError> {
        Ok(Self {
            folder: Folder::load(folder, "--tls", NEEDS)?,
            clients: Sessions::default(),
            masters: Sessions::default(),
        })
    }

    /// Reads the files again until it is stopped. Connections that are open keep what they began with, unless the
    /// certificate of the other end is no longer valid: those are cut.
    ///
    /// # Errors
    /// None; what cannot be used is logged, and changes nothing.
    pub async fn keep(self, stop: CancellationToken) -> Result<(), KolError> {
        let Self {
            folder,
            clients,
            masters,
        } = self;
        let changed = move |current: &Current| {
            clients.verify(|shown| current.inward.verify(&shown.chain));
            masters.verify(|shown| current.outward.verify(&shown.chain, &shown.what));
        };
        folder.keep(changed, stop).await
    }

    /// For a gRPC server that wants a certificate of executors, and takes connections without one.
    pub(super) fn grpc(&self) -> Arc<ServerConfig> {
        self.folder.now().grpc
    }

    /// For an HTTP server.
    pub(super) fn http(&self) -> Arc<ServerConfig> {
        self.folder.now().http
    }

    /// A client showed this certificate, which was verified.
    pub(super) fn opened(&self, chain: &[CertificateDer<'_>], peer: String) -> Session {
        let shown = Shown {
            chain: chain.iter().map(|c| c.clone().into_owned()).collect(),
            what: (),
            peer,
        };
        let verify = |shown: &Shown<()>| self.folder.now().inward.verify(&shown.chain);
        self.clients.open(shown, verify)
    }

    /// Opens connections to masters: shows this process's certificate.
    pub fn dialer(&self) -> Dialer {
        let folder = self.folder.clone();
        Dialer::new(move || folder.now().outward, self.masters.clone())
    }

    /// Whose token this is.
    pub fn holder(&self, token: &str) -> Option<Principal> {
        let tokens = self.folder.now().tokens;
        tokens.holder(token).cloned()
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

impl Content for Current {
    fn of(files: &Files) -> Result<Self, String> {
        let tokens = Tokens::parse(files.tokens.as_deref().unwrap_or_default());
        let tokens = tokens.map_err(|why| format!("tokens: {why}"))?;
        let inward = Inward::of(files)?;
        let speaking = |protocol: &[u8]| {
            let mut config = inward.config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        Ok(Self {
            grpc: speaking(b"h2"),
            http: speaking(b"http/1.1"),
            inward,
            outward: Outward::of(files)?,
            tokens: Arc::new(tokens),
        })
    }
}
