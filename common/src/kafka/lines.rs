//! What a log line of the Kafka client says of a broker, and what that means for a person.

use crate::KolError;

/// A connection that is younger than this when it ends was refused.
const AT_ONCE_MS: u64 = 2_000;

/// Why one broker cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) kind: Kind,
    /// Address of the broker, `host:port`.
    pub(super) address: String,
    /// Its number in the cluster; `None` for an address of the spec.
    node: Option<u32>,
    /// The client's words.
    text: String,
}

/// What is wrong, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// User or password.
    Login,
    /// The way to log in.
    Mechanism,
    /// One of the two does not accept the other's certificate.
    Tls,
    /// Plain text to a TLS listener, TLS to a plain one, no login where one is needed.
    Protocol,
    /// The broker's name cannot be resolved.
    Name,
    /// Nobody answers at the address.
    Silent,
}

impl Reason {
    /// What a person reads. `bootstrap` are the addresses of the spec; `is_any_bootstrap_fine` says whether one of them is
    /// not known to fail.
    pub(super) fn error(&self, bootstrap: &[String], is_any_bootstrap_fine: bool) -> KolError {
        let Self { address, text, .. } = self;
        let advertised = self.node.filter(|_| {
            !bootstrap.contains(address) && is_any_bootstrap_fine && self.kind >= Kind::Name
        });
        if let Some(node) = advertised {
            let cannot = match self.kind {
                Kind::Name => "resolved",
                _ => "reached",
            };
            let what =
                format!("broker {node} calls itself {address}, which cannot be {cannot} ({text})");
            return KolError::external("SOURCE_ADVERTISED", what).help(
                "If that broker runs, correct its advertised.listeners, or make the name known to \
                 the hosts of kol-master and kol-executor; reading then resumes by itself.",
            );
        }
        let (code, what, help) = match self.kind {
            Kind::Login => (
                "SOURCE_AUTH",
                format!("Kafka at {address} refuses the login ({text})"),
                "Check sasl.username, sasl.password and sasl.mechanism in source.properties, and the \
                 secrets they refer to.",
            ),
            Kind::Mechanism => (
                "SOURCE_MECHANISM",
                format!("Kafka at {address} does not take this way to log in ({text})"),
                "Set sasl.mechanism in source.properties to one that the broker has enabled.",
            ),
            Kind::Tls => (
                "SOURCE_TLS",
                format!("no TLS connection to Kafka at {address} ({text})"),
                "Set ssl.ca.pem in source.properties to the CA that signed the broker's certificate \
                 (\"file:NAME\" or \"env:KOL_SECRET_…\"), and source.bootstrap to a name that the \
                 certificate has.",
            ),
            Kind::Protocol => (
                "SOURCE_PROTOCOL",
                format!("Kafka at {address} speaks another protocol than the job ({text})"),
                "Set security.protocol in source.properties to what the listener expects \
                 (PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL), or give another port.",
            ),
            Kind::Name => (
                "SOURCE_UNREACHABLE",
                format!("the name of Kafka at {address} cannot be resolved ({text})"),
                "Correct source.bootstrap or the name service; reading then resumes by itself.",
            ),
            Kind::Silent => (
                "SOURCE_UNREACHABLE",
                format!("Kafka at {address} cannot be reached ({text})"),
                "Start the brokers or correct source.bootstrap; reading then resumes by itself.",
            ),
        };
        KolError::external(code, what).help(help)
    }
}

/// Reads a line like `[thrd:…]: sasl_ssl://host:9093/1: SSL handshake failed: … (after 2ms in state …)`:
/// the client's name for the broker, and what is wrong with it.
pub(super) fn parse(line: &str) -> Option<(&str, Reason)> {
    let line = match line.strip_prefix("[thrd:") {
        Some(rest) => rest.split_once("]: ")?.1,
        None => line,
    };
    let (broker, text) = line.split_once(": ")?;
    let (_, node) = broker.rsplit_once('/')?;
    let (text, when) = text.split_once(" (after ").unwrap_or((text, ""));
    let reason = Reason {
        kind: Kind::of(text, when)?,
        address: address(broker).to_owned(),
        node: node.parse().ok(),
        text: text.to_owned(),
    };
    Some((broker, reason))
}

/// `host:port` of the client's name for a broker, and of an address with a protocol.
pub(super) fn address(broker: &str) -> &str {
    let address = broker.split_once("://").map_or(broker, |(_, rest)| rest);
    address.split('/').next().unwrap_or(address)
}

impl Kind {
    /// Of the client's words, and of `when` they were said: `2ms in state UP`. `None` for what is the end
    /// of a connection, and says nothing of how to open one.
    fn of(text: &str, when: &str) -> Option<Self> {
        let has = |part: &str| text.contains(part);
        Some(if has("mechanism handshake failed") {
            // A listener without SASL refuses every mechanism.
            if has("current SASL state") {
                Self::Protocol
            } else {
                Self::Mechanism
            }
        } else if text.starts_with("SASL") {
            Self::Login
        } else if has("SSL handshake failed") {
            let plain = ["PLAINTEXT broker", "wrong version", "packet length"];
            if plain.iter().any(|part| has(part)) {
                Self::Protocol
            } else {
                Self::Tls
            }
        } else if has("Invalid response size")
            || (text.starts_with("Disconnected") && is_at_once(when))
        {
            Self::Protocol
        } else if text.starts_with("Failed to resolve") {
            Self::Name
        } else if text.starts_with("Connect to") || has("onnection setup timed out") {
            Self::Silent
        } else {
            return None;
        })
    }
}

/// Whether a connection ended before it was of any use: so a TLS listener answers plain text, and one with a
/// login those who have none.
fn is_at_once(when: &str) -> bool {
    let Some((ms, state)) = when.split_once("ms in state ") else {
        return false;
    };
    let is_young = ms.parse::<u64>().is_ok_and(|ms| ms < AT_ONCE_MS);
    is_young
        && ["APIVERSION_QUERY", "UP"]
            .iter()
            .any(|s| state.starts_with(s))
}
