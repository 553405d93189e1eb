//! How a master gets into etcd.
//!
//! 1. A member that is not on this machine is called over TLS: whoever can write to etcd, or answer in its place, decides
//!    who leads and what runs. Only an operator who says so gets less, and then it is warned.
//! 2. The certificates are read again while the process runs; a connection to a member whose certificate is no longer
//!    valid is cut.
//! 3. The password is a reference: it is read for each login, and sent only to members that are listed beside it.

use std::path::PathBuf;

use kol_common::KolError;
use kol_common::actor::Group;
use kol_common::job::SecretRef;
use kol_common::net::{Trust, is_this_machine};
use kol_common::secrets::Secrets;

use super::failure::wrong;
use super::login::Login;

/// What an operator says of etcd.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// URLs of its members.
    pub urls: Vec<String>,
    /// Folder with `ca.crt`, and `tls.crt` and `tls.key` where etcd wants a certificate.
    pub tls: Option<PathBuf>,
    /// User and password.
    pub login: Option<(String, SecretRef)>,
    /// Members elsewhere may be called without TLS.
    pub insecure: bool,
}

/// The members, and what they are shown. Cheap to clone; clones share certificates and login.
#[derive(Clone, Debug)]
pub struct Access {
    pub(super) urls: Vec<String>,
    pub(super) trust: Option<Trust>,
    pub(super) login: Option<Login>,
}

impl Access {
    /// Reads the certificates, and looks whether the password may be sent to all members.
    ///
    /// # Errors
    /// `ETCD_URL`, `ETCD_PLAIN`, `TLS_FILES`, `CONFIG_INVALID`, and those of secrets.
    pub fn new(members: &Members, secrets: &Secrets) -> Result<Self, KolError> {
        if members.tls.is_some() && members.insecure {
            let what = "--etcd-tls and --etcd-insecure exclude each other";
            return Err(KolError::user("CONFIG_INVALID", what).help("Leave --etcd-insecure out."));
        }
        let (tls, insecure) = (members.tls.as_deref(), members.insecure);
        for url in &members.urls {
            check(url, tls.is_some(), insecure)?;
        }
        let trust = tls.map(|folder| Trust::load(folder, "--etcd-tls"));
        let login = members.login.clone();
        let login = login.map(|(user, password)| Login::new(user, password, secrets.clone()));
        if let Some(login) = &login {
            login.check(&members.urls)?;
        }
        Ok(Self {
            urls: members.urls.clone(),
            trust: trust.transpose()?,
            login,
        })
    }

    /// What people must know.
    pub fn warning(&self) -> Option<String> {
        let mut urls = self.urls.iter();
        let plain = urls.find(|url| check(url, false, false).is_err());
        let plain = plain.filter(|_| self.trust.is_none())?;
        Some(format!(
            "INSECURE: whoever reaches etcd at {plain}, or answers there, decides who leads and what runs, without TLS"
        ))
    }

    /// Reads the certificates again until the tasks are stopped.
    pub fn keep(&self, tasks: &Group) {
        if let Some(trust) = self.trust.clone() {
            let keeping = trust.keep(tasks.stop_token());
            let _runs_by_itself = tasks.spawn("etcd-credentials", keeping);
        }
    }
}

