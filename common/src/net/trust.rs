//! What this process shows to a server outside of the cluster, and whom it trusts there, from a [`Folder`] with `ca.crt`,
//! and `tls.crt` and `tls.key` where that server wants a certificate.

use std::path::Path;

use rustls::pki_types::ServerName;
use tokio_util::sync::CancellationToken;

use super::dial::Dialer;
use super::folder::{Content, Files, Folder};
use super::session::Sessions;
use super::tls::Outward;
use crate::KolError;

/// What the folder needs.
const NEEDS: &str =
    "It needs ca.crt, and tls.crt and tls.key where a certificate is to be shown, in PEM.";

/// See the module. Cheap to clone; clones share what was read last.
#[derive(Clone, Debug)]
pub struct Trust {
    folder: Folder<Outward>,
    servers: Sessions<ServerName<'static>>,
}

impl Trust {
    /// Reads a folder that `flag` named.
    ///
    /// # Errors
    /// `TLS_FILES`: a file is missing or is not what it should be.
    pub fn load(folder: &Path, flag: &'static str) -> Result<Self, KolError> {
        Ok(Self {
            folder: Folder::load(folder, flag, NEEDS)?,
            servers: Sessions::default(),
        })
    }

    /// Reads the files again until it is stopped, and cuts connections to servers whose certificate is no longer valid.
    ///
    /// # Errors
    /// None; what cannot be used is logged, and changes nothing.
    pub async fn keep(self, stop: CancellationToken) -> Result<(), KolError> {
        let Self { folder, servers } = self;
        let changed = move |outward: &Outward| {
            servers.verify(|shown| outward.verify(&shown.chain, &shown.what));
        };
        folder.keep(changed, stop).await
    }

    /// Opens connections.
    pub fn dialer(&self) -> Dialer {
        let folder = self.folder.clone();
        Dialer::new(move || folder.now(), self.servers.clone())
    }
}

impl Content for Outward {
    fn of(files: &Files) -> Result<Self, String> {
        Self::of(files)
    }
}
