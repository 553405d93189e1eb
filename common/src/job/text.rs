//! A spec as a spec file with every default written out, and what each key is for: what is read from it is the same spec.
//! Secrets stand in it as the references that they are in every spec.

use std::fmt::Display;

use serde::Serialize;
use toml::Value;

use super::alerts::{AlertRule, AlertsSpec, Condition};
use super::reference::{about, about_section};
use super::spec::{CheckpointSpec, KafkaSource, ScoringSpec, SinkSpec, StartingOffsets};
use super::{JobSpec, KeyTemplates, RekeySpec, SecretRef, SentinelLogin, SinkTls, SourceSpec};
use crate::event::Field;
use crate::{KolError, Millis};

impl JobSpec {
    /// The spec as TOML. Keys that are not set, and have no default, are in comments.
    ///
    /// # Errors
    /// A value cannot be written as TOML: a bug.
    pub fn to_toml(&self) -> Result<String, KolError> {
        let Self {
            name,
            source,
            scoring,
            sink,
            checkpoint,
            alerts,
        } = self;
        let mut text = Text::default();
        text.line("name", quoted(name));
        match source {
            SourceSpec::Kafka(source) => kafka(&mut text, source)?,
        }
        self::scoring(&mut text, scoring)?;
        self::sink(&mut text, sink)?;
        self::checkpoint(&mut text, checkpoint);
        self::alerts(&mut text, alerts);
        Ok(text.lines)
    }
}

/// Lines of TOML.
#[derive(Default)]
struct Text {
    lines: String,
    /// The table that they are in.
    section: &'static str,
}

impl Text {
    fn section(&mut self, name: &'static str) {
        self.section = name;
        let about = about_section(name);
        self.lines.push_str(&format!("\n# {about}\n[{name}]\n"));
    }

    /// A table of a list of them; `begins` is what its line begins with.
    fn item(&mut self, name: &'static str, begins: &str) {
        self.section = name;
        let about = about_section(name);
        self.lines
            .push_str(&format!("\n# {about}\n{begins}[[{name}]]\n"));
    }

    /// `value` is TOML already.
    fn line(&mut self, key: &str, value: impl Display) {
        self.comment(key);
        self.lines.push_str(&format!("{key} = {value}\n"));
    }

    /// A key that has no value; `what` says what holds then.
    fn unset(&mut self, key: &str, what: impl Display) {
        self.comment(key);
        self.lines.push_str(&format!("#{key}: {what}\n"));
    }

    fn comment(&mut self, key: &str) {
        let about = about(self.section, key);
        self.lines.push_str(&format!("# {about}\n"));
    }

    fn time(&mut self, key: &str, time: Millis) {
        self.line(key, quoted(&time.to_string()));
    }

    fn time_or_off(&mut self, key: &str, time: Option<Millis>) {
        match time {
            Some(time) => self.time(key, time),
            None => self.line(key, quoted("off")),
        }
    }

