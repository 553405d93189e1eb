//! Which streams of the old job the new one reads. A job here reads topics of one cluster.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::KolError;

use super::draft::{Draft, Filling, quoted};
use super::offsets::{self, Start};
use crate::convert::model::{Facts, Setting, Settings, Stream, Text};
use crate::convert::names;
use crate::convert::secrets::shown;

/// The streams that the new job reads.
pub struct Chosen<'f> {
    /// The streams, all of one Kafka cluster.
    pub streams: Vec<&'f Stream>,
    /// All of the old job's, one line each.
    pub listed: Vec<String>,
}

impl Chosen<'_> {
    /// Options by name; one of Kafka's client that the streams do not agree in is not known.
    pub fn options(&self) -> Settings {
        let mut all = Settings::new();
        for stream in self.streams.iter().rev() {
            all.extend(stream.options.clone());
        }
        for (key, setting) in &mut all {
            let each = self.each(key);
            let is_agreed = each.len() == self.streams.len()
                && each.iter().all(|other| other.value == setting.value);
            if key.starts_with("kafka.") && key != "kafka.bootstrap.servers" && !is_agreed {
                let ask = format!(
                    "{}, in which the streams of the old job differ",
                    setting.key
                );
                setting.value = Text::unknown(ask);
            }
        }
        all
    }

    /// What an option is in each stream that has it.
    fn each(&self, key: &str) -> Vec<&Setting> {
        self.streams
            .iter()
            .filter_map(|s| s.options.get(key))
            .collect()
    }
}

/// Chooses the streams to read.
///
/// # Errors
/// There is no such stream, or they do not belong to one cluster.
pub fn choose<'f>(facts: &'f Facts, picks: &[usize]) -> Result<Chosen<'f>, KolError> {
    let all: Vec<&Stream> = facts.streams.iter().filter(|s| is_kafka(s)).collect();
    let listed: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(i, s)| listed(i + 1, s))
        .collect();
    let mut streams = Vec::new();
    for pick in picks {
        let stream = pick
            .checked_sub(1)
            .and_then(|at| all.get(at))
            .ok_or_else(|| {
                let what = format!(
                    "there is no stream {pick}; those that were found:\n{}",
                    listed.join("\n")
                );
                KolError::user("NO_SUCH_STREAM", what).help("Choose one of those.")
            })?;
        streams.push(*stream);
    }
    if picks.is_empty() {
        streams = all;
    }
    let clusters: BTreeSet<String> = streams.iter().map(|s| cluster(s)).collect();
    if clusters.len() > 1 {
        let what = format!(
            "the old job reads from {} clusters, a job here from one:\n{}",
            clusters.len(),
            listed.join("\n")
        );
        return Err(KolError::user("SEVERAL_STREAMS", what).help(
            "Convert once for each cluster and name its streams: --stream N, several times if there are several.",
        ));
    }
    Ok(Chosen { streams, listed })
}

fn is_kafka(stream: &Stream) -> bool {
    match stream.format.as_ref().and_then(Text::value) {
        Some(format) => format.eq_ignore_ascii_case("kafka"),
        None => stream.options.contains_key("kafka.bootstrap.servers"),
    }
}

fn listed(number: usize, stream: &Stream) -> String {
    let show = |key: &str| stream.options.get(key).map(|s| s.value.question());
    let topics = show("subscribe")
        .or_else(|| show("subscribepattern"))
        .or_else(|| show("assign"));
    format!(
        "  stream {number}: {} reads {} from {}",
        stream.origin,
        topics.unwrap_or_else(|| "no topic".into()),
        show("kafka.bootstrap.servers").unwrap_or_else(|| "no brokers".into())
    )
}

/// What makes two streams read from the same cluster: brokers and login.
fn cluster(stream: &Stream) -> String {
    let mut all: BTreeMap<&str, String> = BTreeMap::new();
    for (key, setting) in &stream.options {
        if key == "kafka.bootstrap.servers" {
            let text = setting
                .value
                .value()
                .unwrap_or_else(|| setting.value.source.clone());
            let brokers: BTreeSet<&str> = text.split(',').map(str::trim).collect();
            all.insert(key, brokers.into_iter().collect::<Vec<_>>().join(","));
        } else if key.starts_with("kafka.sasl.") || key == "kafka.security.protocol" {
            all.insert(key, format!("{:?}", setting.value.pieces));
        }
    }
    format!("{all:?}")
}

