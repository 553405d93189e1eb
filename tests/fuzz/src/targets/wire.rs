//! Messages between the processes, and what is made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::job::{JobSpec, parse};
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as FromMaster;
use kol_common::proto::{
    Assign, BarrierAck, ExecutorMessage, ExecutorState, ExecutorStatus, Heartbeat, JobStatus,
    MasterMessage, PartitionAssignment, PartitionCheckpoint, PartitionFailed, PartitionReport,
    PartitionStatus, Preparation, Prepare, Prepared, Register, Released, Reports, RunningPartition,
    SourcePartition as Source, Unchanged,
};
use kol_common::scoring::Scoring;
use kol_common::view::{executor_json, job_json, partition_json};
use kol_common::{ExecutorId, Incarnation, JobId, Millis, SourcePartition};
use kol_master::cluster::{Beat, Input as Heard, Limits, Members, SessionId};
use kol_master::job::discovery::{Found, Started};
use kol_master::job::{Effect, Event, Executor, Fleet, Input, Job, JobRecord, Load, Site};
use prost::Message as _;

use super::{Target, bits, kind_of, shown};

pub const FROM_EXECUTOR: Target = Target {
    name: "from-executor",
    read: from_executor,
    valid: executor_messages,
    memory: (1 << 20, 400),
};

pub const FROM_MASTER: Target = Target {
    name: "from-master",
    read: from_master,
    valid: master_messages,
    memory: (1 << 20, 200),
};

pub const REPLY: Target = Target {
    name: "reply",
    read: reply,
    valid: replies,
    memory: (1 << 20, 400),
};

const JOB: &str = "job_1";
const INCARNATION: &str = "inc_1";
const NOW: Millis = Millis(1_764_133_200_000);

/// A job with a spec of this text, as it begins.
pub fn job_record() -> JobRecord {
    let text = "name = \"a\"\n[source]\nbootstrap = \"kafka:9092\"\ntopics = [\"t\"]\n[sink]\nurl = \"redis://r:6379\"\n";
    let spec = parse(text, "spec").expect("a spec").spec;
    JobRecord::new(JobId::from_wire(JOB), spec, Vec::new(), Millis(0))
}

fn partition(number: u32) -> Source {
    Source {
        topic: "t".into(),
        partition: number,
    }
}

fn fleet() -> (ExecutorId, Fleet) {
    let id = Members::id_of(INCARNATION);
    let executor = Executor {
        incarnation: Incarnation::from_wire(INCARNATION),
        state: ExecutorState::Alive,
        site: Site {
            host: "host".into(),
            zone: String::new(),
        },
        cores: 1,
        memory: 0,
        draining: false,
        prepares: true,
        drains_at: None,
        others: Load::default(),
        unseen: Vec::new(),
        unseen_since: Millis(0),
    };
    (id.clone(), Fleet::from([(id, executor)]))
}

/// A job whose partitions are assigned to the executor that sends the messages.
pub fn running(record: JobRecord) -> (Job, usize) {
    let (_, fleet) = fleet();
    let mut job = Job::new(record, Vec::new(), Millis(0), Duration::from_secs(10));
    let started = |number| Started {
        partition: SourcePartition::new("t", number),
        offset: 100,
        topic_id: None,
    };
    let found = Found {
        rekeying: None,
        partitions: (0..3).map(started).collect(),
        generation: Some(4),
        state: None,
    };
    let found = Event::Discovered(Ok(found), None);
    let mut effects = 0;
    for event in [Event::Tick, found, Event::Tick] {
        effects += step(&mut job, &fleet, Millis(10), event);
    }
    (job, effects)
}

fn step(job: &mut Job, fleet: &Fleet, now: Millis, event: Event) -> usize {
    let mut out: Vec<Effect> = Vec::new();
    let wall = NOW;
    job.handle(now, Input { event, fleet, wall }, &mut out);
    out.len()
}

/// A message of an executor reaches the members and a job whose partitions it has.
fn from_executor(data: &[u8]) -> u64 {
    let message = match ExecutorMessage::decode(data) {
        Ok(message) => message,
        Err(error) => return shown(kind_of(&error.to_string())),
    };
    let Some(body) = message.body else {
        return 1;
    };
    let kind = std::mem::discriminant(&body);
    let mut members = Members::new(Limits::default(), BTreeMap::new());
    let mut effects = Vec::new();
    let session = SessionId(1);
    let register = match &body {
        FromExecutor::Register(register) => register.clone(),
        _ => Register {
            incarnation: INCARNATION.into(),
            ..Register::default()
        },
    };
    members.handle(
        Millis(1),
        Heard::Registered(session, register.clone()),
        &mut effects,
    );
    if let FromExecutor::Heartbeat(heartbeat) = &body {
        let beat = Beat::read(*heartbeat, NOW);
        members.handle(Millis(2), Heard::Heard(session, Some(beat)), &mut effects);
    }
    let (id, fleet) = fleet();
    let (mut job, _) = running(job_record());
    let mut outcome = vec![step(
        &mut job,
        &fleet,
        Millis(20),
        Event::Connected(id.clone(), register.running),
    )];
    outcome.push(step(
        &mut job,
        &fleet,
        Millis(30),
        Event::Received(id, body),
    ));
    for now in [1_100, 2_300, 10_000, 60_000] {
        outcome.push(step(&mut job, &fleet, Millis(now), Event::Tick));
    }
    let status = job_json(&job.status(Millis(60_000), &fleet)).to_string();
    let kept = serde_json::to_vec(&job.record()).expect("a record is JSON");
    shown((kind, outcome, bits(status.len()), bits(kept.len())))
}

