//! Which librdkafka properties a spec may set. A spec is input: properties that load code, run
//! commands, read other files or break the system's own promises are refused.

use crate::job::{Refers, is_reference, property_refers};

/// Properties with values of their own.
const ALLOWED: [&str; 34] = [
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "ssl.ca.pem",
    "ssl.certificate.pem",
    "ssl.key.pem",
    "ssl.key.password",
    "ssl.cipher.suites",
    "ssl.endpoint.identification.algorithm",
    "client.rack",
    "broker.address.family",
    "broker.address.ttl",
    "fetch.wait.max.ms",
    "fetch.queue.backoff.ms",
    "fetch.message.max.bytes",
    "max.partition.fetch.bytes",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.error.backoff.ms",
    "receive.message.max.bytes",
    "queued.min.messages",
    "queued.max.messages.kbytes",
    "socket.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "connections.max.idle.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "metadata.max.age.ms",
    "isolation.level",
    "check.crcs",
];

/// Why some are refused.
const REFUSED: [(&str, &str); 10] = [
    ("plugin.library.paths", "a spec cannot load code"),
    ("sasl.kerberos.kinit.cmd", "a spec cannot run commands"),
    (
        "enable.auto.commit",
        "offsets are part of the system's checkpoints",
    ),
    (
        "enable.auto.offset.store",
        "offsets are part of the system's checkpoints",
    ),
    (
        "auto.offset.reset",
        "use source.starting_offsets and source.on_data_loss",
    ),
    ("group.id", "use source.group_id"),
    ("bootstrap.servers", "use source.bootstrap"),
    ("client.id", "the system names its clients itself"),
    ("debug", "it would print secrets"),
    (
        "ssl.ca.location",
        "files cannot be named: give the certificate as ssl.ca.pem = \"file:NAME\"",
    ),
];

/// Whether a property may have this value.
///
/// # Errors
/// Why not.
pub(super) fn check(key: &str, value: &str) -> Result<(), String> {
    if let Some((_, why)) = REFUSED.iter().find(|(name, _)| *name == key) {
        return Err(format!("refused: {why}"));
    }
    if !ALLOWED.contains(&key) {
        return Err(format!(
            "not on the list of allowed properties: {}",
            ALLOWED.join(", ")
        ));
    }
    match (property_refers(key), is_reference(value)) {
        (Some(Refers::Secret), false) => {
            Err("a secret must be a reference: env:KOL_SECRET_NAME or file:NAME".into())
        }
        // It would be sent, and logged by brokers, as what it is not.
        (None, true) => Err("is not a secret and cannot refer to one: write its value".into()),
        _ => Ok(()),
    }
}
