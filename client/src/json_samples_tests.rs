//! Made-up values, with everything set that can be.

use kol_common::KolError;
use kol_common::ids::SourcePartition;
use kol_common::proto::{
    self, AheadEvent, CheckpointStatus, Confirmed, ExecutorStatus, HotKol, JobState, JobStatus,
    Manifest, PartitionCheckpoint, PartitionCounters, PartitionReport, PartitionState,
    PartitionStatus, Placement, PlatformMarket, Rates, RekeyStatus, Savepoint, ScalingAdvice,
    StateFile,
};

pub(super) const JOB: &str = "job_01a20ff1a1c4733a9841ca3c84557311";
const EXECUTOR: &str = "exe_01a20ff1a1c4733a9841ca3c84557311";
pub(super) const AT: u64 = 1_751_358_565_000;

fn partition() -> proto::SourcePartition {
    proto::SourcePartition {
        topic: "kol.videos.raw".into(),
        partition: 3,
    }
}

pub(super) fn problem() -> KolError {
    KolError::external("SINK_UNREACHABLE", "Redis cannot be reached")
        .help("Start Redis, or correct sink.url.")
        .partition(&SourcePartition::new("kol.videos.raw", 3))
        .offset(4_711)
}

fn counters() -> PartitionCounters {
    PartitionCounters {
        events: 43_887,
        late: 2,
        dead_letter: 5,
        dead_letters_written: 5,
        merges: 1_200,
        rejected: [("not_json".to_owned(), 5)].into(),
        last_ahead: Some(AheadEvent {
            partition: Some(partition()),
            offset: 17,
            platform: "tiktok".into(),
            kol: "mia".into(),
            key: Some("mia".into()),
            event_ms: AT + 86_400_000,
            present_ms: AT,
        }),
        ..PartitionCounters::default()
    }
}

pub(super) fn scaling() -> ScalingAdvice {
    ScalingAdvice {
        wanted: 3,
        executors: 2,
        reason: "the lag grows".into(),
        lag_records: 120_000,
        lag_per_second: Some(1_500),
        read_per_second: Some(20_000),
        cores_permille: Some(995),
        memory_permille: Some(310),
    }
}

pub(super) fn job() -> JobStatus {
    JobStatus {
        job_id: JOB.into(),
        name: "kol-trending".into(),
        state: JobState::Degraded.into(),
        reason: "Redis cannot be reached".into(),
        generation: 7,
        submitted_ms: AT,
        origin: "epoch 4711 of the job before".into(),
        partition_count: 4,
        executors: 2,
        lag_records: Some(120),
        staleness_ms: 250,
        totals: Some(counters()),
        clock_ms: Some(AT),
        newest_event_ms: Some(AT),
        window_end_ms: Some(AT),
        market: vec![PlatformMarket {
            platform: "tiktok".into(),
            mean: 4.73,
        }],
        kols: 389,
        state_bytes: 1_048_576,
        warnings: vec!["2 videos have readings in several partitions".into()],
        problems: vec![problem().to_info()],
        checkpoint: Some(CheckpointStatus {
            epoch: 4_711,
            committed_ms: AT,
            took_ms: 14,
            written_bytes: 4_096,
            committed_count: 4_700,
            aborted_count: 11,
            failures: 0,
        }),
        ends_probed_ms: Some(AT),
        now_ms: AT,
        wall_ms: AT,
        rekeying: Some(RekeyStatus {
            topic: "kol-rekey.kol-trending".into(),
            topic_id: "6f1b2f0e-7c55-4f0c-9a4e-6a1f0d9b1c22".into(),
            lag_records: Some(20),
        }),
        scaling: Some(scaling()),
        ..JobStatus::default()
    }
}

pub(super) fn partition_status() -> PartitionStatus {
    let report = PartitionReport {
        job_id: JOB.into(),
        job_name: "kol-trending".into(),
        partition: Some(partition()),
        assignment_epoch: 12,
        position: 10_880,
        end_offset: Some(11_000),
        clock_ms: Some(AT),
        window_end_ms: Some(AT),
        confirmed: Some(Confirmed {
            position: 10_800,
            ..Confirmed::default()
        }),
        counters: Some(counters()),
        kols: 97,
        entities: 870,
        state_bytes: 262_144,
        median_gap_ms: Some(86_400_000),
        staleness_ms: 250,
        hottest: vec![HotKol {
            platform: "tiktok".into(),
            kol: "mia".into(),
            permille: 42,
        }],
        problem: Some(problem().to_info()),
        ..PartitionReport::default()
    };
    PartitionStatus {
        partition: Some(partition()),
        state: PartitionState::Running.into(),
        executor_id: EXECUTOR.into(),
        host: "web-7".into(),
        moving_to: Some("exe_02".into()),
        paused_ms: Some(180),
        end_offset: Some(11_000),
        lag_records: Some(120),
        report: Some(report),
        placement: Some(Placement {
            since_ms: Some(AT),
            cause: "balance".into(),
            why: "it is the least loaded executor".into(),
            load_ppm: 120_000,
            executor_load_ppm: 480_000,
            alternative: Some("exe_02".into()),
            alternative_load_ppm: Some(510_000),
            moves_at_ppm: Some(700_000),
            moves_when: "web-7 is 70 % full".into(),
            rates: Some(Rates {
                events: 2_000,
                bytes: 640_000,
            }),
        }),
        ..PartitionStatus::default()
    }
}

pub(super) fn executor() -> ExecutorStatus {
    ExecutorStatus {
        executor_id: EXECUTOR.into(),
        incarnation: "inc_01".into(),
        host: "web-7".into(),
        http: "web-7:4041".into(),
        cores: 4,
        memory_bytes: 4 << 30,
        version: "0.1.0".into(),
        state: proto::ExecutorState::Alive.into(),
        partitions: 2,
        rss_bytes: 1 << 30,
        cpu_ms: 86_000,
        heartbeat_age_ms: 120,
        registered_ms: AT,
        clock_ahead_ms: Some(-3),
        zone: "rack-2".into(),
        ..ExecutorStatus::default()
    }
}

pub(super) fn manifest() -> Manifest {
    Manifest {
        job_id: JOB.into(),
        job_name: "kol-trending".into(),
        generation: 7,
        epoch: 4_711,
        parent: 4_710,
        begun_ms: AT,
        took_ms: 14,
        clock_ms: Some(AT),
        partitions: vec![PartitionCheckpoint {
            partition: Some(partition()),
            offset: 10_880,
            clock_ms: Some(AT),
            kols: 97,
            entities: 870,
            files: vec![StateFile {
                path: format!("{JOB}/3/000000004711-12-f0.state"),
                bytes: 4_096,
                crc32c: 1,
            }],
            written_bytes: 4_096,
            pause_us: 210,
            durable_ms: 9,
            confirmed_ms: 12,
            topic_id: vec![7; 16],
            ..PartitionCheckpoint::default()
        }],
        ..Manifest::default()
    }
}

pub(super) fn savepoint() -> Savepoint {
    Savepoint {
        id: "sav_01a20ff1a1c4733a9841ca3c84557311".into(),
        location: "file:///backup/sav_01a20ff1a1c4733a9841ca3c84557311".into(),
        job_id: JOB.into(),
        job_name: "kol-trending".into(),
        epoch: 4_712,
        made_ms: AT,
        took_ms: 340,
        bytes: 1_048_576,
        kols: 389,
        files: vec![StateFile::default()],
    }
}
