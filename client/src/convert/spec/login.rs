//! How the new job logs in to Kafka: names are carried over, secrets become references.

use super::draft::{Draft, Filling, quoted};
use crate::convert::model::{Piece, Setting, Settings, Text};
use crate::convert::secrets::{is_secret, shown};

/// Reference to the password of the Kafka login.
const PASSWORD: &str = "env:KOL_SECRET_KAFKA_PASSWORD";
/// Reference to the password of the client's key.
const KEY_PASSWORD: &str = "env:KOL_SECRET_KAFKA_KEY_PASSWORD";

/// Properties of Java's client, and those of the same meaning here.
const SAME: [(&str, &str); 13] = [
    ("security.protocol", "security.protocol"),
    ("sasl.mechanism", "sasl.mechanism"),
    ("client.rack", "client.rack"),
    ("isolation.level", "isolation.level"),
    ("check.crcs", "check.crcs"),
    ("fetch.min.bytes", "fetch.min.bytes"),
    ("fetch.max.bytes", "fetch.max.bytes"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("max.partition.fetch.bytes", "max.partition.fetch.bytes"),
    ("reconnect.backoff.ms", "reconnect.backoff.ms"),
    ("reconnect.backoff.max.ms", "reconnect.backoff.max.ms"),
    ("connections.max.idle.ms", "connections.max.idle.ms"),
    ("metadata.max.age.ms", "metadata.max.age.ms"),
];

/// Options of the login that this file answers; others are left over.
pub fn is_taken(key: &str) -> bool {
    let Some(key) = key.strip_prefix("kafka.") else {
        return false;
    };
    SAME.iter().any(|(old, _)| *old == key)
        || matches!(
            key,
            "sasl.jaas.config"
                | "sasl.username"
                | "sasl.password"
                | "ssl.truststore.location"
                | "ssl.truststore.password"
                | "ssl.keystore.location"
                | "ssl.keystore.password"
                | "ssl.key.password"
                | "ssl.ca.location"
                | "ssl.endpoint.identification.algorithm"
        )
}

/// Writes `[source.properties]`, if there is anything to say.
pub fn write(options: &Settings, draft: &mut Draft) {
    if !options.keys().any(|key| is_taken(key)) {
        return;
    }
    draft.line("\n[source.properties]");
    let get = |key: &str| options.get(&format!("kafka.{key}"));
    for (old, new) in SAME {
        if let Some(setting) = get(old) {
            draft.assumed(setting);
            let filling = match Filling::of(&setting.value) {
                Filling::Known(text) if old == "sasl.mechanism" => mechanism(&text),
                filling => filling,
            };
            property(new, &filling, setting, draft);
        }
    }
    if let Some(jaas) = get("sasl.jaas.config") {
        jaas_config(jaas, get("sasl.mechanism").is_some(), draft);
    } else if let Some(user) = get("sasl.username") {
        property("sasl.username", &Filling::of(&user.value), user, draft);
        password(draft);
    } else if get("sasl.password").is_some() {
        password(draft);
    }
    stores(options, draft);
    if let Some(setting) = get("ssl.endpoint.identification.algorithm") {
        let filling = match Filling::of(&setting.value) {
            // Java switches the check off with an empty text.
            Filling::Known(text) if text.is_empty() => Filling::Known("none".into()),
            filling => filling,
        };
        property(
            "ssl.endpoint.identification.algorithm",
            &filling,
            setting,
            draft,
        );
    }
}

/// One that the client here knows and that logs in with a name and a password.
fn mechanism(text: &str) -> Filling {
    let known = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
    match known.iter().find(|known| known.eq_ignore_ascii_case(text)) {
        Some(known) => Filling::Known((*known).to_owned()),
        None => Filling::Missing(format!(
            "{}; the old job logs in by {}",
            known.join(", "),
            shown(text)
        )),
    }
}

fn property(name: &str, filling: &Filling, setting: &Setting, draft: &mut Draft) {
    draft.fill(&quoted(name), filling, Some(&setting.origin));
}

fn password(draft: &mut Draft) {
    draft.comment(
        "The password is not written here. Before kol-master and each kol-executor start: \
         export KOL_SECRET_KAFKA_PASSWORD='…' KOL_SECRET_KAFKA_PASSWORD_HOSTS='all brokers'",
    );
    draft.text("\"sasl.password\"", PASSWORD);
}

/// `org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="b";`
fn jaas_config(jaas: &Setting, has_mechanism: bool, draft: &mut Draft) {
    let known: String = jaas
        .value
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Known(text) => text.as_str(),
            Piece::Unknown(_) => "",
        })
        .collect();
    let by_module = [
        ("PlainLoginModule", Some("PLAIN")),
        ("ScramLoginModule", None),
    ];
    let module = by_module.iter().find(|(module, _)| known.contains(module));
    match module {
        Some((_, Some(mechanism))) if !has_mechanism => draft.text("\"sasl.mechanism\"", mechanism),
        Some((_, None)) if !has_mechanism => {
            draft.missing(
                "\"sasl.mechanism\"",
                "SCRAM-SHA-256 or SCRAM-SHA-512",
                Some(&jaas.origin),
            );
        }
        None if !known.contains("username") => {
            draft.say(&format!(
                "{}: kafka.sasl.jaas.config names no user and password that could be carried over",
                jaas.origin
            ));
        }
        _ => {}
    }
    let user = username(&jaas.value);
    let user =
        user.unwrap_or_else(|| Filling::Missing("the user name in kafka.sasl.jaas.config".into()));
    property("sasl.username", &user, jaas, draft);
    password(draft);
}

