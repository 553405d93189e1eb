//! The pages of metrics: Prometheus' own tool finds no fault in them, and the documents name what there is. What is made of them for
//! operators is in `monitoring`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot continue should say where"
)]

#[path = "metrics/monitoring.rs"]
mod monitoring;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use kol_common::metrics::{BUILD_INFO, Family};
use kol_common::proto::{
    CheckpointStatus, ExecutorStatus, JobState, JobStatus, Manifest, PartitionCounters,
    PartitionReport, PartitionStatus, ScalingAdvice,
};
use kol_common::{Millis, SourcePartition};
use kol_executor::memory::Memory;
use kol_master::job::{Resumed, Steps};
use kol_master::metrics::Cluster;

fn counters() -> PartitionCounters {
    PartitionCounters {
        rejected: [("not_json".to_owned(), 3)].into(),
        ..PartitionCounters::default()
    }
}

/// A page with a series of each family.
fn page_of_a_master() -> String {
    let job = JobStatus {
        name: "kol-trending".into(),
        state: JobState::Degraded as i32,
        lag_records: Some(7),
        clock_ms: Some(1_700_000_000_123),
        newest_event_ms: Some(1_700_000_000_123),
        checkpoint: Some(CheckpointStatus {
            epoch: 3,
            committed_ms: 1_700_000_000_123,
            ..CheckpointStatus::default()
        }),
        totals: Some(counters()),
        scaling: Some(ScalingAdvice::default()),
        partitions: vec![PartitionStatus::default()],
        ..JobStatus::default()
    };
    kol_master::metrics::committed(&job.name, &Manifest::default());
    let resumed = Resumed {
        partition: SourcePartition::new("t", 0),
        paused: Millis(250),
        steps: Steps::default(),
        cause: "lost",
    };
    kol_master::metrics::resumed(&job.name, &resumed);
    kol_master::metrics::page(Some(&Cluster {
        jobs: vec![job],
        executors: vec![ExecutorStatus::default()],
    }))
}

fn page_of_an_executor() -> String {
    let report = PartitionReport {
        job_name: "kol-trending".into(),
        partition: Some((&SourcePartition::new("t", 0)).into()),
        end_offset: Some(9),
        clock_ms: Some(1_700_000_000_123),
        counters: Some(counters()),
        ..PartitionReport::default()
    };
    kol_executor::telemetry::page(&[report], &Memory::new(1 << 30), 1_234)
}

/// Whether promtool can judge; says so where it cannot.
fn has_promtool() -> bool {
    let found = Command::new("promtool").arg("--version").output().is_ok();
    if !found {
        eprintln!(
            "NOT TESTED WITH PROMTOOL: it is missing (run tests/setup.sh, or apt-get install prometheus)"
        );
    }
    found
}

#[test]
fn promtool_finds_no_fault_in_the_pages() {
    if !has_promtool() {
        return;
    }
    for page in [page_of_a_master(), page_of_an_executor()] {
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = promtool.stdin.take().unwrap();
        input.write_all(page.as_bytes()).unwrap();
        drop(input);
        let judged = promtool.wait_with_output().unwrap();
        let said = [judged.stdout, judged.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(judged.status.success() && said.is_empty(), "{said}\n{page}");
    }
}

fn of_masters() -> impl Iterator<Item = Family> {
    let measured = kol_master::metrics::MEASURED;
    kol_master::metrics::FAMILIES
        .iter()
        .copied()
        .chain(measured)
}

fn of_executors() -> impl Iterator<Item = Family> {
    let families = kol_executor::telemetry::FAMILIES.iter().copied();
    families.chain(kol_executor::telemetry::MEASURED)
}

fn families() -> Vec<Family> {
    let all = of_masters().chain(of_executors()).chain([BUILD_INFO]);
    all.collect()
}

#[test]
fn the_pages_show_every_family() {
    for (page, families) in [
        (page_of_a_master(), of_masters().collect::<Vec<_>>()),
        (
            page_of_an_executor(),
            kol_executor::telemetry::FAMILIES.to_vec(),
        ),
    ] {
        for family in families {
            let help = format!("# HELP {} {}\n", family.name, family.help);
            assert!(page.contains(&help), "{help} in {page}");
        }
    }
}

#[test]
fn the_list_in_the_documents_has_every_family_with_its_help_and_no_other() {
    let list = std::fs::read_to_string(root().join("docs/operations/metrics.md")).unwrap();
    let rows: BTreeSet<&str> = list.lines().filter(|l| l.starts_with("| `kol_")).collect();
    let families = families();
    for Family { name, help, .. } in &families {
        let wanted = |row: &&&str| {
            row.starts_with(&format!("| `{name}` | ")) && row.ends_with(&format!(" | {help} |"))
        };
        assert_eq!(rows.iter().filter(wanted).count(), 1, "{name} | {help}");
    }
    assert_eq!(rows.len(), families.len());
}

#[test]
fn metrics_that_documents_and_deployments_name_exist() {
    let known: BTreeSet<&str> = families().iter().map(|family| family.name).collect();
    let exists = |word: &str| {
        let series = ["_bucket", "_sum", "_count"].iter();
        let series = series.filter_map(|suffix| word.strip_suffix(suffix));
        known.contains(word) || series.into_iter().any(|name| known.contains(name))
    };
    let mut texts = Vec::new();
    for place in [
        "README.md",
        "SECURITY.md",
        "ARCHITECTURE.md",
        "docs",
        "deploy",
    ] {
        read(&root().join(place), &mut texts);
    }
    let mut found = 0;
    for (path, text) in texts {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let words = text.split(|c: char| !is_part(c));
        for word in words.filter(|word| is_metric(word)) {
            assert!(exists(word), "{path} names {word}");
            found += 1;
        }
    }
    assert!(found > 60, "found only {found}");
}

/// Names of ours begin with who or what they are of. Nothing else in the documents does.
fn is_metric(word: &str) -> bool {
    let of = [
        "master_",
        "executor_",
        "executors_",
        "partition_",
        "rejected_",
        "redis_",
        "event_",
        "build_",
    ];
    let rest = word.strip_prefix("kol_");
    rest.is_some_and(|rest| {
        of.iter()
            .any(|of| rest.starts_with(of) && rest.len() > of.len())
    })
}

fn read(path: &Path, texts: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), texts);
        }
    } else if let Ok(text) = std::fs::read_to_string(path) {
        texts.push((path.display().to_string(), text));
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
