//! A folder with certificates, keys and tokens: `ca.crt`, `tls.crt` and `tls.key`, as Kubernetes calls them, and, where
//! they exist, `tokens` and `ca.crl` (certificates that are no longer valid). It is read again while the process runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{KolError, world};

/// How often the files are read again.
const AGAIN: Duration = Duration::from_secs(1);
/// The certificate of the authority, and those that are revoked.
const CA: &str = "ca.crt";
/// File of revoked certificates, beside [`CA`]; it may be absent.
const CRL: &str = "ca.crl";
/// Largest file, bytes.
const MAX_FILE: u64 = 1 << 20;

/// The files, as they were read.
#[derive(Clone, PartialEq)]
pub(super) struct Files {
    pub(super) ca: String,
    /// What this process shows of itself.
    pub(super) own: Option<Own>,
    pub(super) tokens: Option<String>,
    pub(super) revoked: Option<String>,
}

/// A certificate and its key.
#[derive(Clone, PartialEq)]
pub(super) struct Own {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// What is made of the files.
pub(super) trait Content: Clone + Send + 'static {
    /// From files that were read.
    ///
    /// # Errors
    /// Which of them is not what it should be; never what stands there.
    fn of(files: &Files) -> Result<Self, String>;
}

/// A folder and what it holds. Cheap to clone; clones share what was read last.
pub(super) struct Folder<C> {
    path: PathBuf,
    /// Who it belongs to, for messages.
    flag: &'static str,
    help: &'static str,
    current: Arc<Mutex<(Files, C)>>,
}

impl<C> Clone for Folder<C> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            current: Arc::clone(&self.current),
            ..*self
        }
    }
}

impl<C> std::fmt::Debug for Folder<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.fmt(f)
    }
}

impl<C: Content> Folder<C> {
    /// Reads it; `flag` named it, and `help` says what it needs.
    ///
    /// # Errors
    /// `TLS_FILES`: a file is missing or is not what it should be.
    pub(super) fn load(
        path: &Path,
        flag: &'static str,
        help: &'static str,
    ) -> Result<Self, KolError> {
        let read = Files::read(path).and_then(|files| {
            let content = C::of(&files)?;
            Ok((files, content))
        });
        let current = read.map_err(|why| wrong(path, flag, help, &why))?;
        Ok(Self {
            path: path.to_owned(),
            flag,
            help,
            current: Arc::new(Mutex::new(current)),
        })
    }

    /// What was read last.
    pub(super) fn now(&self) -> C {
        self.lock().1.clone()
    }

    /// Reads it again until it is stopped; `changed` is called after other files have replaced the ones before.
    ///
    /// # Errors
    /// None; what cannot be used is logged, and changes nothing.
    pub(super) async fn keep(
        self,
        changed: impl Fn(&C) + Send,
        stop: CancellationToken,
    ) -> Result<(), KolError> {
        let mut refused = None;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
            let path = self.path.clone();
            let read = world::blocking(move || Files::read(&path)).await;
            let read = read.unwrap_or_else(|| Err("reading them panicked".into()));
            let outcome = match read {
                Ok(files) if files == self.lock().0 => {
                    refused = None;
                    continue;
                }
                other => other.and_then(|files| Ok((C::of(&files)?, files))),
            };
            match outcome {
                Ok((content, files)) => {
                    *self.lock() = (files, content.clone());
                    changed(&content);
                    refused = None;
                    tracing::info!(code = "CERTS_READ", folder = %self.path.display(), "certificates and tokens were read again");
                }
                Err(why) if refused.as_ref() != Some(&why) => {
                    let error = wrong(&self.path, self.flag, self.help, &why);
                    tracing::warn!(code = "CERTS_KEPT", %error, "certificates and tokens stay as they were");
                    refused = Some(why);
                }
                Err(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Files, C)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn read(folder: &Path) -> Result<Self, String> {
        let optional = |name: &str| optional(folder, name);
        let own = match (optional("tls.crt")?, optional("tls.key")?) {
            (Some(certificate), Some(key)) => Some(Own { certificate, key }),
            (None, None) => None,
            (Some(_), None) => return Err("tls.key is missing".into()),
            (None, Some(_)) => return Err("tls.crt is missing".into()),
        };
        Ok(Self {
            ca: read(&folder.join(CA))?,
            own,
            tokens: optional("tokens")?,
            revoked: optional(CRL)?,
        })
    }

    /// Only those that say who is trusted.
    ///
    /// # Errors
    /// Which of them cannot be read, and why.
    pub(super) fn of_others(folder: &Path) -> Result<Self, String> {
        Ok(Self {
            ca: read(&folder.join(CA))?,
            own: None,
            tokens: None,
            revoked: optional(folder, CRL)?,
        })
    }
}

fn optional(folder: &Path, name: &str) -> Result<Option<String>, String> {
    let path = folder.join(name);
    path.exists().then(|| read(&path)).transpose()
}

fn read(path: &Path) -> Result<String, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let size = std::fs::metadata(path).map_err(|e| format!("{name}: {e}"))?;
    if size.len() > MAX_FILE {
        return Err(format!("{name}: more than {MAX_FILE} bytes"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))
}

/// What is wrong with the folder of a flag.
pub(super) fn wrong(folder: &Path, flag: &str, help: &str, why: &str) -> KolError {
    let what = format!("the folder {} of {flag}: {why}", folder.display());
    KolError::user("TLS_FILES", what).help(help)
}
