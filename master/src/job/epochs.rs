//! A job's part in its checkpoints: who can take part, what goes out, and how long its last epoch may take.

use std::time::Duration;

use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Barrier, BarrierAck, BarrierFailed, Manifest, PartitionState};
use kol_common::{ExecutorId, KolError, Millis, SavepointId, SourcePartition};

use super::effect::Effect;
use super::fleet::{Executor, Fleet, is_callable};
use super::lineage::inherited;
use super::measure::Measure;
use super::ownership::Partitions;
use super::partition::{Hold, Partition};
use super::record::{End, JobRecord, Phase};
use super::standby::Standby;
use crate::checkpoint::{self, Coordinator, Facts, Input, Owner, is_unchanged};

/// The epochs of a job, and the end of the wait for its last one.
#[derive(Debug)]
pub(super) struct Epochs {
    coordinator: Coordinator,
    drain: Duration,
    /// While the job stops: when waiting for its last epoch ends. It is worth as much time as a partition
    /// may take to drain.
    until: Option<Millis>,
}

/// The parts of a job that its epochs read and write.
pub(super) struct JobParts<'a> {
    pub(super) record: &'a mut JobRecord,
    pub(super) partitions: &'a Partitions,
    /// The wall clock, for what people read.
    pub(super) wall: Millis,
}

/// What became of the last epoch of a job that ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LastEpoch {
    /// It is still to come, and can.
    Awaited,
    /// It is committed, or there is none to wait for.
    Settled,
    /// It can no longer come: what people should know.
    Missed(String),
}

impl Epochs {
    /// With the committed epochs of the store, oldest first.
    pub(super) fn new(
        record: &JobRecord,
        checkpoints: Vec<Manifest>,
        drain: Duration,
        now: Millis,
    ) -> Self {
        let stops = record.phase == Phase::Ending(End::Stopped);
        let limits = record.spec.checkpoint.clone();
        let reserved = record.epochs_reserved;
        Self {
            coordinator: Coordinator::new(limits, checkpoints, reserved, now, stops),
            drain,
            until: stops.then(|| Millis(now.0 + Millis::from(drain).0)),
        }
    }

    pub(super) fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Notes that the state of a partition in an epoch is damaged: [`Coordinator::mark_damaged`].
    pub(super) fn mark_damaged(&mut self, ordinal: u32, epoch: u64) {
        self.coordinator.mark_damaged(ordinal, epoch);
    }

    /// The job stops: one last epoch, at once.
    pub(super) fn finish(&mut self, now: Millis, job: JobParts<'_>, out: &mut Vec<Effect>) {
        self.until = Some(Millis(now.0 + Millis::from(self.drain).0));
        self.step(now, Input::Finish, job, out);
    }

    /// The job ends without a last epoch.
    pub(super) fn abandon(&mut self) {
        self.until = None;
    }

    /// What became of the last epoch of a job that ends.
    pub(super) fn last(
        &mut self,
        now: Millis,
        partitions: &Partitions,
        fleet: &Fleet,
    ) -> LastEpoch {
        let Some(until) = self.until else {
            return LastEpoch::Settled;
        };
        let held = partitions.iter().any(|p| p.hold.executor().is_some());
        let served = held || fleet.values().any(Executor::callable);
        let done = partitions.is_empty() || self.coordinator.is_finished();
        if !done && served && now < until {
            return LastEpoch::Awaited;
        }
        self.until = None;
        if done {
            return LastEpoch::Settled;
        }
        LastEpoch::Missed(match self.coordinator.head() {
            Some(head) => format!(
                "no last checkpoint could be made; what came after epoch {} is read again by a job \
                 that resumes from there",
                head.epoch
            ),
            None => "no checkpoint could be made".to_owned(),
        })
    }

    /// Whether epochs may begin: the job runs, or its last epoch is to come.
    fn is_active(&self, record: &JobRecord) -> bool {
        record.phase == Phase::Running || self.until.is_some()
    }

    /// Time passed, or owners changed.
    pub(super) fn tick(
        &mut self,
        now: Millis,
        job: JobParts<'_>,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) {
        if self.is_active(job.record) {
            let epochs = &self.coordinator;
            let all = job.partitions.iter();
            let owners: Vec<_> = all.map(|p| owner(p, fleet, epochs)).collect();
            self.step(now, Input::Tick(&owners), job, out);
        } else {
            self.step(now, Input::End, job, out);
        }
    }

    /// Why no savepoint can be requested now, if none can.
    pub(super) fn refusal(&self, record: &JobRecord) -> Option<KolError> {
        if self.is_active(record) {
            return self.coordinator.refusal();
        }
        let what = format!("job `{}` does not run", record.spec.name);
        let help = "A job that was stopped is resumed with submit --from-savepoint JOB.";
        Some(KolError::user("SAVEPOINT_FAILED", what).help(help))
    }

    /// A person requests a savepoint.
    pub(super) fn savepoint(
        &mut self,
        now: Millis,
        job: JobParts<'_>,
        id: SavepointId,
        folder: String,
        out: &mut Vec<Effect>,
    ) {
        if let Some(refused) = self.refusal(job.record) {
            return out.push(Effect::Savepoint(id, Err(refused)));
        }
        let request = Input::Savepoint { id, folder };
        self.step(now, request, job, out);
    }

