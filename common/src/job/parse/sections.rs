//! The keys of a spec and their defaults.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::reader::{Section, text, whole};
use super::{alerts, properties};
use crate::event::{Field, FieldPaths, Shape, UsernameCase, parse_time};
use crate::job::{
    CheckpointSpec, Counters, Flip, JobSpec, KafkaSource, KeyTemplates, OnDataLoss, Profile,
    RekeySpec, ScoringSpec, SecretRef, SentinelLogin, SinkSpec, SinkTls, SourceSpec,
    StartingOffsets,
};

/// Most partitions of an internal topic.
const MOST_REKEYED: u32 = 10_000;

/// The whole spec; `None` if it has no name.
pub(super) fn job(root: &Section<'_, '_>) -> Option<JobSpec> {
    let name = root.text("name");
    if name.is_none() {
        root.problems
            .add(None, "name", "missing: every job needs a name");
    }
    let source = source(&root.section("source"));
    let scoring = scoring(&root.section("scoring"), source.kafka().shape);
    let sink = sink(&root.section("sink"));
    let checkpoint = checkpoint(&root.section("checkpoint"));
    let alerts = alerts::alerts(&root.section("alerts"));
    root.end();
    Some(JobSpec {
        name: name?,
        source,
        scoring,
        sink,
        checkpoint,
        alerts,
    })
}

fn source(s: &Section<'_, '_>) -> SourceSpec {
    let d = KafkaSource::default();
    let spec = KafkaSource {
        bootstrap: s.text("bootstrap").unwrap_or(d.bootstrap),
        topics: s.texts("topics").unwrap_or(d.topics),
        group_id: s.text("group_id").unwrap_or(d.group_id),
        starting_offsets: s
            .value("starting_offsets", starting_offsets)
            .unwrap_or(d.starting_offsets),
        on_data_loss: s
            .choice(
                "on_data_loss",
                &[
                    ("continue", OnDataLoss::Continue),
                    ("fail", OnDataLoss::Fail),
                ],
            )
            .unwrap_or(d.on_data_loss),
        max_rate_per_partition: s
            .whole("max_rate_per_partition")
            .unwrap_or(d.max_rate_per_partition),
        dead_letter: s.text("dead_letter"),
        dead_letter_late: s.flag("dead_letter_late").unwrap_or(d.dead_letter_late),
        max_ahead: s.duration("max_ahead").unwrap_or(d.max_ahead),
        shape: s.choice("shape", &Shape::ALL.map(|shape| (shape.as_str(), shape))),
        fields: fields(&s.section("fields")),
        explode: s.value("explode", |v| text(v)?.parse()),
        username_case: s
            .choice(
                "username_case",
                &[("keep", UsernameCase::Keep), ("lower", UsernameCase::Lower)],
            )
            .unwrap_or(d.username_case),
        rekey: s.switch("rekey").map(|s| rekey(&s)),
        properties: properties(&s.section("properties")),
    };
    s.end();
    spec.into()
}

/// Keys that the stage will have, and does not have yet.
const REKEY_LATER: [&str; 2] = ["by", "align"];

fn rekey(s: &Section<'_, '_>) -> RekeySpec {
    let d = RekeySpec::default();
    let partitions = s.value("partitions", |v| {
        let number = u32::try_from(whole(v)?).unwrap_or(u32::MAX);
        let fits = (1..=MOST_REKEYED).contains(&number);
        fits.then_some(number)
            .ok_or_else(|| format!("write a number from 1 to {MOST_REKEYED}"))
    });
    let spec = RekeySpec {
        partitions: partitions.unwrap_or(d.partitions),
        topic: s.text("topic"),
        retention: s.duration("retention").unwrap_or(d.retention),
    };
    for key in REKEY_LATER {
        s.refuse(key, "is not there yet: leave it out");
    }
    s.end();
    spec
}

