//! A job with a fleet, for tests of its machine.

use std::time::Duration;

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Barrier, BarrierAck, ErrorDomain, ErrorInfo, ExecutorState, JobState, Manifest,
    PartitionAssignment, PartitionCheckpoint, PartitionFailed, PartitionReport, PartitionState,
    Released, Reports, Revoke,
};
use kol_common::{ExecutorId, Incarnation, JobId, KolError, Millis, SavepointId, SourcePartition};
use uuid::Uuid;

use super::discovery::{Found, Started, Starts};
use super::effect::{Effect, Event, Input, Resumed};
use super::fleet::{Executor, Fleet};
use super::load::Load;
use super::machine::Job;
use super::placement::Site;
use super::record::JobRecord;
use crate::checkpoint::Commit;
use crate::testing::spec;

/// Id of the topic.
pub(super) const TOPIC: Uuid = Uuid::from_u128(1);
pub(super) const DRAIN: Duration = Duration::from_secs(10);

pub(super) fn executor(n: u8) -> ExecutorId {
    ExecutorId::from_wire(format!("exe_{n}"))
}

/// An executor that is alive, alone on its host.
pub(super) fn member(n: u8) -> Executor {
    Executor {
        incarnation: Incarnation::from_wire(format!("inc_{n}")),
        state: ExecutorState::Alive,
        site: Site {
            host: format!("host{n}"),
            zone: String::new(),
        },
        cores: 1,
        memory: 1 << 30,
        draining: false,
        prepares: true,
        drains_at: None,
        others: Load::default(),
        unseen: Vec::new(),
        unseen_since: Millis(0),
    }
}

pub(super) fn fleet(alive: &[u8]) -> Fleet {
    alive.iter().map(|n| (executor(*n), member(*n))).collect()
}

pub(super) fn set(fleet: &mut Fleet, n: u8, state: ExecutorState) {
    fleet.get_mut(&executor(n)).unwrap().state = state;
}

/// The first partitions of a topic, to start at an offset.
pub(super) fn started(partitions: u32, offset: u64) -> Starts {
    let found = |number| Started {
        partition: SourcePartition::new("t", number),
        offset,
        topic_id: Some(TOPIC),
    };
    (0..partitions).map(found).collect()
}

pub(super) fn found(partitions: u32) -> Event {
    Event::Discovered(
        Ok(Found {
            partitions: started(partitions, 100),
            generation: Some(4),
            state: None,
            rekeying: None,
        }),
        None,
    )
}

/// What came out of one step, sorted.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) persist: bool,
    pub(super) commit: Option<Commit>,
    pub(super) sends: Vec<(ExecutorId, ToExecutor)>,
    pub(super) discover: bool,
    pub(super) ends: Vec<SourcePartition>,
    pub(super) savepoints: Vec<(SavepointId, Result<Manifest, KolError>)>,
    pub(super) absent: Vec<ExecutorId>,
    pub(super) resumed: Vec<Resumed>,
}

impl Out {
    /// One step of a job.
    pub(super) fn of(job: &mut Job, now: u64, event: Event, fleet: &Fleet) -> Self {
        let (mut effects, mut out) = (Vec::new(), Self::default());
        job.handle(
            Millis(now),
            Input {
                event,
                fleet,
                wall: Millis(now),
            },
            &mut effects,
        );
        for effect in effects {
            match effect {
                Effect::Persist => out.persist = true,
                Effect::Commit(commit) => out.commit = Some(commit),
                Effect::Send(to, message) => out.sends.push((to, message)),
                Effect::Discover => out.discover = true,
                Effect::LookUpEnds(partitions) => out.ends = partitions,
                Effect::Savepoint(id, saved) => out.savepoints.push((id, saved)),
                Effect::Absent(executor) => out.absent.push(executor),
                Effect::Resumed(resumed) => out.resumed.push(resumed),
                Effect::Delete(_) | Effect::Notice(_) => {}
            }
        }
        out
    }
}

pub(super) struct Rig {
    pub(super) job: Job,
    pub(super) now: u64,
    pub(super) fleet: Fleet,
}

impl Rig {
    pub(super) fn starting(alive: &[u8]) -> Self {
        Self::with(Self::record(), alive)
    }

    pub(super) fn record() -> JobRecord {
        JobRecord::new(JobId::from_wire("job_1"), spec("a"), vec![], Millis(0))
    }

    pub(super) fn with(record: JobRecord, alive: &[u8]) -> Self {
        Self {
            job: Job::new(record, vec![], Millis(0), DRAIN),
            now: 0,
            fleet: fleet(alive),
        }
    }

    pub(super) fn running(alive: &[u8], partitions: u32) -> (Self, Out) {
        let mut rig = Self::starting(alive);
        assert!(rig.tick().discover);
        let out = rig.event(found(partitions));
        (rig, out)
    }

    pub(super) fn event(&mut self, event: Event) -> Out {
        Out::of(&mut self.job, self.now, event, &self.fleet)
    }