/// Whether a member may be called at this URL, with certificates or without.
fn check(url: &str, has_tls: bool, insecure: bool) -> Result<(), KolError> {
    let (scheme, place) = url.split_once("://").unwrap_or_default();
    let is_secure = match scheme {
        "https" if !place.is_empty() => true,
        "http" if !place.is_empty() => false,
        _ => return Err(wrong(&format!("`{url}` is not the URL of an etcd member"))),
    };
    if is_secure != has_tls {
        let what = format!("{url} and --etcd-tls do not fit together");
        return Err(KolError::user("ETCD_URL", what).help(
            "A member with https:// needs --etcd-tls DIR, and --etcd-tls such members only.",
        ));
    }
    if is_secure || insecure || is_this_machine(place) {
        return Ok(());
    }
    let what = format!(
        "{url} is not encrypted: whoever reaches it, or answers there, decides who leads and what runs"
    );
    Err(KolError::user("ETCD_PLAIN", what).help(
        "Write https:// and give --etcd-tls DIR (kol-client certs init makes what etcd and masters need), or, where \
         only masters can reach etcd, say --etcd-insecure.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(members: Members) -> Result<Access, KolError> {
        Access::new(&members, &Secrets::default())
    }

    fn at(url: &str) -> Members {
        Members {
            urls: vec!["http://127.0.0.1:1".into(), url.into()],
            ..Members::default()
        }
    }

    #[test]
    fn etcd_elsewhere_is_not_spoken_to_in_the_clear_unless_an_operator_says_so() {
        for local in [
            "http://127.0.0.1:2379",
            "http://localhost:2379",
            "http://[::1]:2379/",
        ] {
            assert_eq!(access(at(local)).unwrap().warning(), None, "{local}");
        }
        for far in [
            "http://etcd-1:2379",
            "http://10.0.0.7:2379",
            "http://localhost.evil:2379",
            "http://localhost:1@evil:2379",
        ] {
            let refused = access(at(far)).unwrap_err();
            assert_eq!(refused.code, "ETCD_PLAIN", "{far}");
            assert!(refused.message.contains(far), "{refused}");
            for remedy in ["--etcd-tls", "--etcd-insecure"] {
                assert!(refused.help.contains(remedy), "{refused}");
            }
            let open = Members {
                insecure: true,
                ..at(far)
            };
            let warning = access(open).unwrap().warning().unwrap();
            assert!(
                warning.starts_with("INSECURE: ") && warning.contains(far),
                "{warning}"
            );
        }
    }

    #[test]
    fn certificates_and_urls_with_https_go_together() {
        let half = access(at("https://etcd-1:2379")).unwrap_err();
        assert_eq!(half.code, "ETCD_URL");
        assert!(half.help.contains("--etcd-tls"), "{half}");
        let tls = |insecure| Members {
            tls: Some("/nonexistent".into()),
            insecure,
            urls: vec!["https://etcd-1:2379".into()],
            ..Members::default()
        };
        assert_eq!(access(tls(true)).unwrap_err().code, "CONFIG_INVALID");
        let missing = access(tls(false)).unwrap_err();
        assert_eq!(missing.code, "TLS_FILES");
        assert!(missing.message.contains("--etcd-tls"), "{missing}");
        let plain = Members {
            urls: vec!["http://127.0.0.1:2379".into()],
            ..tls(false)
        };
        assert_eq!(access(plain).unwrap_err().code, "ETCD_URL");
        for other in ["10.0.0.1:2379", "ftp://etcd:2379", "http://", ""] {
            assert_eq!(access(at(other)).unwrap_err().code, "ETCD_URL", "{other}");
        }
    }

    #[test]
    fn a_password_goes_only_to_members_that_are_listed_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(Some(dir.path().to_owned()));
        let login = |url: &str, password: &str| {
            let members = Members {
                login: Some(("kol".into(), SecretRef(password.into()))),
                insecure: true,
                ..at(url)
            };
            Access::new(&members, &secrets).map(drop)
        };
        let here = "http://localhost:2379";
        let missing = login(here, "file:etcd").unwrap_err();
        assert_eq!(missing.code, "SECRET_MISSING");
        assert!(!missing.help.contains("kol-executor"), "{missing}");
        std::fs::write(dir.path().join("etcd"), "hunter2").unwrap();
        login(here, "file:etcd").unwrap();
        let far = "http://etcd-1:2379/";
        let refused = login(far, "file:etcd").unwrap_err();
        assert_eq!(refused.code, "SECRET_HOST");
        assert!(refused.message.contains("etcd.hosts"), "{refused}");
        assert!(!refused.help.contains("every kol-executor"), "{refused}");
        std::fs::write(dir.path().join("etcd.hosts"), "127.0.0.1 etcd-1:2379").unwrap();
        login(far, "file:etcd").unwrap();
        let plain = login(here, "hunter2").unwrap_err();
        assert_eq!(plain.code, "SECRET_REFERENCE");
        assert!(!plain.to_string().contains("hunter2"), "{plain}");
    }
}
