//! `peek TOPIC`.

use kol_common::KolError;
use kol_common::event::{Decoder, Event, Reject};
use serde_json::{Value, json};

use crate::Context;
use crate::input::cluster::{Cluster, ClusterArgs};
use crate::input::newest::{End, Sample, read};
use crate::input::survey::{self, Proposal, Reading, Survey};
use crate::print;

/// So many of the newest records decide which names are proposed.
const SURVEYED: u64 = 100;

/// Arguments of `kol-client peek`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Topic to look into.
    topic: String,
    /// How many records of each partition.
    #[arg(short, default_value_t = 5)]
    n: u64,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Which end of the log.
    #[arg(long, value_enum, default_value_t)]
    from: End,
}

/// What there is to print.
struct Peeked {
    records: Vec<Value>,
    proposal: Option<Proposal>,
}

/// Runs the command.
///
/// # Errors
/// Kafka cannot be reached, the topic does not exist.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let as_json = ctx.json();
    let peeked = tokio::task::spawn_blocking(move || peek(&args)).await??;
    if as_json {
        print::json(&Value::Array(peeked.records))?;
        return Ok(());
    }
    for record in &peeked.records {
        print::text(&as_text(record))?;
    }
    if peeked.records.is_empty() {
        print::line("The topic is empty.")?;
    }
    if let Some(proposal) = &peeked.proposal {
        let intro = if proposal.names_creator {
            "These lines of a job spec fit the newest records better:"
        } else {
            "These lines of a job spec fit the newest records when the creator's field stands in place of FILL-IN; \
             no name in them is known for it:"
        };
        print::text(&format!("\n{intro}\n\n{}\n", proposal.lines))?;
    }
    Ok(())
}

pub(crate) fn as_text(record: &Value) -> String {
    let mut lines = vec![
        format!(
            "{}/{} key={}",
            record["partition"], record["offset"], record["key"]
        ),
        format!(
            "  raw      {}",
            record["raw"].as_str().unwrap_or("(no value)")
        ),
    ];
    let listed = |of: &Value, name: &str| {
        let texts: Vec<_> = of[name].as_array().into_iter().flatten().collect();
        let texts: Vec<_> = texts.into_iter().filter_map(Value::as_str).collect();
        texts.join(", ")
    };
    let events = record["events"].as_array();
    for event in events.into_iter().flatten() {
        lines.push(format!("  decoded  {}", event["decoded"]));
        for name in ["from", "missing", "instead"] {
            let texts = listed(event, name);
            if !texts.is_empty() {
                lines.push(format!("  {name:<8} {texts}"));
            }
        }
    }
    print::lines(&lines)
}

fn peek(args: &Args) -> Result<Peeked, KolError> {
    let cluster = args.cluster.open()?;
    let samples = read(&cluster, &args.topic, args.from, args.n, SURVEYED)?;
    let mut survey = Survey::new(&cluster);
    for sample in &samples {
        survey.add(sample.value.as_deref(), "");
    }
    let shown = samples.chunk_by(|a, b| a.partition == b.partition);
    let shown = shown.flat_map(|of_partition| {
        let n = usize::try_from(args.n)
            .unwrap_or(usize::MAX)
            .min(of_partition.len());
        match args.from {
            End::Start => &of_partition[..n],
            End::End => &of_partition[of_partition.len() - n..],
        }
    });
    let decoder = cluster.decoder();
    Ok(Peeked {
        records: shown.map(|s| show(&cluster, &decoder, s)).collect(),
        proposal: survey.proposal(),
    })
}

pub(crate) fn show(cluster: &Cluster, decoder: &Decoder, sample: &Sample) -> Value {
    let key = sample.key.as_deref().map(String::from_utf8_lossy);
    let raw = sample.value.as_deref().map(String::from_utf8_lossy);
    let readings = survey::read(cluster, decoder, sample.value.as_deref());
    let events: Vec<Value> = readings.iter().map(event).collect();
    let mut record = json!({
        "partition": sample.partition, "offset": sample.offset, "key": key, "raw": raw,
        "timestamp_ms": sample.timestamp_ms,
    });
    // A record of one event, as nearly all are, says itself what it is read as.
    if let ([Value::Object(only)], Value::Object(record)) = (events.as_slice(), &mut record) {
        record.extend(only.clone());
    }
    record["events"] = Value::Array(events);
    record
}

