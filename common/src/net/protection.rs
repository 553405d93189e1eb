//! Whether a process may listen where it is to listen, and who may use it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::credentials::Credentials;
use super::hosts::Hosts;
use super::tokens::{Principal, Role};
use crate::KolError;
use crate::actor::Group;

/// Who sends requests to a process without authentication, in audit lines.
pub const NOBODY: &str = "-";
/// How often an open process warns.
const EACH: Duration = Duration::from_secs(60);

/// How the listeners of a process are protected. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Protection {
    credentials: Option<Credentials>,
    insecure: bool,
    hosts: Hosts,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It shows no valid token or certificate.
    Unknown,
    /// The role of who sends it does not suffice.
    Forbidden {
        /// Who sends it.
        who: Principal,
        /// What would suffice.
        needed: Role,
    },
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("a valid token or certificate is needed"),
            Self::Forbidden { needed, .. } => write!(f, "the role {} is needed", needed.as_str()),
        }
    }
}

impl Protection {
    /// From `--tls` and `--insecure`.
    ///
    /// # Errors
    /// `TLS_FILES`; both were given.
    pub fn new(tls: Option<&Path>, insecure: bool) -> Result<Self, KolError> {
        if tls.is_some() && insecure {
            return Err(KolError::user(
                "CONFIG_INVALID",
                "--tls and --insecure exclude each other",
            )
            .help("Leave --insecure out: with --tls every address is allowed."));
        }
        Ok(Self {
            credentials: tls.map(Credentials::load).transpose()?,
            insecure,
            hosts: Hosts::default(),
        })
    }

    /// Where there is no login, requests that name one of these hosts are answered on loopback, too.
    ///
    /// # Errors
    /// `CONFIG_INVALID`: one is not the name of a host.
    pub fn allow_hosts(self, names: &[String]) -> Result<Self, KolError> {
        let hosts = Hosts::named(names)?;
        Ok(Self { hosts, ..self })
    }

    /// Which hosts requests to this address may name; `None` where any. An address that is not known is no reason to be
    /// open.
    pub(super) fn hosts(&self, address: Option<SocketAddr>) -> Option<Hosts> {
        let is_reachable = address.is_some_and(|address| !is_local(address));
        (self.credentials.is_none() && !is_reachable).then(|| self.hosts.clone())
    }

    /// Certificates and tokens, if there are any.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Whether a process may listen on an address; `flag` named it.
    ///
    /// # Errors
    /// `ADDRESS_OPEN`: others could reach it.
    pub fn check_address(&self, flag: &str, address: SocketAddr) -> Result<(), KolError> {
        if self.credentials.is_some() || self.insecure || is_local(address) {
            return Ok(());
        }
        let what = format!("{flag} {address} can be reached by others, without TLS and login");
        Err(KolError::user("ADDRESS_OPEN", what).help(
            "Give --tls DIR (kol-client certs init makes one), listen on 127.0.0.1, or, where only \
             trusted hosts can connect, say --insecure.",
        ))
    }

    /// Whether this process may connect to a master at this URL.
    ///
    /// # Errors
    /// `MASTER_PLAIN`: without TLS others could answer in its place; `MASTER_URL`: TLS on one side only.
    pub fn check_master(&self, url: &str) -> Result<(), KolError> {
        let Some((scheme, place)) = url.split_once("://") else {
            // Not a URL: who opens the connection says so.
            return Ok(());
        };
        let is_secure = scheme.eq_ignore_ascii_case("https");
        if is_secure != self.credentials.is_some() {
            let what = format!("{url} and --tls do not fit together");
            return Err(KolError::user("MASTER_URL", what)
                .help("A master with https:// needs --tls DIR, and --tls such a master."));
        }
        if is_secure {
            return Ok(());
        }
        if self.insecure || is_this_machine(place) {
            return Ok(());
        }
        let what = format!("{url} is not encrypted, and anybody could answer there");
        Err(KolError::user("MASTER_PLAIN", what)
            .help("Write https:// and give --tls DIR, or, on a trusted network, --insecure."))
    }

    /// What people must know of a process that listens on these addresses.
    pub fn warning(&self, addresses: &[SocketAddr]) -> Option<String> {
        let open = addresses.iter().find(|address| !is_local(**address))?;
        let is_open = self.credentials.is_none();
        is_open.then(|| {
            format!("INSECURE: whoever reaches {open} can do everything, without TLS and login")
        })
    }