/// The value of `username=`; a part that only the run knows is a question.
fn username(jaas: &Text) -> Option<Filling> {
    let mut pieces = jaas.pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        let Piece::Known(text) = piece else { continue };
        let Some(at) = text.find("username") else {
            continue;
        };
        let rest = text[at + "username".len()..].trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = quote.map_or(rest, |quote| rest.strip_prefix(quote).unwrap_or(rest));
        let end = value.find(|c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || c == ';',
        });
        return match (end, pieces.peek()) {
            (Some(0), _) => None,
            (Some(end), _) => Some(Filling::Known(value[..end].to_owned())),
            (None, Some(Piece::Unknown(expression))) => Some(Filling::Missing(shown(expression))),
            (None, _) if !value.is_empty() && quote.is_none() => {
                Some(Filling::Known(value.to_owned()))
            }
            (None, _) => None,
        };
    }
    None
}

/// Key stores of Java: what they hold is given as files below `--secrets-dir`.
fn stores(options: &Settings, draft: &mut Draft) {
    let get = |key: &str| options.get(&format!("kafka.{key}"));
    if let Some(store) = get("ssl.truststore.location").or_else(|| get("ssl.ca.location")) {
        draft.say(&format!(
            "{}: the old job trusts what is in {}. Export it as PEM and put it below --secrets-dir as kafka-ca.pem",
            store.origin,
            store.value.question()
        ));
        draft.text("\"ssl.ca.pem\"", "file:kafka-ca.pem");
    }
    let Some(store) = get("ssl.keystore.location") else {
        return;
    };
    draft.say(&format!(
        "{}: the old job's key is in {}. Export certificate and key as PEM and put them below --secrets-dir \
         as kafka-client.pem and kafka-client.key, with the names of all brokers in kafka-client.key.hosts",
        store.origin,
        store.value.question()
    ));
    draft.text("\"ssl.certificate.pem\"", "file:kafka-client.pem");
    draft.text("\"ssl.key.pem\"", "file:kafka-client.key");
    if get("ssl.key.password").is_some() {
        draft.comment(
            "Before kol-master and each kol-executor start: export KOL_SECRET_KAFKA_KEY_PASSWORD='…' \
             KOL_SECRET_KAFKA_KEY_PASSWORD_HOSTS='all brokers'; leave this out if the exported key has none.",
        );
        draft.text("\"ssl.key.password\"", KEY_PASSWORD);
    }
}

/// Whether the value of an option may be shown.
pub fn may_show(setting: &Setting) -> bool {
    !is_secret(&setting.key) && setting.value.value().is_none_or(|value| !is_secret(&value))
}
