//! Why brokers cannot be used, in the Kafka client's own words.
//!
//! A request that fails says "timed out" or "transport failure". The reason stands in a log line of the
//! client: a login that was refused, a certificate that is not trusted, a name that does not resolve.
//! [`Reasons`] is the context of a client: it keeps the newest such line of each broker, for as long as
//! the client would repeat it, and classifies it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};
use tokio::time::Instant;

use super::classify;
use crate::KolError;

/// How long a reason holds: the client repeats one that lasts every 30 s.
const HOLDS: Duration = Duration::from_secs(60);
/// Most brokers whose reasons are kept.
const MOST_BROKERS: usize = 100;
/// A connection that is younger than this when it ends was refused.
const AT_ONCE_MS: u64 = 2_000;
/// Facility of the log lines that say why a connection failed.
const FAILURE: &str = "FAIL";

/// See the module. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Reasons(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Addresses that the job's spec gives.
    bootstrap: Vec<String>,
    /// By the client's name for the broker.
    brokers: Mutex<BTreeMap<String, (Instant, Reason)>>,
}

/// Why one broker cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reason {
    kind: Kind,
    /// `host:port`.
    address: String,
    /// Its number in the cluster; `None` for an address of the spec.
    node: Option<u32>,
    /// The client's words.
    text: String,
}

/// What is wrong, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// User or password.
    Login,
    /// The way to log in.
    Mechanism,
    /// Certificates.
    Tls,
    /// Plain text to a TLS listener, TLS to a plain one, no login where one is needed.
    Protocol,
    /// The name.
    Name,
    /// Nobody answers at the address.
    Silent,
}

impl ClientContext for Reasons {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == FAILURE {
            tracing::debug!(message, "the Kafka client reports");
            self.note(message);
        }
    }

    /// The log has the same, and what the client does not count as an error.
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Reasons {}

impl Reasons {
    /// For a client with this configuration.
    pub fn of(config: &ClientConfig) -> Self {
        let bootstrap = config.get("bootstrap.servers").unwrap_or_default();
        let bootstrap = bootstrap.split(',').map(|one| address(one.trim()));
        Self(Arc::new(Inner {
            bootstrap: bootstrap.map(str::to_owned).collect(),
            brokers: Mutex::default(),
        }))
    }

    /// What an error of a request means: where that says only that Kafka cannot be reached, the reason
    /// that the client gave for it.
    pub fn classify(&self, error: &KafkaError) -> KolError {
        let error = classify(error);
        let why = self.why(&error);
        why.unwrap_or_else(|| self.unexplained(error))
    }

    /// An error without a reason names where the job looks for Kafka, at least.
    pub(super) fn unexplained(&self, mut error: KolError) -> KolError {
        if is_unexplained(&error) {
            let bootstrap = self.0.bootstrap.join(",");
            error.message = format!("{} at {bootstrap}", error.message);
        }
        error
    }

    /// The reason behind an error that says only that Kafka cannot be reached.
    pub fn why(&self, error: &KolError) -> Option<KolError> {
        if !is_unexplained(error) {
            return None;
        }
        let reason = self.likeliest()?;
        let mut better = reason.error(&self.0.bootstrap, self.is_any_bootstrap_fine());
        better.place = error.place.clone();
        Some(better)
    }

    /// Every broker answers: what was wrong with one no longer is.
    pub fn clear(&self) {
        self.brokers().clear();
    }

