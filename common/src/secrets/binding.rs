//! Where a secret may be sent. Who configures a secret says so beside it; who writes a spec cannot.
//!
//! 1. A secret has a list of hosts: `host`, `host:port`, `*.domain` (any name below it), an address or a
//!    network like `10.1.0.0/16`. Without a port any port is meant.
//! 2. A secret without a list goes to loopback addresses of this machine only: that is enough to try things
//!    out, and a secret whose owner said nothing leaves no machine.
//! 3. Names are compared as they are written, and are not resolved: what a name means is decided by the name
//!    service, which this machine trusts anyway.

use std::net::IpAddr;

use crate::KolError;

/// A host that a secret would be sent to is not one of those it may be sent to.
pub const ELSEWHERE: &str = "SECRET_HOST";

/// Where one secret may be sent.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The reference, for messages.
    secret: String,
    /// What holds the list, for messages: a variable or a file.
    list: String,
    /// `None` without a list.
    hosts: Option<Vec<Pattern>>,
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// In lower case.
    Name(String),
    /// What names end with, from the dot on.
    Below(String),
    /// An address and how many of its bits count.
    Network(IpAddr, u32),
}

impl Binding {
    /// Reads a list; `text` is separated by commas or white space.
    ///
    /// # Errors
    /// `SECRET_HOST`: a malformed entry.
    pub(super) fn read(secret: &str, list: &str, text: Option<&str>) -> Result<Self, KolError> {
        let entries = |text: &str| {
            text.split(|c: char| c == ',' || c.is_whitespace())
                .filter(|entry| !entry.is_empty())
                .map(|entry| {
                    Pattern::read(entry).ok_or_else(|| {
                        let what = format!("`{entry}` in {list} is not a host");
                        KolError::user(ELSEWHERE, what)
                            .help("Write host, host:port, *.domain or a network like 10.1.0.0/16.")
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            secret: secret.to_owned(),
            list: list.to_owned(),
            hosts: text.map(entries).transpose()?,
        })
    }

    /// Whether the secret may be sent to this host, given as `host:port` or `[address]:port`.
    ///
    /// # Errors
    /// `SECRET_HOST` if not.
    pub fn check(&self, place: &str) -> Result<(), KolError> {
        let (host, port) = split(place);
        let host = plain(host);
        // Where a URL has more in place of its host, it may mean another one.
        let is_plain = is_name(&host) || host.parse::<IpAddr>().is_ok();
        let allowed = match &self.hosts {
            None => is_loopback(&host),
            Some(hosts) => hosts.iter().any(|pattern| pattern.matches(&host, port)),
        };
        if is_plain && allowed {
            return Ok(());
        }
        let why = match self.hosts {
            None => format!("{} is not set, so it may only go to loopback", self.list),
            Some(_) => format!("{} does not list that host", self.list),
        };
        let what = format!("`{}` may not be sent to {place}: {why}", self.secret);
        Err(KolError::user(ELSEWHERE, what).help(format!(
            "If that host may have it, list it in {} for kol-master and every kol-executor.",
            self.list
        )))
    }
}

impl Pattern {
    fn read(entry: &str) -> Option<Self> {
        if let Some((address, bits)) = entry.split_once('/') {
            let address: IpAddr = plain(address).parse().ok()?;
            let bits: u32 = bits.parse().ok()?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let host = Host::Network(address, bits);
            return (bits <= longest).then_some(Self { host, port: None });
        }
        let (host, port) = match entry.parse::<IpAddr>() {
            // An address of IPv6 needs no brackets where no port follows.
            Ok(_) => (entry, None),
            Err(_) => split(entry),
        };
        let is_bad_port = port.is_none() && entry.len() > host.len() && !host.contains(':');
        let host = plain(host);
        let host = match (host.parse(), host.strip_prefix('*')) {
            (Ok(address @ IpAddr::V4(_)), _) => Host::Network(address, 32),
            (Ok(address @ IpAddr::V6(_)), _) => Host::Network(address, 128),
            (_, Some(domain)) if is_name(domain.strip_prefix('.')?) => Host::Below(domain.into()),
            _ if is_name(&host) => Host::Name(host),
            _ => return None,
        };
        (!is_bad_port || entry.ends_with(']')).then_some(Self { host, port })
    }

    fn matches(&self, host: &str, port: Option<u16>) -> bool {
        if self.port.is_some() && self.port != port {
            return false;
        }
        match &self.host {
            Host::Name(name) => name == host,
            Host::Below(domain) => host.len() > domain.len() && host.ends_with(&**domain),
            Host::Network(network, bits) => {
                let address = host.parse();
                address.is_ok_and(|address| is_within(address, *network, *bits))
            }
        }
    }
}

/// Host and port of `host:port`, of which the latter may be missing.
fn split(place: &str) -> (&str, Option<u16>) {
    match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (place, None),
    }
}

/// A host as it is compared: without brackets and the dot of the root, in lower case.
fn plain(host: &str) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_name(host: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !host.is_empty() && !host.starts_with('.') && host.bytes().all(allowed)
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let same = |a: u128, b: u128, longest: u32| {
        let ignored = longest.saturating_sub(bits);
        a.checked_shr(ignored).unwrap_or(0) == b.checked_shr(ignored).unwrap_or(0)
    };
    match (address.to_canonical(), network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => same(a.to_bits().into(), n.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => same(a.to_bits(), n.to_bits(), 128),
        _ => false,
    }
}

/// Whether a host is this machine itself; only names that always are.
fn is_loopback(host: &str) -> bool {
    let address: Result<IpAddr, _> = host.parse();
    match address {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(list: Option<&str>, place: &str) -> bool {
        let binding = Binding::read("env:KOL_SECRET_X", "KOL_SECRET_X_HOSTS", list).unwrap();
        binding.check(place).is_ok()
    }

    #[test]
    fn a_secret_without_a_list_goes_to_loopback_only() {
        for place in [
            "localhost:6379",
            "LOCALHOST.:1",
            "127.0.0.1:6379",
            "127.8.0.1:1",
            "[::1]:6379",
        ] {
            assert!(allows(None, place), "{place}");
        }
        for place in [
            "10.0.0.1:6379",
            "redis:6379",
            "localhost.evil.example:6379",
            "127.0.0.1.evil.example:1",
            "0.0.0.0:6379",
            "[2001:db8::1]:6379",
            "",
        ] {
            assert!(!allows(None, place), "{place}");
        }
    }

    #[test]
    fn a_list_names_hosts_ports_domains_and_networks_and_replaces_loopback() {
        let list = Some("redis, Kafka.internal:9093\n*.prod.example 10.1.0.0/16,2001:db8::/32");
        for place in [
            "redis:1",
            "REDIS:6379",
            "kafka.internal:9093",
            "a.b.prod.example:1",
            "10.1.255.7:6379",
            "[2001:db8::7]:1",
            "[::ffff:10.1.2.3]:1",
        ] {
            assert!(allows(list, place), "{place}");
        }
        for place in [
            "kafka.internal:9092",
            "prod.example:1",
            "evilprod.example:1",
            "redis.evil:1",
            "10.2.0.1:1",
            "[2001:db9::7]:1",
            "127.0.0.1:6379",
            "localhost:6379",
            "evil#.prod.example:1",
            "evil/@a.prod.example:1",
            "evil:1,a.prod.example:1",
        ] {
            assert!(!allows(list, place), "{place}");
        }
        assert!(!allows(Some(""), "localhost:1"), "an empty list is a list");
        assert!(allows(Some("0.0.0.0/0 ::1"), "8.8.8.8:1"));
        assert!(allows(Some("[::1]:5"), "[::1]:5") && !allows(Some("[::1]:5"), "[::1]:6"));
    }

    #[test]
    fn an_entry_that_is_no_host_is_refused_by_name() {
        for entry in [
            "*",
            "*.",
            "10.0.0.0/33",
            "a/8",
            "redis:port",
            "http://redis",
            "*evil",
        ] {
            let read = Binding::read("env:KOL_SECRET_X", "KOL_SECRET_X_HOSTS", Some(entry));
            let error = read.expect_err(entry);
            assert_eq!(error.code, ELSEWHERE);
            assert!(error.message.contains(entry), "{error}");
        }
    }
}
