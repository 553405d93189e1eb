//! The first stage of a job that re-keys its input: see `docs/protocol/rekeying.md`. Rules:
//!
//! 1. Its partitions are owned as those of the second stage (`ownership`), with ordinals of their own. They have no state: so
//!    nothing of them is checkpointed, and they move by a drain.
//! 2. Once a partition is known to have a position in Kafka, that is durable before anybody hears of it; an owner that finds
//!    none then must not begin.
//! 3. What the rankings of a new generation must show is what the input had when the first stage first saw its ends, and what
//!    the internal topic had once all of that was committed there.
//! 4. A job has nothing left to do once the first stage has read everything, and the second one is done by an end of the
//!    internal topic that was looked up after that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::job::CheckpointSpec;
use kol_common::proto::{PartitionCounters, PartitionReport, PartitionState};
use kol_common::{ExecutorId, JobId, Millis, proto};

use super::fleet::Fleet;
use super::load::Load;
use super::ownership::{Partitions, is_named};
use super::partition::Partition;
use super::record::{Internal, RekeyRecord};
use crate::checkpoint::Coordinator;

/// The first stage of a job.
#[derive(Debug)]
pub(super) struct FirstStage {
    pub(super) partitions: Partitions,
    internal: Internal,
    /// Nothing of it is checkpointed: who looks for states finds none.
    no_epochs: Coordinator,
    /// Since when everything is read.
    done: Option<Millis>,
}

impl FirstStage {
    /// As it was persisted, or with what an earlier job of the same name left.
    pub(super) fn restore(job: JobId, record: RekeyRecord, drain: Duration, now: Millis) -> Self {
        let RekeyRecord {
            internal,
            partitions,
        } = record;
        let mut partitions = Partitions::restore(job, partitions, drain, now);
        partitions.writes_to = Some(internal.clone());
        Self {
            partitions,
            internal,
            no_epochs: Coordinator::new(CheckpointSpec::default(), Vec::new(), 0, now, false),
            done: None,
        }
    }

    /// What is to be persisted.
    pub(super) fn record(&self) -> RekeyRecord {
        RekeyRecord {
            internal: self.internal.clone(),
            partitions: self.partitions.records(),
        }
    }

    pub(super) fn internal(&self) -> &Internal {
        &self.internal
    }

    /// Whether a message that names this partition is about this stage.
    pub(super) fn has(&self, name: Option<&proto::SourcePartition>) -> bool {
        name.is_some_and(|name| self.partitions.iter().any(|p| is_named(p, name)))
    }

    /// Its partitions, and what finds no states of them.
    pub(super) fn parts(&mut self) -> (&mut Partitions, &Coordinator) {
        (&mut self.partitions, &self.no_epochs)
    }

    /// Whether what was there when it began is committed.
    pub(super) fn is_level(&self) -> bool {
        self.partitions.iter().all(|p| {
            let committed = p.current_report().map(|r| r.position);
            p.goal.is_some() && committed >= p.goal
        })
    }

    /// What it has counted: of records that it wrote on, nothing, because the second stage counts those.
    pub(super) fn counters(&self) -> impl Iterator<Item = PartitionCounters> {
        let reports = self.partitions.iter().filter_map(Partition::known);
        let counted = reports.filter_map(|report| report.counters.clone());
        counted.map(|counters| PartitionCounters {
            events: 0,
            late: 0,
            bytes: 0,
            merges: 0,
            repaired: 0,
            without_counters: 0,
            time_unreadable: 0,
            recent: 0,
            ..counters
        })
    }

    /// Notes since when everything is read, if it is.
    pub(super) fn look(&mut self, now: Millis) {
        let read = |p: &Partition| p.current_report().is_some_and(has_read_all);
        let is_done = !self.partitions.is_empty() && self.partitions.iter().all(read);
        self.done = is_done.then(|| self.done.unwrap_or(now));
    }

    /// Whether everything was read before the ends of the internal topic were looked up: rule 4.
    pub(super) fn was_done(&self, probed: Option<Millis>) -> bool {
        let known = self.done.zip(probed);
        known.is_some_and(|(done, probed)| probed >= done)
    }
}

fn has_read_all(report: &PartitionReport) -> bool {
    let reads = report.state() != PartitionState::Restoring;
    reads && report.end_offset.is_some_and(|end| report.position >= end)
}

/// The stages of a job, for who looks at all partitions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stages<'a> {
    pub(super) first: Option<&'a FirstStage>,
    pub(super) second: &'a Partitions,
}

impl<'a> Stages<'a> {
    /// The partitions of both, those of the second stage first.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a Partition> {
        let first = self.first.into_iter().flat_map(|f| f.partitions.iter());
        self.second.iter().chain(first)
    }

    /// The partitions that read the input: it is measured by them.
    pub(super) fn input(self) -> impl Iterator<Item = &'a Partition> {
        self.first.map_or(self.second, |f| &f.partitions).iter()
    }

    /// All partitions, each with what has its states.
    pub(super) fn with_states(
        self,
        epochs: &'a Coordinator,
    ) -> impl Iterator<Item = (&'a Partition, Option<&'a Coordinator>)> {
        let first = self.first.into_iter().flat_map(|f| f.partitions.iter());
        let second = self.second.iter().map(move |p| (p, Some(epochs)));
        second.chain(first.map(|p| (p, None)))
    }
}

/// The fleet as one stage of a job sees it: the partitions of the other stage take something, too.
pub(super) fn beside<'a>(fleet: &'a Fleet, other: &BTreeMap<ExecutorId, Load>) -> Cow<'a, Fleet> {
    if other.is_empty() {
        return Cow::Borrowed(fleet);
    }
    let mut fleet = fleet.clone();
    for (executor, load) in other {
        if let Some(executor) = fleet.get_mut(executor) {
            executor.others = executor.others + *load;
        }
    }
    Cow::Owned(fleet)
}