    fn brokers(&self) -> MutexGuard<'_, BTreeMap<String, (Instant, Reason)>> {
        let brokers = self.0.brokers.lock();
        brokers.unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, line: &str) {
        let Some((broker, reason)) = parse(line) else {
            return;
        };
        let mut brokers = self.brokers();
        if brokers.len() < MOST_BROKERS || brokers.contains_key(broker) {
            brokers.insert(broker.to_owned(), (Instant::now(), reason));
        }
    }

    /// The most telling one that still holds; of several the newest. A broker that goes down ends young
    /// connections, too, before it refuses new ones: so from there on the newest counts.
    fn likeliest(&self) -> Option<Reason> {
        let brokers = self.brokers();
        let holding = brokers.values().filter(|(since, _)| holds(*since));
        let likeliest = holding
            .min_by_key(|(since, reason)| (reason.kind.min(Kind::Protocol), since.elapsed()));
        likeliest.map(|(_, reason)| reason.clone())
    }

    /// Whether an address of the spec is not known to fail: then what else fails does so by an address
    /// that the cluster gave.
    fn is_any_bootstrap_fine(&self) -> bool {
        let brokers = self.brokers();
        let fails = |address: &String| {
            let mut failing = brokers.values().filter(|(since, _)| holds(*since));
            failing.any(|(_, reason)| reason.address == *address)
        };
        !self.0.bootstrap.iter().all(fails)
    }
}