/// Writes `[source]`.
pub fn write(facts: &Facts, chosen: &Chosen<'_>, draft: &mut Draft) {
    if chosen.streams.len() > 1 {
        draft.comment(&format!(
            "{} streams of the old job are one here:",
            chosen.streams.len()
        ));
        for line in &chosen.listed {
            draft.say(line.trim());
        }
    }
    for other in facts.streams.iter().filter(|s| !is_kafka(s)) {
        let format = other
            .format
            .as_ref()
            .map_or_else(|| "no format".into(), Text::question);
        draft.say(&format!(
            "{}: this stream is not of Kafka but of {format}: not carried over",
            other.origin
        ));
    }
    for origin in chosen.streams.iter().flat_map(|s| &s.unnamed) {
        draft.say(&format!(
            "{origin}: options whose names only the run knows: not carried over"
        ));
    }
    bootstrap(facts, chosen, draft);
    let (topics, start) = topics_and_start(facts, chosen, draft);
    write_topics(topics, &start, draft);
    group(facts, chosen, draft);
    write_start(start, chosen, draft);
    data_loss(chosen, draft);
    if let Some(rate) = facts.spark.get("spark.streaming.kafka.maxRatePerPartition")
        && let Some(rate) = rate
            .value
            .value()
            .filter(|r| r.bytes().all(|b| b.is_ascii_digit()))
    {
        draft.line(&format!("# max_rate_per_partition = {rate}"));
    }
}

/// A setting of the environment, or the default of a look-up in the sources.
pub fn from_environment<'f>(facts: &'f Facts, names: &[&str]) -> Option<&'f Setting> {
    let set = names.iter().find_map(|name| facts.environment.get(*name));
    set.or_else(|| names.iter().find_map(|name| facts.lookups.get(*name)))
}

fn bootstrap(facts: &Facts, chosen: &Chosen<'_>, draft: &mut Draft) {
    let given = chosen.each("kafka.bootstrap.servers").into_iter().next();
    let Some(setting) = given.or_else(|| from_environment(facts, &names::BROKERS)) else {
        return draft.missing(
            "bootstrap",
            "host:port of the brokers; the files given name none",
            None,
        );
    };
    draft.assumed(setting);
    let filling = match Filling::of(&setting.value) {
        Filling::Known(text) => brokers(&text),
        missing => missing,
    };
    draft.fill("bootstrap", &filling, Some(&setting.origin));
}

/// `host:port,host:port`, without the protocols that Java's client allows in front.
fn brokers(text: &str) -> Filling {
    let mut all = Vec::new();
    for broker in text.split(',').map(str::trim).filter(|b| !b.is_empty()) {
        let broker = broker.rsplit_once("://").map_or(broker, |(_, place)| place);
        let has_port = broker.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        let is_odd = |c: char| {
            !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']'))
        };
        if !has_port || broker.contains(is_odd) {
            return Filling::Missing(format!(
                "host:port of the brokers; the old job says {}",
                shown(text)
            ));
        }
        all.push(broker);
    }
    if all.is_empty() {
        return Filling::Missing("host:port of the brokers; the old job's list is empty".into());
    }
    Filling::Known(all.join(","))
}

/// Topics of all streams, or the question.
type Topics = Result<Vec<String>, (String, Option<crate::convert::model::Origin>)>;

fn topics_and_start(facts: &Facts, chosen: &Chosen<'_>, draft: &mut Draft) -> (Topics, Start) {
    let topics = topics(facts, chosen, draft);
    let known = topics.as_ref().map_or(&[][..], |t| &t[..]);
    let mut starts = chosen
        .streams
        .iter()
        .map(|s| offsets::start(&s.options, known));
    let first = starts.next().unwrap_or(Start::Latest);
    let is_said = offsets::KEYS.iter().any(|key| !chosen.each(key).is_empty());
    let is_open = chosen.streams.iter().any(|s| !s.unnamed.is_empty());
    let start = if is_open && !is_said {
        Start::Missing("options that only the run knows may say where it starts".into())
    } else if starts.all(|other| other == first) {
        first
    } else {
        Start::Missing("the streams of the old job start at different places".into())
    };
    (topics, start)
}