fn executor_messages() -> Vec<Vec<u8>> {
    let report = |number| PartitionReport {
        job_id: JOB.into(),
        partition: Some(partition(number)),
        assignment_epoch: 1,
        position: 1_000,
        ..PartitionReport::default()
    };
    let bodies = [
        FromExecutor::Register(Register {
            incarnation: INCARNATION.into(),
            host: "host".into(),
            running: vec![RunningPartition {
                job_id: JOB.into(),
                partition: Some(partition(1)),
                generation: 4,
                assignment_epoch: 1,
            }],
            ..Register::default()
        }),
        FromExecutor::Heartbeat(Heartbeat {
            rss_bytes: 1 << 30,
            cpu_ms: 5,
            partitions: 3,
            wall_ms: NOW.0,
        }),
        FromExecutor::Reports(Reports {
            reports: (0..3).map(report).collect(),
            unchanged: Some(Unchanged { end_age_ms: 700 }),
        }),
        FromExecutor::Released(Released {
            job_id: JOB.into(),
            partition: Some(partition(0)),
            assignment_epoch: 1,
            position: 7,
            drained: true,
            stopped_ms: Some(4),
        }),
        FromExecutor::PartitionFailed(PartitionFailed {
            job_id: JOB.into(),
            partition: Some(partition(2)),
            assignment_epoch: 1,
            ..PartitionFailed::default()
        }),
        FromExecutor::BarrierAck(Box::new(BarrierAck {
            job_id: JOB.into(),
            epoch: 1,
            checkpoint: Some(PartitionCheckpoint {
                partition: Some(partition(1)),
                assignment_epoch: 1,
                offset: 1_000,
                ..PartitionCheckpoint::default()
            }),
        })),
        FromExecutor::Prepared(Prepared {
            job_id: JOB.into(),
            partition: Some(partition(1)),
            epoch: 1,
            error: None,
        }),
    ];
    let message = |body| ExecutorMessage {
        term: 3,
        body: Some(body),
    };
    bodies.map(|body| message(body).encode_to_vec()).to_vec()
}

/// What an executor makes of partitions that it gets, now or soon.
fn from_master(data: &[u8]) -> u64 {
    let message = match MasterMessage::decode(data) {
        Ok(message) => message,
        Err(error) => return shown(kind_of(&error.to_string())),
    };
    match message.body {
        Some(FromMaster::Assign(assign)) => {
            let partitions = assign.partitions.into_iter().filter_map(|p| p.partition);
            given(&assign.spec_json, partitions)
        }
        Some(FromMaster::Prepare(prepare)) => {
            let partitions = prepare.partitions.into_iter().filter_map(|p| p.partition);
            given(&prepare.spec_json, partitions)
        }
        body => shown(body.map(|body| std::mem::discriminant(&body))),
    }
}

fn given(spec_json: &str, partitions: impl Iterator<Item = Source>) -> u64 {
    let spec: Result<JobSpec, _> = serde_json::from_str(spec_json);
    let partitions: Vec<_> = partitions.map(SourcePartition::from).collect();
    let scores = spec.map(|spec| {
        let scoring = Scoring::new(&spec.scoring);
        (
            scoring.window_end(NOW).leading_zeros(),
            scoring.kept.leading_zeros(),
        )
    });
    shown((
        scores.map_err(|e| kind_of(&e.to_string())),
        partitions.len(),
    ))
}

fn master_messages() -> Vec<Vec<u8>> {
    let spec_json = running(job_record()).0.header().spec_json();
    let assign = Assign {
        job_id: JOB.into(),
        spec_json: spec_json.clone(),
        partitions: vec![PartitionAssignment {
            partition: Some(partition(1)),
            assignment_epoch: 2,
            offset: 7,
            read_before: Some(9),
            ..PartitionAssignment::default()
        }],
        ..Assign::default()
    };
    let prepare = Prepare {
        job_id: JOB.into(),
        spec_json,
        partitions: vec![Preparation {
            partition: Some(partition(1)),
            epoch: 5,
            state: Some(PartitionCheckpoint::default()),
        }],
        ..Prepare::default()
    };
    let message = |body| MasterMessage {
        term: 3,
        body: Some(body),
    };
    [FromMaster::Assign(assign), FromMaster::Prepare(prepare)]
        .map(|body| message(body).encode_to_vec())
        .to_vec()
}

/// What a client shows of a master's answer.
fn reply(data: &[u8]) -> u64 {
    let job = JobStatus::decode(data).map(|job| {
        let partitions: usize = job
            .partitions
            .iter()
            .map(|p| partition_json(p).to_string().len())
            .sum();
        (bits(job_json(&job).to_string().len()), bits(partitions))
    });
    let executor = ExecutorStatus::decode(data)
        .map(|executor| bits(executor_json(&executor).to_string().len()));
    let text = |error: prost::DecodeError| kind_of(&error.to_string());
    shown((job.map_err(text), executor.map_err(text)))
}

fn replies() -> Vec<Vec<u8>> {
    let (_, fleet) = fleet();
    let mut status = running(job_record()).0.status(Millis(20), &fleet);
    status.partitions.push(PartitionStatus::default());
    let executor = ExecutorStatus {
        executor_id: "exe_1".into(),
        registered_ms: NOW.0,
        ..ExecutorStatus::default()
    };
    vec![status.encode_to_vec(), executor.encode_to_vec()]
}