fn fields(s: &Section<'_, '_>) -> FieldPaths {
    let named = Field::ALL.into_iter().filter_map(|field| {
        let paths = s.paths(field.as_str())?;
        Some((field, paths))
    });
    let fields = named.collect();
    s.end();
    fields
}

fn properties(s: &Section<'_, '_>) -> BTreeMap<String, String> {
    let mut allowed = BTreeMap::new();
    for (key, at, value) in s.all_texts() {
        match properties::check(&key, &value) {
            Ok(()) => {
                allowed.insert(key, value);
            }
            Err(why) => s.problem(at, &key, why),
        }
    }
    allowed
}

fn starting_offsets(value: &DeValue<'_>) -> Result<StartingOffsets, String> {
    const FORMS: &str =
        "write \"earliest\", \"latest\", { timestamp = \"…\" } or { partitions = { \"0\" = 123 } }";
    match value {
        DeValue::String(word) if word == "earliest" => Ok(StartingOffsets::Earliest),
        DeValue::String(word) if word == "latest" => Ok(StartingOffsets::Latest),
        DeValue::Table(table) if table.len() == 1 => {
            if let Some(time) = table.get("timestamp") {
                let time = text(time.as_ref())?;
                let parsed = parse_time(&time);
                return parsed
                    .map(StartingOffsets::Timestamp)
                    .ok_or_else(|| format!("`{time}` is not an ISO 8601 time"));
            }
            let partitions = table.get("partitions").and_then(|p| p.as_ref().as_table());
            let partitions = partitions.ok_or_else(|| FORMS.to_owned())?;
            let mut offsets = BTreeMap::new();
            for (partition, offset) in partitions {
                let name = partition.as_ref();
                let number = name
                    .parse()
                    .map_err(|_| format!("`{name}` is not a partition number"))?;
                offsets.insert(number, whole(offset.as_ref())?);
            }
            Ok(StartingOffsets::Partitions(offsets))
        }
        _ => Err(FORMS.to_owned()),
    }
}

fn scoring(s: &Section<'_, '_>, shape: Option<Shape>) -> ScoringSpec {
    let profile = s
        .choice(
            "profile",
            &[
                ("default", Profile::Default),
                ("biggest", Profile::Default),
                ("rising", Profile::Rising),
                ("spark-compat", Profile::SparkCompat),
            ],
        )
        .unwrap_or(Profile::Default);
    let counters = s.choice(
        "counters",
        &[
            ("cumulative", Counters::Cumulative),
            ("delta", Counters::Delta),
        ],
    );
    let counters = counters.unwrap_or(match profile {
        Profile::Default | Profile::Rising => Counters::Cumulative,
        Profile::SparkCompat => Counters::Delta,
    });
    let mut d = ScoringSpec::defaults(profile, counters);
    let set = |target: &mut crate::Millis, key| {
        if let Some(value) = s.duration(key) {
            *target = value;
        }
    };
    set(&mut d.window, "window");
    set(&mut d.slide, "slide");
    set(&mut d.lateness, "lateness");
    set(&mut d.half_life, "half_life");
    d.retire_after = ScoringSpec::default_retire_after(d.window);
    set(&mut d.retire_after, "retire_after");
    set(&mut d.entity_ttl, "entity_ttl");
    if let Some(idle) = s.duration_or_off("idle_timeout") {
        d.idle_timeout = idle;
    }
    if let Some(shape) = shape {
        shape.platform().clone_into(&mut d.default_platform);
    }
    if let Some(platform) = s.text("default_platform") {
        d.default_platform = platform;
    }
    if let Some(platforms) = s.texts("platforms") {
        d.platforms = platforms;
    }
    numbers(
        &s.section("weights"),
        &mut [
            ("personal", &mut d.weights.personal),
            ("market", &mut d.weights.market),
            ("momentum", &mut d.weights.momentum),
        ],
    );
    numbers(
        &s.section("floors"),
        &mut [
            ("baseline", &mut d.floors.baseline),
            ("market", &mut d.floors.market),
            ("velocity", &mut d.floors.velocity),
        ],
    );
    numbers(
        &s.section("curve"),
        &mut [
            ("steepness", &mut d.curve.steepness),
            ("midpoint", &mut d.curve.midpoint),
        ],
    );
    numbers(
        &s.section("momentum"),
        &mut [("min", &mut d.momentum.min), ("max", &mut d.momentum.max)],
    );
    numbers(
        &s.section("labels"),
        &mut [
            ("viral", &mut d.labels.viral),
            ("hot", &mut d.labels.hot),
            ("warm", &mut d.labels.warm),
            ("normal", &mut d.labels.normal),
        ],
    );
    s.end();
    d
}

