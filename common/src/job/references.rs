//! Which values of a spec may refer to secrets, and where what they refer to would be sent.

use super::alerts::webhook_host;
use super::{JobSpec, KafkaSource, RedisUrl, SecretRef, SinkSpec};

/// Properties of Kafka that are secrets.
const SECRETS: [&str; 4] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "sasl.oauthbearer.client.secret",
];
/// Properties of Kafka that are certificates.
const CERTIFICATES: [&str; 2] = ["ssl.ca.pem", "ssl.certificate.pem"];
/// Port of a broker whose address names none.
const BROKER_PORT: u16 = 9092;

/// What a value that refers to something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refers {
    /// A password or a private key: it goes only where it may.
    Secret,
    /// A certificate: everybody may see it.
    Certificate,
}

/// A reference in a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Dotted key: `sink.password`.
    pub key: String,
    /// What it refers to.
    pub to: SecretRef,
    /// What that is.
    pub kind: Refers,
    /// `host:port` of everything that the spec names and the secret would be sent to.
    pub hosts: Vec<String>,
}

/// Whether a value is written as a reference.
pub fn is_reference(value: &str) -> bool {
    value.starts_with("env:") || value.starts_with("file:")
}

/// What a property of Kafka may refer to; `None` for one that is a value of its own.
pub fn property_refers(key: &str) -> Option<Refers> {
    if SECRETS.contains(&key) {
        return Some(Refers::Secret);
    }
    CERTIFICATES.contains(&key).then_some(Refers::Certificate)
}

/// `host:port` of the brokers that a source names.
pub fn brokers_of(source: &KafkaSource) -> Vec<String> {
    let named = source.bootstrap.split(',').map(str::trim);
    named
        .filter(|broker| !broker.is_empty())
        .map(|broker| {
            // The Kafka client also takes PROTOCOL://HOST:PORT.
            let place = broker.split_once("://").map_or(broker, |(_, place)| place);
            let has_port = place
                .rsplit_once(':')
                .is_some_and(|(_, port)| !port.ends_with(']'));
            if has_port {
                place.to_owned()
            } else {
                format!("{place}:{BROKER_PORT}")
            }
        })
        .collect()
}

/// `host:port` of the Redis servers that a sink names; none for a URL that cannot be read.
pub fn servers_of(sink: &SinkSpec) -> Vec<String> {
    let url: Result<RedisUrl, _> = sink.url.parse();
    url.map(|url| url.hosts().to_vec()).unwrap_or_default()
}

impl SinkSpec {
    /// Its references, by dotted key.
    pub fn references(&self) -> impl Iterator<Item = (&'static str, &SecretRef, Refers)> {
        let all = [
            ("sink.password", &self.password, Refers::Secret),
            (
                "sink.sentinel.password",
                &self.sentinel.password,
                Refers::Secret,
            ),
            ("sink.tls.key", &self.tls.key, Refers::Secret),
            ("sink.tls.ca", &self.tls.ca, Refers::Certificate),
            ("sink.tls.cert", &self.tls.cert, Refers::Certificate),
        ];
        all.into_iter()
            .filter_map(|(key, to, kind)| Some((key, to.as_ref()?, kind)))
    }
}

/// All references of a spec.
pub fn references(spec: &JobSpec) -> Vec<Reference> {
    let source = spec.source.kafka();
    let brokers = brokers_of(source);
    let properties = source.properties.iter().filter_map(|(key, value)| {
        let kind = property_refers(key).filter(|_| is_reference(value))?;
        Some(Reference {
            key: format!("source.properties.{key}"),
            to: SecretRef(value.clone()),
            kind,
            hosts: brokers.clone(),
        })
    });
    let sink = &spec.sink;
    let servers = servers_of(sink);
    let of_sink = sink.references().map(|(key, to, kind)| Reference {
        key: key.to_owned(),
        to: to.clone(),
        kind,
        hosts: servers.clone(),
    });
    let alerts = &spec.alerts;
    let webhook = alerts
        .webhook
        .as_deref()
        .and_then(|url| webhook_host(url).ok());
    let of_alerts = [
        (
            "alerts.webhook_token",
            &alerts.webhook_token,
            Refers::Secret,
        ),
        ("alerts.webhook_ca", &alerts.webhook_ca, Refers::Certificate),
    ];
    let of_alerts = of_alerts.into_iter().filter_map(|(key, to, kind)| {
        Some(Reference {
            key: key.to_owned(),
            to: to.clone()?,
            kind,
            hosts: webhook.iter().cloned().collect(),
        })
    });
    properties.chain(of_sink).chain(of_alerts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_as_the_kafka_client_reads_them() {
        let source = KafkaSource {
            bootstrap: "a:1, SASL_SSL://b:2,c,[::1],[::1]:3,".into(),
            ..KafkaSource::default()
        };
        let brokers = brokers_of(&source);
        assert_eq!(brokers, ["a:1", "b:2", "c:9092", "[::1]:9092", "[::1]:3"]);
    }
}
