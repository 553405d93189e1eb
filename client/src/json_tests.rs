//! The shape of everything that `-o json` prints: docs/json.md has an example of each noun, and what is printed has exactly
//! its keys, in its order. `KOL_UPDATE=1` writes the page.

#[path = "json_samples_tests.rs"]
mod samples;

use std::time::Duration;

use kol_common::alerts::Alert;
use kol_common::ids::SourcePartition;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::proto::{
    Explanation, ListCheckpointsReply, ReadingDetail, SlotDetail, Snapshot, SubmitReply,
};
use kol_common::redis::ranking::Ranked;
use kol_common::scoring::schema::Scored;
use kol_common::scoring::{Scoring, merge};
use kol_common::{Millis, view};
use serde_json::{Value, json};

use self::samples::{
    AT, JOB, executor, job, manifest, partition_status, problem, savepoint, scaling,
};
use crate::cmd::{
    alerts, check, checkpoints, doctor, peek, plan, state, stop, submit, top, written,
};
use crate::input::cluster::Cluster;
use crate::input::newest::Sample;
use crate::state::Verified;

const HEAD: &str = "\
# What `-o json` prints

One JSON value on standard output, on one line, for each command. Keys are stable: new ones may be added, and none is renamed or
changes its meaning. Times end in `_ms` and are milliseconds (since 1970 where they are points in time), sizes in `_bytes`; counts since
the beginning end in `_total`. What is not known is `null`, never 0. The HTTP API has the same objects.

A command that fails prints a *problem* on standard error, which has a code of [errors.md](errors.md), and nothing on standard output, but
for `check`, `doctor` and `state verify`, which say there what they found. The exit codes are in `kol-client --help`.

Values below are made up. `client/src/json_tests.rs` compares this page with what is printed.
";

fn explanation() -> Value {
    let found = Explanation {
        job_id: JOB.into(),
        platform: "tiktok".into(),
        kol: "mia".into(),
        market: 4.73,
        slots: vec![SlotDetail {
            readings: vec![ReadingDetail {
                video_id: "7518376794681117970".into(),
                time_ms: AT,
                likes: Some(1_200),
                ..ReadingDetail::default()
            }],
            ..SlotDetail::default()
        }],
        ..Explanation::default()
    };
    let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    let scoring = Scoring::new(&spec);
    let sums = merge(&scoring, &[]);
    let terms = scoring.score(&sums, found.market);
    let scored = Scored {
        scoring: &scoring,
        sums: &sums,
        terms: &terms,
    };
    view::explanation_json(&found, &scored)
}

fn rank() -> Value {
    let ranking = top::Ranking {
        platform: "tiktok".into(),
        ..top::Ranking::default()
    };
    let row = Ranked {
        place: 1,
        kol: "mia".into(),
        score: 84.127_56,
        label: "Viral".into(),
        velocity: "23.77".into(),
        momentum: "-0.68".into(),
        engagement: "34233".into(),
        events: "35".into(),
        updated: Some(Millis(AT)),
    };
    top::as_json(Some(&job()), &ranking, &row)
}

fn record() -> Value {
    let sample = Sample {
        partition: 3,
        offset: 4_711,
        key: Some(b"mia".to_vec()),
        value: Some(br#"{"username":"mia","video_id":"7","like_count":5}"#.to_vec()),
        timestamp_ms: Some(1_751_358_565_000),
    };
    let cluster = Cluster::default();
    peek::show(&cluster, &cluster.decoder(), &sample)
}

fn plan() -> Value {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: plan::Args,
    }
    let line = "plan --rate 500k --kols 1m";
    let line = <Line as clap::Parser>::parse_from(line.split(' '));
    plan::as_json(&line.args)
}

fn sent_alert() -> Value {
    let rules = "name = \"kol-trending\"\n[alerts]\ntopic = \"kol-alerts\"\n[[alerts.rules]]\nname = \"viral\"\nlabel = \"Viral\"\n";
    let spec = kol_common::job::parse(rules, "").unwrap().spec;
    alerts::as_json(&alerts::Sent {
        to: "topic kol-alerts".into(),
        alert: Alert::test(&spec, &spec.alerts.rules[0], Millis(AT)),
        outcome: Some(Ok(())),
    })
}

