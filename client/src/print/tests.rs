use kol_common::KolError;
use kol_common::event::Decoder;
use kol_common::ids::SourcePartition;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::proto::{
    self, ExecutorStatus, Explanation, JobStatus, ListCheckpointsReply, Manifest,
    PartitionCounters, PartitionStatus, ReadingDetail, Savepoint, SlotDetail, Snapshot,
    SubmitReply,
};
use kol_common::redis::ranking::Ranked;
use kol_common::scoring::schema::Scored;
use kol_common::scoring::{Scoring, merge};
use serde_json::json;

use super::*;
use crate::cmd::{check, explain, peek, submit};
use crate::convert::{Input, convert};
use crate::input::cluster::Cluster;
use crate::input::newest::Sample;
use crate::state::Verified;
use crate::{exit, render};

/// Colors, clears the screen, feigns a line, turns the direction of writing.
const HOSTILE: &str = "a\u{1b}[31m\nforged\r\u{202e}b\u{9b}2J\u{7}";

fn error(name: &str) -> KolError {
    KolError::external("SINK_UNREACHABLE", name)
        .help(name)
        .job(name)
        .partition(&SourcePartition::new(name, 0))
}

fn job(name: &str) -> JobStatus {
    let partition = proto::SourcePartition {
        topic: name.into(),
        ..Default::default()
    };
    JobStatus {
        job_id: name.into(),
        name: name.into(),
        reason: name.into(),
        origin: name.into(),
        problems: vec![error(name).to_info()],
        warnings: vec![name.into()],
        totals: Some(PartitionCounters {
            rejected: [(name.to_owned(), 1)].into(),
            ..Default::default()
        }),
        market: vec![proto::PlatformMarket {
            platform: name.into(),
            ..Default::default()
        }],
        partitions: vec![PartitionStatus {
            partition: Some(partition),
            executor_id: name.into(),
            host: name.into(),
            moving_to: Some(name.into()),
            placement: Some(proto::Placement {
                why: name.into(),
                moves_when: name.into(),
                ..Default::default()
            }),
            report: Some(proto::PartitionReport {
                hottest: vec![proto::HotKol {
                    platform: name.into(),
                    kol: name.into(),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn explanation(name: &str) -> String {
    let found = Explanation {
        kol: name.into(),
        platform: name.into(),
        slots: vec![SlotDetail {
            readings: vec![ReadingDetail {
                video_id: name.into(),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let scoring = Scoring::new(&ScoringSpec::defaults(
        Profile::Default,
        Counters::Cumulative,
    ));
    let sums = merge(&scoring, &[]);
    let terms = scoring.score(&sums, 1.0);
    let scored = Scored {
        scoring: &scoring,
        sums: &sums,
        terms: &terms,
    };
    explain::as_text(&found, &scored)
}

fn peeked(name: &str) -> String {
    let value = json!({"username": name, "video_id": name, name: 1, "items": [{name: name}]});
    let sample = Sample {
        partition: 0,
        offset: 0,
        key: Some(name.into()),
        value: Some(value.to_string().into_bytes()),
        timestamp_ms: None,
    };
    let raw = Sample {
        value: Some(name.into()),
        ..sample.clone()
    };
    let (cluster, decoder) = (Cluster::default(), Decoder::new(name));
    let shown = [sample, raw].map(|sample| peek::show(&cluster, &decoder, &sample));
    shown.iter().map(peek::as_text).collect()
}

fn state_files(name: &str) -> String {
    let manifest = Manifest {
        job_name: name.into(),
        job_id: name.into(),
        origin: name.into(),
        ..Default::default()
    };
    let snapshot = Snapshot {
        version: name.into(),
        ..Default::default()
    };
    let verified = Verified {
        partition: SourcePartition::new(name, 0),
        files: 0,
        bytes: 0,
        kols: 0,
        entities: 0,
        damage: Some(error(name)),
    };
    let savepoint = Savepoint {
        id: name.into(),
        job_id: name.into(),
        location: name.into(),
        ..Default::default()
    };
    let none = ListCheckpointsReply {
        location: name.into(),
        ..Default::default()
    };
    let kept = ListCheckpointsReply {
        checkpoints: vec![manifest.clone()],
        savepoints: vec![savepoint.clone()],
        ..none.clone()
    };
    [
        render::state::details(name, &snapshot, &manifest),
        render::state::list([(name, &manifest)].into_iter()),
        render::state::verified(&[verified]),
        render::checkpoint::list(&none),
        render::checkpoint::list(&kept),
        render::checkpoint::savepoint(&savepoint),
    ]
    .concat()
}

fn converted(name: &str) -> String {
    let escaped = name.chars().map(|c| format!("\\u{:04x}", u32::from(c)));
    let name = format!("\"{}\"", escaped.collect::<String>());
    let text = format!(
        "spark = SparkSession.builder.appName({name}).getOrCreate()\nr = redis.Redis(host={name})\n\
         df = spark.readStream.format('kafka').option('subscribe', {name} + x.y).option({name}, {name}).load()\n"
    );
    let input = Input {
        name: "job.py".into(),
        text,
    };
    let converted = convert(&[input], &[]).unwrap();
    let notes = converted.notes.iter().map(|note| paragraph(note));
    without_commands(&converted.spec_toml).into_owned() + &notes.collect::<String>()
}

/// Everything that commands print for people, with this in place of all that comes from outside.
fn outputs(name: &str) -> Vec<(&'static str, String)> {
    let job = job(name);
    let executor = ExecutorStatus {
        executor_id: name.into(),
        host: name.into(),
        zone: name.into(),
        http: name.into(),
        warnings: vec![name.into()],
        ..Default::default()
    };
    let ranked = Ranked {
        kol: name.into(),
        label: name.into(),
        velocity: name.into(),
        momentum: name.into(),
        engagement: name.into(),
        ..Default::default()
    };
    let reply = SubmitReply {
        job_id: name.into(),
        origin: name.into(),
        warnings: vec![name.into()],
        ..Default::default()
    };
    let findings = [
        check::Finding::new(name.into(), Ok(name.into())),
        check::Finding::new(name.into(), Err(error(name))),
    ];
    let status = error(name).to_status();
    let failures = [
        anyhow::Error::from(error(name)),
        anyhow::Error::from(status),
        anyhow::Error::from(tonic::Status::internal(name)),
        anyhow::Error::from(exit::Ended::JobFailed(name.into())),
        anyhow::anyhow!("{name}"),
    ];
    let failures = failures.iter().map(|e| paragraph(&exit::sentence(e)));
    vec![
        ("jobs", render::job::list(std::slice::from_ref(&job))),
        ("status", render::job::details(&job)),
        ("stop", render::job::state(&job)),
        ("partitions", render::cluster::partitions(&job.partitions)),
        (
            "partitions --why",
            render::cluster::placements(&job.partitions, 0),
        ),
        ("executors", render::cluster::executors(&[executor])),
        ("top", render::top::table(&[ranked])),
        ("submit", submit::as_text("created", &reply)),
        ("check", check::as_text(&findings, &[name.into()])),
        ("errors", failures.collect::<Vec<_>>().join("\n")),
        ("explain", explanation(name)),
        ("peek", peeked(name)),
        ("state", state_files(name)),
        ("convert-spark", converted(name)),
    ]
}

#[test]
fn nothing_that_is_printed_commands_the_terminal_or_feigns_a_line() {
    for ((command, hostile), (_, plain)) in outputs(HOSTILE).iter().zip(outputs("a")) {
        let hidden = hostile.chars().find(|c| is_invisible(*c) && *c != '\n');
        assert_eq!(hidden, None, "{command}: {hostile:?}");
        // What is quoted of a source is without such characters already.
        let is_shown = hostile.contains("\\u001b[31m") || *command == "convert-spark";
        assert!(is_shown, "{command}: {hostile}");
        let feigned = hostile.lines().find(|line| line.starts_with("forged"));
        assert_eq!(feigned, None, "{command}: {hostile}");
        // Only errors and what a check finds have lines of their own, which are indented.
        if !matches!(*command, "errors" | "check" | "convert-spark") {
            assert_eq!(
                hostile.lines().count(),
                plain.lines().count(),
                "{command}: {hostile}"
            );
        }
    }
}

#[test]
fn what_is_printed_as_json_stays_the_same_value() {
    let value = json!({HOSTILE: HOSTILE, "emoji": "👩‍👧"});
    let text = json_text(&value);
    assert!(!text.contains(is_invisible), "{text:?}");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
}

#[test]
fn a_text_without_commands_stays_as_it_is() {
    for text in ["mia_ö", "名前", "a b\\n", "👩‍👧"] {
        assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
    }
    assert_eq!(visible("a\nb\tc"), "a\\nb\\tc");
    assert_eq!(paragraph("a\nb\tc\n"), "a\n  b\tc");
}