    fn text_if_set(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.line(key, quoted(text)),
            None => self.unset(key, "not set"),
        }
    }

    fn secret_if_set(&mut self, key: &str, secret: Option<&SecretRef>) {
        self.text_if_set(key, secret.map(|secret| secret.0.as_str()));
    }

    fn numbers(&mut self, section: &'static str, numbers: &[(&str, f64)]) {
        self.section(section);
        for (key, number) in numbers {
            self.line(key, format_args!("{number:?}"));
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let texts = texts.into_iter().map(|text| quoted(text.as_ref()));
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

/// The word that stands for one of several choices.
fn word(choice: impl Serialize) -> Result<String, KolError> {
    let value = Value::try_from(choice);
    let value = value.map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
    Ok(value.to_string())
}

fn kafka(text: &mut Text, source: &KafkaSource) -> Result<(), KolError> {
    let KafkaSource {
        bootstrap,
        topics,
        group_id,
        starting_offsets,
        on_data_loss,
        max_rate_per_partition,
        dead_letter,
        dead_letter_late,
        max_ahead,
        shape,
        fields,
        explode,
        username_case,
        rekey,
        properties,
    } = source;
    text.section("source");
    text.line("bootstrap", quoted(bootstrap));
    text.line("topics", list(topics));
    text.line("group_id", quoted(group_id));
    text.line("starting_offsets", offsets(starting_offsets));
    text.line("on_data_loss", word(on_data_loss)?);
    text.line("max_rate_per_partition", max_rate_per_partition);
    text.text_if_set("dead_letter", dead_letter.as_deref());
    text.line("dead_letter_late", dead_letter_late);
    text.time("max_ahead", *max_ahead);
    text.text_if_set("shape", shape.map(|shape| shape.as_str()));
    text.text_if_set(
        "explode",
        explode.as_ref().map(ToString::to_string).as_deref(),
    );
    text.line("username_case", word(username_case)?);
    text.line("rekey", self::rekey(rekey.as_ref()));
    text.section("source.fields");
    for field in Field::ALL {
        let paths = list(source.paths(field).iter().map(|path| path.as_str()));
        if fields.contains_key(&field) {
            text.line(field.as_str(), paths);
        } else {
            text.unset(field.as_str(), paths);
        }
    }
    text.section("source.properties");
    for (key, value) in properties {
        text.lines
            .push_str(&format!("{} = {}\n", quoted(key), quoted(value)));
    }
    Ok(())
}

fn rekey(rekey: Option<&RekeySpec>) -> String {
    let Some(rekey) = rekey else {
        return "false".to_owned();
    };
    let RekeySpec {
        partitions,
        topic,
        retention,
    } = rekey;
    let topic = topic
        .as_ref()
        .map(|topic| format!("topic = {}, ", quoted(topic)));
    let (topic, retention) = (topic.unwrap_or_default(), quoted(&retention.to_string()));
    format!("{{ partitions = {partitions}, {topic}retention = {retention} }}")
}

fn offsets(offsets: &StartingOffsets) -> String {
    match offsets {
        StartingOffsets::Earliest => quoted("earliest"),
        StartingOffsets::Latest => quoted("latest"),
        StartingOffsets::Timestamp(time) => format!("{{ timestamp = {} }}", quoted(&time.iso())),
        StartingOffsets::Partitions(all) => {
            let all = all.iter().map(|(p, offset)| format!("\"{p}\" = {offset}"));
            let all = all.collect::<Vec<_>>().join(", ");
            format!("{{ partitions = {{ {all} }} }}")
        }
    }
}

fn scoring(text: &mut Text, spec: &ScoringSpec) -> Result<(), KolError> {
    let ScoringSpec {
        profile,
        counters,
        window,
        slide,
        lateness,
        idle_timeout,
        half_life,
        entity_ttl,
        retire_after,
        default_platform,
        platforms,
        weights: w,
        floors: f,
        curve: c,
        momentum: m,
        labels: l,
    } = spec;
    text.section("scoring");
    text.line("profile", word(profile)?);
    text.line("counters", word(counters)?);
    text.time("window", *window);
    text.time("slide", *slide);
    text.time("lateness", *lateness);
    text.time_or_off("idle_timeout", *idle_timeout);
    text.time("half_life", *half_life);
    text.time("entity_ttl", *entity_ttl);
    text.time("retire_after", *retire_after);
    text.line("default_platform", quoted(default_platform));
    text.line("platforms", list(platforms));
    let weights = [
        ("personal", w.personal),
        ("market", w.market),
        ("momentum", w.momentum),
    ];
    text.numbers("scoring.weights", &weights);
    let floors = [
        ("baseline", f.baseline),
        ("market", f.market),
        ("velocity", f.velocity),
    ];
    text.numbers("scoring.floors", &floors);
    let curve = [("steepness", c.steepness), ("midpoint", c.midpoint)];
    text.numbers("scoring.curve", &curve);
    text.numbers("scoring.momentum", &[("min", m.min), ("max", m.max)]);
    let labels = [
        ("viral", l.viral),
        ("hot", l.hot),
        ("warm", l.warm),
        ("normal", l.normal),
    ];
    text.numbers("scoring.labels", &labels);
    Ok(())
}

fn sink(text: &mut Text, spec: &SinkSpec) -> Result<(), KolError> {
    let SinkSpec {
        url,
        password,
        tls,
        sentinel,
        flush_interval,
        max_staleness,
        ttl,
        history,
        legacy_hashes,
        flip,
        keys,
    } = spec;
    text.section("sink");
    text.line("url", quoted(url));
    text.secret_if_set("password", password.as_ref());
    text.time("flush_interval", *flush_interval);
    text.time("max_staleness", *max_staleness);
    text.time_or_off("ttl", *ttl);
    text.time_or_off("history", *history);
    text.line("legacy_hashes", legacy_hashes);
    text.line("flip", word(flip)?);
    let SinkTls { ca, cert, key } = tls;
    text.section("sink.tls");
    for (name, secret) in [("ca", ca), ("cert", cert), ("key", key)] {
        text.secret_if_set(name, secret.as_ref());
    }
    let SentinelLogin { username, password } = sentinel;
    text.section("sink.sentinel");
    text.text_if_set("username", username.as_deref());
    text.secret_if_set("password", password.as_ref());
    let KeyTemplates {
        ranking,
        hash,
        legacy_hash,
        fence,
        last_update,
        last_event,
    } = keys;
    text.section("sink.keys");
    for (key, template) in [
        ("ranking", ranking),
        ("hash", hash),
        ("legacy_hash", legacy_hash),
        ("fence", fence),
        ("last_update", last_update),
        ("last_event", last_event),
    ] {
        text.line(key, quoted(template));
    }
    Ok(())
}

fn checkpoint(text: &mut Text, spec: &CheckpointSpec) {
    let CheckpointSpec {
        location,
        interval,
        timeout,
        min_pause,
        max_failures,
        retain,
        retain_minutes,
        retain_hours,
    } = spec;
    text.section("checkpoint");
    if location.is_empty() {
        text.unset("location", "the --checkpoint-root of the master");
    } else {
        text.line("location", quoted(location));
    }
    text.time("interval", *interval);
    text.time("timeout", *timeout);
    text.time("min_pause", *min_pause);
    text.line("max_failures", max_failures);
    text.line("retain", retain);
    text.line("retain_minutes", retain_minutes);
    text.line("retain_hours", retain_hours);
}

fn alerts(text: &mut Text, spec: &AlertsSpec) {
    let AlertsSpec {
        topic,
        webhook,
        webhook_token,
        webhook_ca,
        rules,
    } = spec;
    text.section("alerts");
    text.text_if_set("topic", topic.as_deref());
    text.text_if_set("webhook", webhook.as_deref());
    text.secret_if_set("webhook_token", webhook_token.as_ref());
    text.secret_if_set("webhook_ca", webhook_ca.as_ref());
    for one in rules {
        text.item("alerts.rules", "");
        rule(text, one);
    }
    if rules.is_empty() {
        text.item("alerts.rules", "#");
        for key in RULE {
            text.unset(key, "not set");
        }
    }
}

/// The keys of a rule.
const RULE: [&str; 10] = [
    "name",
    "label",
    "velocity_above",
    "growth_above",
    "score_above",
    "rank_at_most",
    "rank_rises",
    "within",
    "platform",
    "silence",
];

fn rule(text: &mut Text, rule: &AlertRule) {
    let AlertRule {
        name,
        when,
        platform,
        silence,
    } = rule;
    let (key, value) = match when {
        Condition::Label(label) => ("label", quoted(label.as_str())),
        Condition::VelocityAbove(least) => ("velocity_above", format!("{least:?}")),
        Condition::GrowthAbove(least) => ("growth_above", format!("{least:?}")),
        Condition::ScoreAbove(least) => ("score_above", format!("{least:?}")),
        Condition::RankAtMost(most) => ("rank_at_most", most.to_string()),
        Condition::RankRises { places, .. } => ("rank_rises", places.to_string()),
    };
    text.line("name", quoted(name));
    text.line(key, value);
    if let Condition::RankRises { within, .. } = when {
        text.time("within", *within);
    }
    text.text_if_set("platform", platform.as_deref());
    text.time("silence", *silence);
}