/// Each noun: its name, which commands print it, and an example.
fn nouns() -> Vec<(&'static str, &'static str, Value)> {
    let reply = SubmitReply {
        job_id: JOB.into(),
        origin: "epoch 4711 of the job before".into(),
        warnings: vec!["offsets of the group are used by somebody else".into()],
        ..SubmitReply::default()
    };
    let findings = [
        check::Finding::new("spec job.toml".into(), Ok("job a is well formed".into())),
        check::Finding::new("Redis redis://localhost:6379/0".into(), Err(problem())),
    ];
    let kept = ListCheckpointsReply {
        location: "file:///var/lib/kol/checkpoints".into(),
        checkpoints: vec![manifest()],
        savepoints: vec![savepoint()],
    };
    let verified = Verified {
        partition: SourcePartition::new("kol.videos.raw", 3),
        files: 2,
        bytes: 4_096,
        kols: 97,
        entities: 870,
        damage: None,
    };
    let snapshot = Snapshot {
        spec_json: "{}".into(),
        version: "0.1.0".into(),
        ..Snapshot::default()
    };
    let folder = "file:///backup/sav_01a20ff1a1c4733a9841ca3c84557311";
    let mut short = manifest();
    short.partitions.clear();
    vec![
        (
            "problem",
            "Any command that fails, on standard error; `problems` of a job.",
            view::problem_json(&problem().to_info()),
        ),
        (
            "job",
            "`status`, `cancel`; a list of them: `jobs`. `stop` has its `savepoint` (or `null`) beside it. `rekeying` is `null` for a job \
             without `source.rekey`; its `lag_records` is the part of the lag that is before the internal topic.",
            stop::as_json(&job(), None),
        ),
        (
            "submission",
            "`submit`, `rewind`, `rollback`. `outcome` is `created` or `unchanged`.",
            submit::as_json("created", &reply),
        ),
        (
            "partition",
            "A list of them: `partitions`. `first_stage` is true of those that a job with `source.rekey` reads its input from. What only its owner knows is `null` while none has reported, and `position` while its state is being restored.",
            view::partition_json(&partition_status()),
        ),
        (
            "executor",
            "`drain`; a list of them: `executors`.",
            view::executor_json(&executor()),
        ),
        (
            "checkpoints",
            "`checkpoints`: epochs, newest first, and savepoints.",
            checkpoints::as_json(&kept),
        ),
        (
            "savepoint",
            "`savepoint`, also with `--delete`.",
            view::savepoint_json(&savepoint()),
        ),
        (
            "scaling",
            "`autoscale-advice`.",
            view::scaling_json(&scaling()),
        ),
        (
            "sent alert",
            "A list of them: `alerts test`. `alert` is what its destinations get; `sent` is false with `--dry-run`, too.",
            sent_alert(),
        ),
        ("explanation", "`explain`.", explanation()),
        (
            "rank",
            "A list of them: `top`. Its numbers have the names that they have in an explanation.",
            rank(),
        ),
        (
            "findings",
            "`check`. `spec` is there with `--show`.",
            check::as_json(&findings, &["a warning".to_owned()], None),
        ),
        (
            "record",
            "A list of them: `peek`. A record of one event says itself what it is read as.",
            record(),
        ),
        (
            "written records",
            "`replay`, and `generate --to kafka`.",
            written::written_json(5, 3, Duration::from_millis(250), &[("not_json", 2)]),
        ),
        (
            "state",
            "`state inspect` of a folder with a manifest: a checkpoint with its spec.",
            state::snapshot_json(folder, &snapshot, &short),
        ),
        (
            "state folder",
            "A list of them: `state inspect` of a folder of such folders.",
            state::folder_json(folder, &manifest()),
        ),
        (
            "verified partition",
            "A list of them: `state verify`. `damage` says what is wrong.",
            state::verified_json(&verified),
        ),
        ("plan", "`plan`.", plan()),
        (
            "certificates",
            "`certs`: where they were written.",
            json!({"folder": "certs"}),
        ),
        (
            "diagnosis",
            "`doctor`: `troubles` in the order in which to mend them, each with its row of [errors.md](errors.md); `notes` are what only \
             its host cannot reach. `area` is one of `master`, `leader`, `versions`, `clocks`, `executors`, `checkpoints`, `kafka`, `redis`, \
             `job` and `standby`.",
            doctor::sample_json(problem()),
        ),
        (
            "health",
            "`health`, of a process that is well.",
            json!({"healthy": true}),
        ),
    ]
}

#[test]
fn every_noun_has_the_documented_shape() {
    let mut page = HEAD.to_owned();
    for (noun, printed_by, example) in nouns() {
        let example = serde_json::to_string_pretty(&example).unwrap();
        page.push_str(&format!(
            "\n## {noun}\n\n{printed_by}\n\n```json\n{example}\n```\n"
        ));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md");
    if std::env::var_os("KOL_UPDATE").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        written, page,
        "a key that scripts read must not vanish; docs/json.md is written with KOL_UPDATE=1"
    );
}

#[test]
fn the_numbers_of_a_ranking_have_the_names_that_explain_has_for_them() {
    let (explanation, rank) = (explanation(), rank());
    for name in [
        "kol",
        "platform",
        "job_id",
        "trending_score",
        "trending_label",
        "velocity",
        "momentum",
        "total_engagement",
        "event_count",
    ] {
        let (of_explain, of_top) = (&explanation[name], &rank[name]);
        assert!(!of_explain.is_null() && !of_top.is_null(), "{name}");
        assert_eq!(of_explain.is_number(), of_top.is_number(), "{name}");
    }
}