fn numbers(s: &Section<'_, '_>, targets: &mut [(&'static str, &mut f64)]) {
    for (key, target) in targets {
        if let Some(value) = s.number(key) {
            **target = value;
        }
    }
    s.end();
}

fn sink(s: &Section<'_, '_>) -> SinkSpec {
    let d = SinkSpec::default();
    let spec = SinkSpec {
        url: s.text("url").unwrap_or(d.url),
        password: s.text("password").map(SecretRef),
        tls: tls(&s.section("tls")),
        sentinel: sentinel(&s.section("sentinel")),
        flush_interval: s.duration("flush_interval").unwrap_or(d.flush_interval),
        max_staleness: s.duration("max_staleness").unwrap_or(d.max_staleness),
        ttl: s.duration_or_off("ttl").flatten(),
        history: s.duration_or_off("history").unwrap_or(d.history),
        legacy_hashes: s.flag("legacy_hashes").unwrap_or(d.legacy_hashes),
        flip: s
            .choice(
                "flip",
                &[
                    ("when-caught-up", Flip::WhenCaughtUp),
                    ("at-once", Flip::AtOnce),
                ],
            )
            .unwrap_or(d.flip),
        keys: keys(&s.section("keys")),
    };
    s.end();
    spec
}

fn tls(s: &Section<'_, '_>) -> SinkTls {
    let tls = SinkTls {
        ca: s.text("ca").map(SecretRef),
        cert: s.text("cert").map(SecretRef),
        key: s.text("key").map(SecretRef),
    };
    s.end();
    tls
}

fn sentinel(s: &Section<'_, '_>) -> SentinelLogin {
    let login = SentinelLogin {
        username: s.text("username"),
        password: s.text("password").map(SecretRef),
    };
    s.end();
    login
}

fn keys(s: &Section<'_, '_>) -> KeyTemplates {
    let d = KeyTemplates::default();
    let keys = KeyTemplates {
        ranking: s.text("ranking").unwrap_or(d.ranking),
        hash: s.text("hash").unwrap_or(d.hash),
        legacy_hash: s.text("legacy_hash").unwrap_or(d.legacy_hash),
        fence: s.text("fence").unwrap_or(d.fence),
        last_update: s.text("last_update").unwrap_or(d.last_update),
        last_event: s.text("last_event").unwrap_or(d.last_event),
    };
    s.end();
    keys
}

fn checkpoint(s: &Section<'_, '_>) -> CheckpointSpec {
    let d = CheckpointSpec::default();
    let spec = CheckpointSpec {
        location: s.text("location").unwrap_or(d.location),
        interval: s.duration("interval").unwrap_or(d.interval),
        timeout: s.duration("timeout").unwrap_or(d.timeout),
        min_pause: s.duration("min_pause").unwrap_or(d.min_pause),
        max_failures: s.whole("max_failures").unwrap_or(d.max_failures),
        retain: s.whole("retain").unwrap_or(d.retain),
        retain_minutes: s.whole("retain_minutes").unwrap_or(d.retain_minutes),
        retain_hours: s.whole("retain_hours").unwrap_or(d.retain_hours),
    };
    s.end();
    spec
}
