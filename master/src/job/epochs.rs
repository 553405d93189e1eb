//! A job's part in its checkpoints: who can take part, what goes out, and what is committed.

use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{Barrier, BarrierAck, BarrierFailed, Manifest, PartitionState};
use kol_common::{ExecutorId, KolError, Millis, SavepointId, SourcePartition};

use super::lineage::inherited;
use super::machine::{Executor, Fleet, Job, Out};
use super::partition::{Hold, Partition};
use super::record::Phase;
use crate::checkpoint::{Facts, Owner};

impl Job {
    /// Moves the epochs on, while the job runs or finishes.
    pub(super) fn checkpoint(&mut self, now: Millis, fleet: &Fleet, out: &mut Out) {
        if self.record.phase == Phase::Running || self.finishing.is_some() {
            self.begin_epoch(now, fleet, out);
        } else {
            self.epochs.end(now);
        }
        out.garbage.extend(self.epochs.take_garbage());
        out.news = self.epochs.take_news();
        out.savepoints.extend(self.epochs.take_savepoints());
    }

    /// Whether the last epoch of a job that stops is still to come, and can: it is worth as much time
    /// as a partition may take to drain.
    pub(super) fn finishes(&mut self, now: Millis, fleet: &Fleet) -> bool {
        let Some(deadline) = self.finishing else {
            return false;
        };
        let held = self.partitions.iter().any(|p| p.hold.executor().is_some());
        let served = held || fleet.values().any(Executor::callable);
        let done = self.partitions.is_empty() || self.epochs.is_finished();
        if !done && served && now < deadline {
            return true;
        }
        self.finishing = None;
        if !done {
            self.record.reason = match self.epochs.head() {
                Some(head) => format!(
                    "no last checkpoint could be made; what came after epoch {} is read again by a job \
                     that goes on from there",
                    head.epoch
                ),
                None => "no checkpoint could be made".to_owned(),
            };
        }
        false
    }

    /// A person wants a savepoint.
    pub(super) fn savepoint(
        &mut self,
        now: Millis,
        id: SavepointId,
        folder: String,
        out: &mut Out,
    ) {
        let running = self.record.phase == Phase::Running || self.finishing.is_some();
        let asked = if running {
            self.epochs.ask_for_savepoint(now, id.clone(), folder)
        } else {
            let what = format!("job `{}` does not run", self.record.spec.name);
            let error = KolError::user("SAVEPOINT_FAILED", what);
            Err(error
                .help("A job that was stopped is gone on from with submit --from-savepoint JOB."))
        };
        if let Err(error) = asked {
            out.savepoints.push((id, Err(error)));
        }
    }

    /// Goes on from a state that another job made.
    pub(super) fn inherit(&mut self, now: Millis, state: Manifest, out: &mut Out) {
        let records: Vec<_> = self.partitions.iter().map(|p| p.record.clone()).collect();
        let manifest = Manifest {
            job_id: self.record.id.to_string(),
            job_name: self.record.spec.name.clone(),
            generation: self.record.generation,
            partitions: inherited(&state, &records),
            begun_ms: now.0,
            took_ms: 0,
            origin: self.record.origin.to_string(),
            ..state
        };
        self.measure.resume(&manifest);
        out.commit = Some(self.epochs.inherit(now, manifest));
        self.record.epochs_reserved = self.epochs.reserved();
    }

    fn begin_epoch(&mut self, now: Millis, fleet: &Fleet, out: &mut Out) {
        let owners: Vec<Owner> = self.partitions.iter().map(|p| owner(p, fleet)).collect();
        let partitions = &self.partitions;
        let name = |slot: u32| {
            let partition = partitions.get(slot as usize);
            partition.map_or(String::new(), |p| p.record.partition.to_string())
        };
        let Some(begin) = self.epochs.step(now, &owners, name) else {
            return;
        };
        if self.record.epochs_reserved != self.epochs.reserved() {
            self.record.epochs_reserved = self.epochs.reserved();
            out.persist = true;
        }
        for executor in self.executors() {
            let barrier = Barrier {
                job_id: self.record.id.to_string(),
                generation: self.record.generation,
                epoch: begin.epoch,
                parent: begin.parent,
                last: begin.last,
                savepoint: begin.savepoint.clone().unwrap_or_default(),
            };
            out.sends.push((executor, ToExecutor::Barrier(barrier)));
        }
    }

    /// A partition's part of an epoch is durable.
    pub(super) fn barrier_acked(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        ack: BarrierAck,
        out: &mut Out,
    ) {
        let Some(checkpoint) = ack.checkpoint else {
            return;
        };
        let current = self
            .partitions
            .get(checkpoint.slot as usize)
            .is_some_and(|p| {
                p.hold.executor() == Some(executor) && p.record.epoch == checkpoint.assignment_epoch
            });
        if !current || !self.epochs.acknowledged(ack.epoch, checkpoint) {
            return;
        }
        let facts = Facts {
            job: (self.record.id.to_string(), self.record.spec.name.clone()),
            generation: self.record.generation,
            clock: self.measure.clock(),
            market: (self.measure.version(), self.measure.market_wire()),
        };
        out.commit = self.epochs.commit(now, facts);
        out.savepoints.extend(self.epochs.take_savepoints());
    }

    /// A partition cannot take part in an epoch.
    pub(super) fn barrier_failed(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        failed: BarrierFailed,
    ) {
        let Some(name) = failed.partition else {
            return;
        };
        let partition = self.partitions.iter().find(|p| {
            p.record.partition.topic == name.topic
                && p.record.partition.partition == name.partition
                && p.hold.executor() == Some(executor)
        });
        let Some(slot) = partition.map(|p| p.record.slot) else {
            return;
        };
        let error = failed.error.as_ref().map_or_else(
            || KolError::internal("CHECKPOINT_FAILED", "the executor gave no reason"),
            |info| {
                let what = format!("{}: {}", info.code, info.message);
                KolError::external("CHECKPOINT_FAILED", what).help(info.help.clone())
            },
        );
        let error = error.partition(&SourcePartition::from(name));
        let assignment = failed.assignment_epoch;
        self.epochs
            .failed(now, failed.epoch, slot, assignment, error);
    }
}

/// Whether a partition can take part: its owner answers, and has claimed it.
fn owner(partition: &Partition, fleet: &Fleet) -> Owner {
    let held = match &partition.hold {
        Hold::Held { executor } => fleet.get(executor).is_some_and(Executor::callable),
        Hold::Free { .. } | Hold::Awaited { .. } | Hold::Releasing { .. } => false,
    };
    let state = partition.current_report().map(|r| r.state());
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
        slot: partition.record.slot,
        assignment_epoch: partition.record.epoch,
        ready: held && serves,
    }
}