    /// The job resumes from a state that another one made, which becomes its first epoch.
    pub(super) fn inherit(
        &mut self,
        now: Millis,
        job: JobParts<'_>,
        state: Manifest,
        out: &mut Vec<Effect>,
    ) {
        let manifest = Manifest {
            job_id: job.record.id.to_string(),
            job_name: job.record.spec.name.clone(),
            generation: job.record.generation,
            partitions: inherited(&state, &job.partitions.records()),
            begun_ms: job.wall.0,
            took_ms: 0,
            origin: job.record.origin.to_string(),
            ..state
        };
        let JobParts {
            record,
            partitions,
            wall,
        } = job;
        let job = JobParts {
            record,
            partitions,
            wall,
        };
        self.step(now, Input::Inherit(manifest), job, out);
        record.epochs_reserved = self.coordinator.reserved();
        out.push(Effect::Persist);
    }

    /// A partition's part of an epoch is durable.
    pub(super) fn acknowledged(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        ack: BarrierAck,
        job: JobParts<'_>,
        measure: &Measure,
        out: &mut Vec<Effect>,
    ) {
        let Some(mut checkpoint) = ack.checkpoint else {
            return;
        };
        let current = job.partitions.get(checkpoint.ordinal).filter(|p| {
            p.hold.executor() == Some(executor)
                && p.record.assignment_epoch == checkpoint.assignment_epoch
        });
        let Some(partition) = current else {
            return;
        };
        checkpoint.start_offset = partition.record.start_of(&checkpoint);
        let acknowledged = Input::Acknowledged {
            epoch: ack.epoch,
            checkpoint: Box::new(checkpoint),
            facts: Facts {
                job: (job.record.id.to_string(), job.record.spec.name.clone()),
                generation: job.record.generation,
                wall: job.wall,
                clock: measure.clock(),
                market: (measure.version(), measure.market_wire()),
            },
        };
        self.step(now, acknowledged, job, out);
    }

    /// A partition cannot take part in an epoch.
    pub(super) fn failed(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failed: BarrierFailed,
        job: JobParts<'_>,
        out: &mut Vec<Effect>,
    ) {
        let Some(name) = failed.partition else {
            return;
        };
        let Some(partition) = job.partitions.of_owner(executor, &name) else {
            return;
        };
        let error = failed.error.as_ref().map_or_else(
            || KolError::internal("CHECKPOINT_FAILED", "the executor gave no reason"),
            |info| {
                let what = format!("{}: {}", info.code, info.message);
                KolError::external("CHECKPOINT_FAILED", what).help(info.help.clone())
            },
        );
        let failed = Input::Failed {
            epoch: failed.epoch,
            ordinal: partition.record.ordinal,
            assignment_epoch: failed.assignment_epoch,
            error: error.partition(&SourcePartition::from(name)),
        };
        self.step(now, failed, job, out);
    }

    /// One step of the coordinator, and what follows from it for the job's driver.
    fn step(&mut self, now: Millis, input: Input<'_>, job: JobParts<'_>, out: &mut Vec<Effect>) {
        let mut effects = Vec::new();
        self.coordinator.handle(now, input, &mut effects);
        for effect in effects {
            match effect {
                checkpoint::Effect::Begin(begin) => {
                    begin_epoch(&begin, job.record, job.partitions, out)
                }
                checkpoint::Effect::Commit(commit) => out.push(Effect::Commit(commit)),
                checkpoint::Effect::Savepoint(id, saved) => out.push(Effect::Savepoint(id, saved)),
                checkpoint::Effect::Delete(paths) => out.push(Effect::Delete(paths)),
                checkpoint::Effect::Notice(notice) => out.push(Effect::Notice(notice)),
            }
        }
    }
}

/// Sends the barriers of an epoch, once its number is durable.
fn begin_epoch(
    begin: &checkpoint::Begin,
    record: &mut JobRecord,
    partitions: &Partitions,
    out: &mut Vec<Effect>,
) {
    if record.epochs_reserved != begin.reserved {
        record.epochs_reserved = begin.reserved;
        out.push(Effect::Persist);
    }
    for executor in partitions.executors() {
        let barrier = Barrier {
            job_id: record.id.to_string(),
            generation: record.generation,
            epoch: begin.epoch,
            parent: begin.parent,
            last: begin.last,
            savepoint: begin.savepoint.clone().unwrap_or_default(),
        };
        out.push(Effect::Send(executor, ToExecutor::Barrier(barrier)));
    }
}

/// Whether a partition can take part: its owner answers, and has claimed it.
fn owner<'a>(partition: &'a Partition, fleet: &Fleet, epochs: &Coordinator) -> Owner<'a> {
    let held = match &partition.hold {
        Hold::Held { executor } => is_callable(fleet, executor),
        Hold::Free { .. } | Hold::Awaited { .. } | Hold::Releasing { .. } => false,
    };
    let report = partition.current_report();
    let state = report.map(|r| r.state());
    let serves = matches!(
        state,
        Some(
            PartitionState::Running
                | PartitionState::Holding
                | PartitionState::Paused
                // Of a job that stops, and reads nothing more.
                | PartitionState::Draining
        )
    );
    Owner {
        partition: &partition.record.partition,
        ordinal: partition.record.ordinal,
        assignment_epoch: partition.record.assignment_epoch,
        ready: held && serves,
        moves: partition.standby.as_ref().is_some_and(Standby::needs_epoch),
        unchanged: report.is_some_and(|report| {
            let part = epochs.last_part(partition.record.ordinal);
            part.is_some_and(|part| is_unchanged(report, part))
        }),
    }
}