    /// What people must know of an executor that connects to a master at this URL.
    pub fn warning_of_master(&self, url: &str) -> Option<String> {
        let is_plain = self.insecure && Self::default().check_master(url).is_err();
        is_plain.then(|| format!("INSECURE: whoever answers at {url} is believed, without TLS"))
    }

    /// Does what a process needs until the tasks are stopped: reads certificates and tokens again, and repeats
    /// its warnings each minute.
    pub fn keep(&self, warnings: Vec<String>, tasks: &Group) {
        if let Some(credentials) = &self.credentials {
            let keeping = credentials.clone().keep(tasks.stop_token());
            let _runs_by_itself = tasks.spawn("credentials", keeping);
        }
        if !warnings.is_empty() {
            let _runs_by_itself = tasks.spawn("warn", warn(warnings, tasks.stop_token()));
        }
    }

    /// Who sends a request with this `authorization` header, if that may be done with `needed`. Without
    /// authentication everybody is an admin without a name.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admit(&self, authorization: Option<&str>, needed: Role) -> Result<Principal, Refused> {
        let Some(credentials) = &self.credentials else {
            return Ok(Principal {
                name: NOBODY.to_owned(),
                role: Role::Admin,
            });
        };
        let token = authorization.and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let holder = token.and_then(|token| credentials.holder(token));
        match holder {
            None => Err(Refused::Unknown),
            Some(who) if who.role < needed => Err(Refused::Forbidden { who, needed }),
            Some(who) => Ok(who),
        }
    }
}

async fn warn(warnings: Vec<String>, stop: CancellationToken) -> Result<(), KolError> {
    loop {
        for warning in &warnings {
            tracing::warn!(
                code = "INSECURE",
                warning,
                "this process trusts its network"
            );
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EACH) => {}
        }
    }
}

/// Whether the server at a place, `host:port` of a URL and what follows, is on this machine; only hosts that always are.
pub fn is_this_machine(place: &str) -> bool {
    let host = place.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || host.parse().is_ok_and(is_local)
}

fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_loopback_is_open_without_tls_unless_a_person_says_so() {
        let closed = Protection::default();
        let open = Protection::new(None, true).unwrap();
        for local in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            closed.check_address("--listen", address(local)).unwrap();
            assert_eq!(open.warning(&[address(local)]), None);
        }
        for others in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[2001:db8::1]:1"] {
            let error = closed
                .check_address("--listen", address(others))
                .unwrap_err();
            assert_eq!(error.code, "ADDRESS_OPEN");
            assert!(error.help.contains("--insecure"), "{error}");
            open.check_address("--listen", address(others)).unwrap();
            let warning = open.warning(&[address("127.0.0.1:1"), address(others)]);
            assert!(warning.unwrap().contains(others));
        }
    }

    #[test]
    fn a_master_elsewhere_is_not_spoken_to_in_the_clear() {
        let closed = Protection::default();
        for local in [
            "http://127.0.0.1:7077",
            "http://localhost:7077/",
            "http://[::1]:7077",
        ] {
            closed.check_master(local).unwrap();
        }
        let open = Protection::new(None, true).unwrap();
        assert_eq!(open.warning_of_master("http://[::1]:7077"), None);
        let half = closed.check_master("https://master:7077").unwrap_err();
        assert_eq!(half.code, "MASTER_URL");
        for far in [
            "http://master:7077",
            "HTTP://master:7077",
            "http://localhost.evil:7077",
            "http://localhost:1@evil:7077",
            "http://10.0.0.1:7077",
        ] {
            assert_eq!(closed.check_master(far).unwrap_err().code, "MASTER_PLAIN");
            let open = Protection::new(None, true).unwrap();
            open.check_master(far).unwrap();
            assert!(open.warning_of_master(far).unwrap().contains(far));
        }
    }

    #[test]
    fn without_authentication_everybody_may_do_everything_and_has_no_name() {
        let who = Protection::default().admit(None, Role::Admin).unwrap();
        assert_eq!((&*who.name, who.role), (NOBODY, Role::Admin));
    }
}
