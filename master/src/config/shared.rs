//! The part of the configuration that masters have who share their state.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use kol_common::KolError;
use kol_common::job::SecretRef;
use serde::Serialize;

use crate::meta::etcd::Members;

/// Flags about etcd.
#[derive(Clone, Debug, Default, Args, Serialize)]
pub struct EtcdFlags {
    /// Elect a leader among masters that share their state in etcd: URLs of its members, separated by commas. Without
    /// it this master is alone, with its state in --state-dir.
    #[arg(long, value_name = "URLS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd: Option<String>,
    /// Keys in etcd begin with this, the same for all masters of one cluster [default: kol/].
    #[arg(long, value_name = "PREFIX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd_prefix: Option<String>,
    /// Folder with ca.crt, and tls.crt and tls.key where etcd wants a certificate: TLS to etcd, whose URLs then begin
    /// with https.
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd_tls: Option<PathBuf>,
    /// User of etcd, where its login is by password.
    #[arg(long, value_name = "USER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd_user: Option<String>,
    /// Where its password is: env:KOL_SECRET_NAME or file:NAME. It is sent only to hosts that are listed beside it.
    #[arg(long, value_name = "REFERENCE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd_password: Option<String>,
    /// Allows members of etcd on other hosts without TLS. For networks where only masters can reach etcd.
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    etcd_insecure: bool,
    /// URL at which clients and executors reach this master, shown by the others while it leads [default: its own
    /// address].
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    advertise: Option<String>,
}

/// How masters share their state, and elect a leader.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shared {
    /// Members of etcd, and how they are called.
    pub members: Members,
    /// What all keys begin with; ends with a slash.
    pub prefix: String,
    /// URL of this master, if it is not its own address.
    pub advertise: Option<String>,
}

/// All layers together.
pub(super) struct Written {
    pub(super) etcd: Option<String>,
    pub(super) prefix: String,
    pub(super) tls: Option<PathBuf>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) insecure: bool,
    pub(super) advertise: Option<String>,
}

/// A mistake in the configuration.
pub(super) fn wrong(what: impl Into<String>) -> KolError {
    KolError::user("CONFIG_INVALID", what).help("See kol-master --help for the keys there are.")
}

impl Shared {
    /// From what is written; `listen` is where this master listens. `None` for a master that is alone.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn of(written: Written, listen: SocketAddr) -> Result<Option<Self>, KolError> {
        let Some(urls) = written.etcd else {
            return Ok(None);
        };
        if written.advertise.is_none() && listen.ip().is_unspecified() {
            return Err(wrong(format!(
                "with --etcd and --listen {listen}, --advertise must say where others reach this master"
            )));
        }
        let login = match (written.user, written.password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user, SecretRef(password))),
            _ => return Err(wrong("--etcd-user and --etcd-password need each other")),
        };
        Ok(Some(Self {
            members: Members {
                urls: urls.split(',').map(|url| url.trim().to_owned()).collect(),
                tls: written.tls,
                login,
                insecure: written.insecure,
            },
            prefix: format!("{}/", written.prefix.trim_end_matches('/')),
            advertise: written.advertise,
        }))
    }

    /// Where others reach this master, which listens at `own`, over TLS or not.
    pub fn address(&self, own: SocketAddr, is_secure: bool) -> String {
        let scheme = if is_secure { "https" } else { "http" };
        let own = || format!("{scheme}://{own}");
        self.advertise.clone().unwrap_or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    fn shared(toml: &str, flags: &[&str]) -> Shared {
        load(toml, flags).unwrap().etcd.unwrap()
    }

    #[test]
    fn masters_share_their_state_where_etcd_is_given() {
        let alone = load("advertise = \"http://kol-1:7077\"\n", &[]).unwrap();
        assert_eq!(alone.etcd, None);
        let file = "etcd = \"http://a:2379, http://b:2379\"\netcd_prefix = \"prod\"\n";
        let both = shared(file, &[]);
        assert_eq!(both.members.urls, ["http://a:2379", "http://b:2379"]);
        assert_eq!(both.prefix, "prod/");
        let own = "127.0.0.1:7077".parse().unwrap();
        assert_eq!(both.address(own, false), "http://127.0.0.1:7077");
        assert_eq!(both.address(own, true), "https://127.0.0.1:7077");
        let flags = [
            "--etcd",
            "http://c:2379",
            "--advertise",
            "http://kol-1:7077",
        ];
        let one = shared(file, &flags);
        assert_eq!(one.members.urls, ["http://c:2379"]);
        assert_eq!(one.address(own, true), "http://kol-1:7077");
        let everywhere = load(file, &["--listen", "0.0.0.0:7077"]).unwrap_err();
        assert!(everywhere.message.contains("--advertise"), "{everywhere}");
    }

    #[test]
    fn the_way_into_etcd_stands_in_the_file_or_in_flags_and_is_closed_by_default() {
        let plain = shared("etcd = \"http://a:2379\"\n", &[]).members;
        assert_eq!(
            (plain.tls, plain.login, plain.insecure),
            (None, None, false)
        );
        let file = "etcd = \"https://a:2379\"\netcd_tls = \"certs/master\"\netcd_user = \"kol\"\n\
                    etcd_password = \"file:etcd\"\n";
        let secured = shared(file, &["--etcd-user", "prod"]).members;
        assert_eq!(secured.tls, Some("certs/master".into()));
        let password = SecretRef("file:etcd".into());
        assert_eq!(secured.login, Some(("prod".into(), password)));
        let open = shared("", &["--etcd", "http://a:2379", "--etcd-insecure"]);
        assert!(open.members.insecure);
        let listeners = shared("", &["--etcd", "http://a:2379", "--insecure"]);
        assert!(!listeners.members.insecure, "that is about listeners");
        for half in ["etcd_user = \"kol\"", "etcd_password = \"file:etcd\""] {
            let half = load(&format!("etcd = \"http://a:2379\"\n{half}\n"), &[]).unwrap_err();
            assert!(half.message.contains("--etcd-password"), "{half}");
        }
    }
}
