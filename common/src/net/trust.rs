//! What this process shows to a server outside of the cluster, and whom it trusts there, from a [`Folder`] with `ca.crt`,
//! and `tls.crt` and `tls.key` where that server wants a certificate.

use std::path::Path;

use rustls::pki_types::ServerName;
use tokio_util::sync::CancellationToken;

use super::dial::Dialer;
use super::folder::{Content, Files, Folder, wrong};
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

    /// Opens connections that trust the authority of the folder, as it is at that time.
    pub fn dialer(&self) -> Dialer {
        let folder = self.folder.clone();
        Dialer::new(move || folder.now(), self.servers.clone())
    }
}

/// Opens connections to servers whose certificate `ca.crt` in the folder of `--tls` signed, and `ca.crl`, where it exists,
/// does not list. They are shown no certificate: a person has a token. The files are read once; `needs` says what must be
/// there.
///
/// # Errors
/// `TLS_FILES`: a file is missing, cannot be read or is not what it should be.
pub fn dialer_of_person(folder: &Path, needs: &str) -> Result<Dialer, KolError> {
    let outward = trusted(folder, needs)?;
    Ok(Dialer::new(move || outward.clone(), Sessions::default()))
}

/// What [`dialer_of_person`] trusts.
///
/// # Errors
/// As there.
pub(super) fn trusted(folder: &Path, needs: &str) -> Result<Outward, KolError> {
    let outward = Files::of_others(folder).and_then(|files| Outward::of(&files));
    outward.map_err(|why| wrong(folder, "--tls", needs, &why))
}

impl Content for Outward {
    fn of(files: &Files) -> Result<Self, String> {
        Self::of(files)
    }
}