fn topics(facts: &Facts, chosen: &Chosen<'_>, draft: &mut Draft) -> Topics {
    if chosen.streams.is_empty() {
        let Some(setting) = from_environment(facts, &names::TOPICS) else {
            return Err(("topic names; the files given name none".into(), None));
        };
        draft.assumed(setting);
        return split(setting);
    }
    let mut all: Vec<String> = Vec::new();
    for stream in &chosen.streams {
        let options = &stream.options;
        if let Some(pattern) = options.get("subscribepattern") {
            let question = format!(
                "topic names; the old job takes all that match {}",
                pattern.value.question()
            );
            return Err((question, Some(pattern.origin.clone())));
        }
        if let Some(assign) = options.get("assign") {
            let question = format!(
                "topic names; a job here reads all partitions of its topics, the old one those of {}",
                assign.value.question()
            );
            return Err((question, Some(assign.origin.clone())));
        }
        let Some(subscribe) = options.get("subscribe") else {
            return Err((
                "topic names; this stream names none".into(),
                Some(stream.origin.clone()),
            ));
        };
        draft.assumed(subscribe);
        for topic in split(subscribe)? {
            if !all.contains(&topic) {
                all.push(topic);
            }
        }
    }
    Ok(all)
}

fn split(setting: &Setting) -> Topics {
    let origin = || Some(setting.origin.clone());
    let Some(text) = setting.value.value() else {
        return Err((setting.value.question(), origin()));
    };
    let mut all: Vec<String> = Vec::new();
    for topic in text.split(',').map(str::trim).filter(|t| !t.is_empty()) {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if topic.len() > 249 || !topic.bytes().all(allowed) || matches!(topic, "." | "..") {
            return Err((
                format!("topic names; the old job says {}", shown(&text)),
                origin(),
            ));
        }
        if !all.iter().any(|t| t == topic) {
            all.push(topic.to_owned());
        }
    }
    if all.is_empty() {
        return Err(("topic names; the old job's list is empty".into(), origin()));
    }
    Ok(all)
}

/// Offsets are of the first topic: that one is written first.
fn write_topics(topics: Topics, start: &Start, draft: &mut Draft) {
    match topics {
        Ok(mut topics) => {
            if let Start::Partitions { topic, .. } = start {
                topics.sort_by_key(|t| t != topic);
            }
            let list: Vec<String> = topics.iter().map(|t| quoted(t)).collect();
            draft.line(&format!("topics = [{}]", list.join(", ")));
        }
        Err((question, origin)) => draft.missing_list("topics", &question, origin.as_ref()),
    }
}

fn group(facts: &Facts, chosen: &Chosen<'_>, draft: &mut Draft) {
    let options = chosen.options();
    let given = options.get("kafka.group.id");
    match given.or_else(|| from_environment(facts, &names::GROUPS)) {
        Some(setting) => {
            draft.assumed(setting);
            let filling = match Filling::of(&setting.value) {
                Filling::Known(group) if group.is_empty() => {
                    Filling::Missing("the consumer group; the old job's is empty".into())
                }
                filling => filling,
            };
            draft.fill("group_id", &filling, Some(&setting.origin));
        }
        None => draft.text("group_id", "kol-streaming-consumer"),
    }
}

fn write_start(start: Start, chosen: &Chosen<'_>, draft: &mut Draft) {
    let setting = offsets::KEYS
        .iter()
        .find_map(|key| chosen.each(key).into_iter().next());
    if let Some(setting) = setting {
        draft.assumed(setting);
    }
    match start {
        Start::Earliest => draft.text("starting_offsets", "earliest"),
        Start::Latest => draft.text("starting_offsets", "latest"),
        Start::Timestamp(time) => {
            draft.line(&format!(
                "starting_offsets = {{ timestamp = {} }}",
                quoted(&time)
            ));
        }
        Start::Partitions { offsets, .. } => {
            let all: Vec<String> = offsets
                .iter()
                .map(|(p, o)| format!("\"{p}\" = {o}"))
                .collect();
            draft.line(&format!(
                "starting_offsets = {{ partitions = {{ {} }} }}",
                all.join(", ")
            ));
        }
        Start::Missing(why) => draft.missing("starting_offsets", &why, setting.map(|s| &s.origin)),
    }
}

/// Spark's own default is to fail.
fn data_loss(chosen: &Chosen<'_>, draft: &mut Draft) {
    let all = chosen.each("failondataloss");
    if let Some(unknown) = all.iter().find(|s| s.value.value().is_none()) {
        return draft.missing(
            "on_data_loss",
            &unknown.value.question(),
            Some(&unknown.origin),
        );
    }
    for setting in &all {
        draft.assumed(setting);
    }
    let accepts_loss = |s: &&Setting| {
        s.value
            .value()
            .is_some_and(|v| v.eq_ignore_ascii_case("false"))
    };
    let continues =
        !all.is_empty() && all.len() == chosen.streams.len() && all.iter().all(accepts_loss);
    draft.text("on_data_loss", if continues { "continue" } else { "fail" });
}