fn event(reading: &Reading) -> Value {
    let (decoded, missing) = match &reading.outcome {
        Err(reject) => (rejected(*reject), Vec::new()),
        Ok(event) => (fields(event), missing(event)),
    };
    let from = reading.taken.iter();
    let from = from.map(|(field, path)| format!("{field} = {}", path.as_str()));
    let instead = reading.instead.iter().map(|(field, candidate)| {
        let path = candidate.path.as_str();
        format!("{path}: did you mean {field} = [\"{path}\"]?")
    });
    json!({
        "decoded": decoded, "missing": missing, "from": from.collect::<Vec<_>>(),
        "instead": instead.collect::<Vec<_>>(),
    })
}

fn rejected(reject: Reject) -> Value {
    json!({"rejected": reject.as_str(), "why": reject.to_string()})
}

fn fields(e: &Event<'_>) -> Value {
    json!({
        "platform": e.platform, "kol": e.kol, "video_id": e.video_id,
        "event_time": e.event_time.map(|t| t.iso()),
        "published": e.published.map(|t| t.iso()),
        "likes": e.likes, "comments": e.comments, "shares": e.shares,
        "views": e.views, "followers": e.followers,
    })
}

fn missing(e: &Event<'_>) -> Vec<&'static str> {
    let fields = [
        ("likes", e.likes),
        ("comments", e.comments),
        ("shares", e.shares),
        ("views", e.views),
        ("followers", e.followers),
        ("event_time", e.event_time.map(|t| t.0)),
    ];
    let wanted = |name: &str| (name == "followers") == e.video_id.is_none() || name == "event_time";
    let missing = fields
        .iter()
        .filter(|(name, v)| v.is_none() && wanted(name));
    missing.map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `peek` shows of a record of a job with these lines under `[source]`.
    fn shown(source: &str, value: &str) -> String {
        let cluster = Cluster::of_source(source);
        let sample = Sample {
            partition: 3,
            offset: 17,
            key: Some(b"mia".to_vec()),
            value: Some(value.as_bytes().to_vec()),
            timestamp_ms: None,
        };
        as_text(&show(&cluster, &cluster.decoder(), &sample))
    }

    fn contains(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|l| l == *line), "{line} in\n{text}");
        }
    }

    #[test]
    fn each_field_is_shown_with_the_path_that_it_was_taken_from() {
        let fields =
            "shape = \"tiktok-api\"\n[source.fields]\nlikes = [\"hearts\", \"stats.diggCount\"]\n";
        let value =
            r#"{"id":"7","author":{"uniqueId":"mia"},"stats":{"diggCount":5,"playCount":9}}"#;
        let text = shown(fields, value);
        contains(
            &text,
            &[
                "3/17 key=\"mia\"",
                "  from     username = author.uniqueId, video_id = id, likes = stats.diggCount, views = stats.playCount",
                "  missing  comments, shares, event_time",
            ],
        );
        assert!(!text.contains("did you mean"), "{text}");
    }

    #[test]
    fn names_that_were_found_in_place_of_a_field_are_proposed_for_it() {
        let value = r#"{"username":"mia","video_id":"7","likesCount":5,"commentsCount":2}"#;
        contains(
            &shown("", value),
            &[
                "  from     username = username, video_id = video_id",
                "  instead  likesCount: did you mean likes = [\"likesCount\"]?, commentsCount: did you mean comments = \
                 [\"commentsCount\"]?",
            ],
        );
        // A record without its creator is rejected, and the name that may be meant is proposed all the same.
        let text = shown("", r#"{"ownerUsername":"mia","like_count":5}"#);
        contains(
            &text,
            &["  instead  ownerUsername: did you mean username = [\"ownerUsername\"]?"],
        );
        assert!(text.contains("no_username"), "{text}");
    }

    #[test]
    fn each_event_of_an_exploded_record_is_shown_by_itself() {
        let value = r#"{"at":1795669200,"items":[{"username":"mia","like_count":5},{"likes":1}]}"#;
        let text = shown(
            "explode = \"items\"\n[source.fields]\nevent_time = \"$.at\"\n",
            value,
        );
        assert_eq!(text.matches("\n  decoded  ").count(), 2, "{text}");
        contains(
            &text,
            &["  from     username = username, event_time = $.at, likes = like_count"],
        );
    }
}