impl Reason {
    fn error(&self, bootstrap: &[String], is_any_bootstrap_fine: bool) -> KolError {
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

/// Whether an error says only that Kafka cannot be reached.
pub(super) fn is_unexplained(error: &KolError) -> bool {
    error.code == "SOURCE_UNREACHABLE"
}

fn holds(since: Instant) -> bool {
    since.elapsed() < HOLDS
}

/// Reads a line like `[thrd:…]: sasl_ssl://host:9093/1: SSL handshake failed: … (after 2ms in state …)`:
/// the client's name for the broker, and what is wrong with it.
fn parse(line: &str) -> Option<(&str, Reason)> {
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
fn address(broker: &str) -> &str {
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

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    fn reasons(lines: &[&str]) -> Reasons {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "SASL_SSL://kafka:9093, other:9093");
        let reasons = Reasons::of(&config);
        for line in lines {
            reasons.log(RDKafkaLogLevel::Error, FAILURE, line);
        }
        reasons
    }

    fn of(lines: &[&str]) -> KolError {
        let code = RDKafkaErrorCode::OperationTimedOut;
        reasons(lines).classify(&KafkaError::MetadataFetch(code))
    }

    const LOGIN: &str = "[thrd:sasl_ssl://kafka:9093/bootstrap]: sasl_ssl://kafka:9093/bootstrap: SASL \
                         authentication error: Authentication failed during authentication due to invalid \
                         credentials with SASL mechanism SCRAM-SHA-256 (after 309ms in state AUTH_REQ)";

    #[test]
    fn each_reason_of_the_client_has_a_code_of_its_own_and_names_the_broker() {
        for (line, code, part) in [
            (LOGIN, "SOURCE_AUTH", "invalid credentials"),
            (
                "sasl_ssl://kafka:9093/bootstrap: SASL PLAIN mechanism handshake failed: Broker: \
                 Unsupported SASL mechanism: broker's supported mechanisms: SCRAM-SHA-256 (after 9ms)",
                "SOURCE_MECHANISM",
                "supported mechanisms: SCRAM-SHA-256",
            ),
            (
                "ssl://kafka:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::\
                 certificate verify failed: broker certificate could not be verified (after 5ms in \
                 state SSL_HANDSHAKE)",
                "SOURCE_TLS",
                "certificate verify failed",
            ),
            (
                "kafka:9093/bootstrap: Disconnected: connection closed by peer: receive 0 after POLLIN (after \
                 15ms in state APIVERSION_QUERY)",
                "SOURCE_PROTOCOL",
                "Disconnected",
            ),
            (
                "kafka:9093/bootstrap: Disconnected (after 3ms in state UP, 2 identical error(s) \
                 suppressed)",
                "SOURCE_PROTOCOL",
                "Disconnected",
            ),
            (
                "kafka:9093/bootstrap: Receive failed: Invalid response size 352518912 \
                 (0..100000000): increase receive.message.max.bytes (after 2ms in state UP)",
                "SOURCE_PROTOCOL",
                "Invalid response size",
            ),
            (
                "ssl://kafka:9093/bootstrap: SSL handshake failed: Disconnected: connecting to a \
                 PLAINTEXT broker listener? (after 2ms in state SSL_HANDSHAKE)",
                "SOURCE_PROTOCOL",
                "PLAINTEXT",
            ),
            (
                "sasl_plaintext://kafka:9093/bootstrap: SASL PLAIN mechanism handshake failed: Broker: \
                 Request not valid in current SASL state: broker's supported mechanisms: (after 9ms)",
                "SOURCE_PROTOCOL",
                "SASL state",
            ),
            (
                "kafka:9093/bootstrap: Failed to resolve 'kafka:9093': Name or service not known \
                 (after 8ms in state CONNECT)",
                "SOURCE_UNREACHABLE",
                "resolved",
            ),
            (
                "kafka:9093/bootstrap: Connect to ipv4#127.0.0.1:9093 failed: Connection refused \
                 (after 0ms in state CONNECT)",
                "SOURCE_UNREACHABLE",
                "refused",
            ),
        ] {
            let error = of(&[line]);
            assert_eq!(error.code, code, "{line}");
            assert!(error.message.contains("kafka:9093"), "{error}");
            assert!(error.message.contains(part), "{error}");
            assert!(!error.message.contains("in state AUTH"), "{error}");
            assert!(!error.help.is_empty() && error.retryable, "{error}");
        }
    }

    #[test]
    fn a_name_that_a_broker_gives_itself_is_told_apart_from_the_bootstrap() {
        let advertised =
            "inside:9092/1: Failed to resolve 'inside:9092': Name or service not known";
        let error = of(&[advertised]);
        assert_eq!(error.code, "SOURCE_ADVERTISED");
        let named = "broker 1 calls itself inside:9092, which cannot be resolved";
        assert!(error.message.contains(named), "{error}");
        assert!(error.help.contains("advertised.listeners"), "{error}");
        let silent = "inside:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused";
        assert_eq!(of(&[silent]).code, "SOURCE_ADVERTISED");
        // A broker that is down by the address of the spec, and a cluster of which nothing answers.
        let known = "kafka:9093/1: Connect to ipv4#10.0.0.1:9093 failed: Connection refused";
        assert_eq!(of(&[known]).code, "SOURCE_UNREACHABLE");
        let both = ["kafka:9093/bootstrap", "other:9093/bootstrap"];
        let down = both.map(|b| format!("{b}: Connect to x failed: Connection refused"));
        let lines = [silent, &down[0], &down[1]];
        assert_eq!(of(&lines).code, "SOURCE_UNREACHABLE");
    }

    #[test]
    fn the_most_telling_reason_counts_and_only_for_errors_that_do_not_say_it_themselves() {
        let down = "other:9093/bootstrap: Connect to x failed: Connection refused";
        assert_eq!(of(&[LOGIN, down]).code, "SOURCE_AUTH");
        let goes_down = "kafka:9093/1: Disconnected (after 9ms in state UP)";
        assert_eq!(of(&[goes_down, down]).code, "SOURCE_UNREACHABLE");
        for ended in ["Disconnected (after 70000ms in state UP)", "Disconnected"] {
            let line = format!("kafka:9093/1: {ended}");
            assert_eq!(of(&[&line]).message, of(&[]).message);
        }
        let denied = KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(reasons(&[LOGIN]).classify(&denied).code, "SOURCE_DENIED");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reason_ends_with_the_next_answer_and_with_time() {
        let unreachable = KolError::external("SOURCE_UNREACHABLE", "");
        let known = reasons(&[LOGIN]);
        tokio::time::advance(HOLDS - Duration::from_secs(1)).await;
        assert!(known.why(&unreachable).is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(known.why(&unreachable), None);
        let known = reasons(&[LOGIN]);
        known.clear();
        assert_eq!(known.why(&unreachable), None);
    }
}
