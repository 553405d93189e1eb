//! Why a call to etcd failed: what a person reads of it, and what it is called.

use kol_common::KolError;
use kol_common::net::tls_failure;
use tonic::{Code, Status};

/// No member of etcd answers.
const UNREACHABLE: &str = "ETCD_UNREACHABLE";
/// One of the two does not accept the other's certificate.
const TLS: &str = "ETCD_TLS";
/// Users, passwords and rights.
pub(super) const AUTH: &str = "ETCD_AUTH";

/// What a call failed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    code: &'static str,
    reason: String,
}

/// A call failed. Whether a write happened is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("etcd at {member}: {reason}")]
pub struct EtcdError {
    /// Stable: `ETCD_UNREACHABLE`, `ETCD_TLS` or `ETCD_AUTH`.
    pub code: &'static str,
    /// URL of the member that was called.
    pub member: String,
    /// What it, or the network, said.
    pub reason: String,
}

impl Failure {
    pub(super) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }

    pub(super) fn silence(after: std::time::Duration) -> Self {
        Self::new(UNREACHABLE, format!("no answer within {after:?}"))
    }

    /// From what came in place of an answer.
    pub(super) fn of(status: &Status) -> Self {
        if let Some(why) = tls_failure(status) {
            return Self::new(TLS, why);
        }
        match (status.code(), status.message()) {
            (Code::PermissionDenied, _) => Self::new(
                AUTH,
                "the user may not read and write the keys of this cluster",
            ),
            (_, "etcdserver: user name is empty") => {
                Self::new(AUTH, "it wants a login, and none is given")
            }
            (Code::Unauthenticated, said) => Self::new(AUTH, said),
            (_, said) => Self::new(UNREACHABLE, said),
        }
    }

    /// This one, unless it says no more than that there was no answer, and `trouble` says why.
    pub(super) fn or_of_tls(self, trouble: Option<String>) -> Self {
        match trouble {
            Some(why) if self.code == UNREACHABLE => Self::new(TLS, why),
            _ => self,
        }
    }

    /// Of a call to this member.
    pub(super) fn at(self, member: &str) -> EtcdError {
        EtcdError {
            code: self.code,
            member: member.to_owned(),
            reason: self.reason,
        }
    }
}

impl From<&EtcdError> for KolError {
    fn from(error: &EtcdError) -> Self {
        Self::external(error.code, error.to_string()).help(match error.code {
            TLS => {
                "Check ca.crt, tls.crt and tls.key in the folder of --etcd-tls, and that etcd's certificate has the host \
                 of the URL."
            }
            AUTH => {
                "Check --etcd-user, --etcd-password and the user's rights: etcdctl role grant-permission ROLE readwrite \
                 kol/ --prefix=true."
            }
            _ => "Look at etcd and the network. Executors continue meanwhile.",
        })
    }
}

/// An address that is not a URL of etcd.
pub(super) fn wrong(what: &str) -> KolError {
    KolError::user("ETCD_URL", what)
        .help("Give --etcd like https://10.0.0.1:2379,https://10.0.0.2:2379.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_etcd_refuses_has_a_code_of_its_own() {
        for (code, said, expected) in [
            (
                Code::PermissionDenied,
                "etcdserver: permission denied",
                AUTH,
            ),
            (
                Code::InvalidArgument,
                "etcdserver: user name is empty",
                AUTH,
            ),
            (
                Code::Unauthenticated,
                "etcdserver: invalid auth token",
                AUTH,
            ),
            (Code::Unavailable, "etcdserver: no leader", UNREACHABLE),
            (
                Code::InvalidArgument,
                "etcdserver: duplicate key",
                UNREACHABLE,
            ),
            (Code::Unknown, "received fatal alert: BadCertificate", TLS),
            (Code::Cancelled, "operation was canceled", UNREACHABLE),
        ] {
            let error = Failure::of(&Status::new(code, said)).at("https://a:1");
            assert_eq!(error.code, expected, "{said}");
            let shown = KolError::from(&error).to_string();
            assert!(
                shown.starts_with(&format!("{expected}: etcd at https://a:1: ")),
                "{shown}"
            );
        }
    }

    #[test]
    fn why_a_connection_ended_takes_the_place_of_no_answer_and_of_nothing_else() {
        let cancelled = || Failure::of(&Status::new(Code::Cancelled, "operation was canceled"));
        let trouble = || Some("it hung up".to_owned());
        assert_eq!(cancelled().or_of_tls(None), cancelled());
        assert_eq!(cancelled().or_of_tls(trouble()).code, TLS);
        let refused = Failure::new(AUTH, "no");
        assert_eq!(refused.clone().or_of_tls(trouble()), refused);
    }
}