    pub(super) fn tick(&mut self) -> Out {
        self.event(Event::Tick)
    }

    pub(super) fn after(&mut self, ms: u64) -> Out {
        self.now += ms;
        self.tick()
    }

    pub(super) fn state(&self) -> (JobState, String) {
        let status = self.job.status(Millis(self.now), &self.fleet);
        (status.state(), status.reason)
    }

    pub(super) fn release(&mut self, by: u8, revoke: &Revoke, drained: bool) -> Out {
        let released = Released {
            job_id: revoke.job_id.clone(),
            partition: revoke.partition.clone(),
            assignment_epoch: revoke.assignment_epoch,
            drained,
            ..Released::default()
        };
        self.event(Event::Received(
            executor(by),
            FromExecutor::Released(released),
        ))
    }

    /// Says that everything that was assigned runs.
    pub(super) fn report_all(&mut self, out: &Out) {
        for (_, number, epoch) in assigned(out) {
            let report = PartitionReport {
                partition: Some((&SourcePartition::new("t", number)).into()),
                assignment_epoch: epoch,
                state: PartitionState::Running as i32,
                ..PartitionReport::default()
            };
            let reports = Reports {
                reports: vec![report],
                unchanged: None,
            };
            self.event(Event::Received(executor(1), FromExecutor::Reports(reports)));
        }
    }

    /// A partition's part of an epoch.
    pub(super) fn ack(&mut self, epoch: u64, number: u32) -> Out {
        self.ack_at(epoch, number, 0)
    }

    /// The same of one that is at an offset.
    pub(super) fn ack_at(&mut self, epoch: u64, number: u32, offset: u64) -> Out {
        self.ack_with(epoch, checkpoint(number, offset))
    }

    /// The same with all that its checkpoint says.
    pub(super) fn ack_with(&mut self, epoch: u64, checkpoint: PartitionCheckpoint) -> Out {
        let ack = BarrierAck {
            job_id: "job_1".into(),
            epoch,
            checkpoint: Some(checkpoint),
        };
        let ack = FromExecutor::BarrierAck(Box::new(ack));
        self.event(Event::Received(executor(1), ack))
    }

    pub(super) fn fail(
        &mut self,
        by: u8,
        number: u32,
        assignment_epoch: u64,
        domain: ErrorDomain,
    ) -> Out {
        let failed = failure(number, assignment_epoch, domain);
        self.event(Event::Received(
            executor(by),
            FromExecutor::PartitionFailed(failed),
        ))
    }
}

/// Of the first owner of a partition that has read to this offset.
pub(super) fn checkpoint(number: u32, offset: u64) -> PartitionCheckpoint {
    PartitionCheckpoint {
        partition: Some((&SourcePartition::new("t", number)).into()),
        ordinal: number,
        assignment_epoch: 1,
        offset,
        topic_id: TOPIC.as_bytes().to_vec(),
        ..PartitionCheckpoint::default()
    }
}

pub(super) fn barriers(out: &Out) -> Vec<Barrier> {
    let barrier = |(_, message): &(ExecutorId, ToExecutor)| match message {
        ToExecutor::Barrier(barrier) => Some(barrier.clone()),
        _ => None,
    };
    out.sends.iter().filter_map(barrier).collect()
}

pub(super) fn failure(number: u32, assignment_epoch: u64, domain: ErrorDomain) -> PartitionFailed {
    PartitionFailed {
        job_id: "job_1".into(),
        partition: Some((&SourcePartition::new("t", number)).into()),
        assignment_epoch,
        lost_tail: None,
        error: Some(ErrorInfo {
            domain: domain as i32,
            code: "BROKE".into(),
            message: "it broke".into(),
            ..ErrorInfo::default()
        }),
    }
}

/// (executor, partition, assignment epoch) of every assignment.
pub(super) fn assigned(out: &Out) -> Vec<(ExecutorId, u32, u64)> {
    let mut all = Vec::new();
    for (to, message) in &out.sends {
        if let ToExecutor::Assign(assign) = message {
            for p in &assign.partitions {
                let number = p.partition.as_ref().unwrap().partition;
                all.push((to.clone(), number, p.assignment_epoch));
            }
        }
    }
    all
}

/// The assignment that went to an executor, of partition 0.
pub(super) fn assignment(out: &Out) -> PartitionAssignment {
    let sent = out.sends.iter().find_map(|(_, message)| match message {
        ToExecutor::Assign(assign) => assign.partitions.first().cloned(),
        _ => None,
    });
    sent.unwrap()
}

pub(super) fn revoked(out: &Out) -> Vec<(ExecutorId, Revoke)> {
    let revokes = out.sends.iter().filter_map(|(to, message)| match message {
        ToExecutor::Revoke(revoke) => Some((to.clone(), revoke.clone())),
        _ => None,
    });
    revokes.collect()
}
