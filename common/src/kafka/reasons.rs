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
use super::lines::{Kind, Reason, address, parse};
use crate::KolError;

/// How long a reason holds: the client repeats one that lasts every 30 s.
const HOLDS: Duration = Duration::from_secs(60);
/// Most brokers whose reasons are kept.
const MOST_BROKERS: usize = 100;
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

/// Whether an error says only that Kafka cannot be reached.
pub(super) fn is_unexplained(error: &KolError) -> bool {
    error.code == "SOURCE_UNREACHABLE"
}

fn holds(since: Instant) -> bool {
    since.elapsed() < HOLDS
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
    fn a_name_that_a_broker_gives_itself_is_distinguished_from_the_bootstrap() {
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
