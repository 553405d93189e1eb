//! A job's life cycle: a machine (its shape: see the crate).
//!
//! STARTING until topics, starting offsets and the generation are known (looked up again with back-off
//! while they are not), then RUNNING: partitions are kept placed (see `ownership`), clock and market
//! are shared, and now and then the topics are looked at for new partitions. A person, or an error
//! that trying again cannot repair, ends it: partitions are taken back, then it is over.
//!
//! What follows from a partition that failed: see `failures`; the state that it has for others: see `left`.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{self, JobStatus, Manifest, PartitionReport, RunningPartition};
use kol_common::{ExecutorId, KolError, Millis};

use super::effect::{Effect, Event, Input};
use super::ends::Ends;
use super::epochs::{Epochs, JobParts};
use super::fleet::Fleet;
use super::live::Live;
use super::load::Load;
use super::lookup::Lookup;
use super::measure::Measure;
use super::ownership::Partitions;
use super::record::{End, Internal, JobRecord, Phase, RekeyRecord};
use super::rekeying::{FirstStage, Stages};
use super::settled::Settled;
use super::share::Share;
use super::status::View;
use super::tenure::{Owned, Standing, Tenure};
use crate::cluster::Grace;

/// One job's machine: see the module.
#[derive(Debug)]
pub struct Job {
    /// Without its partitions and clock: those are in the parts.
    pub(super) record: JobRecord,
    pub(super) partitions: Partitions,
    /// The stage before, if it re-keys its input, once the internal topic is known.
    pub(super) first: Option<FirstStage>,
    pub(super) measure: Measure,
    pub(super) epochs: Epochs,
    pub(super) lookup: Lookup,
    pub(super) ends: Ends,
    pub(super) live: Live,
    /// Redis refused a partition as older than a generation on record there; looked up next.
    pub(super) outranked: bool,
    pub(super) tenure: Tenure,
    pub(super) share: Share,
    pub(super) settled: Settled,
    /// The wall clock at the newest step.
    pub(super) wall: Millis,
}

impl Job {
    /// A job as it was submitted, or as the store has it, with its committed epochs, oldest first.
    /// `drain` is how long a partition may take to finish when it is taken back.
    pub fn new(
        mut record: JobRecord,
        checkpoints: Vec<Manifest>,
        now: Millis,
        drain: Duration,
    ) -> Self {
        record.upgrade();
        let partitions = std::mem::take(&mut record.partitions);
        let first = record.rekeying.take();
        let first = first.map(|first| FirstStage::restore(record.id.clone(), first, drain, now));
        let mut measure = Measure::new(now, record.clock);
        if let Some(head) = checkpoints.last() {
            measure.resume(head);
        }
        let mut partitions = Partitions::restore(record.id.clone(), partitions, drain, now);
        if record.spec.rekey().is_some() {
            partitions.goals_from = None;
        }
        Self {
            partitions,
            first,
            measure,
            epochs: Epochs::new(&record, checkpoints, drain, now),
            lookup: Lookup::new(now),
            ends: Ends::new(now),
            live: Live::default(),
            outranked: false,
            tenure: Tenure::default(),
            share: Share::default(),
            settled: Settled::default(),
            wall: now,
            record,
        }
    }

    /// This master begins to lead: owners on record have as long as that to say what they run.
    pub fn await_owners(&mut self, now: Millis, grace: &Grace) {
        self.partitions.await_owners(now, grace);
        if let Some(first) = &mut self.first {
            first.partitions.await_owners(now, grace);
        }
    }

    /// What is to be persisted.
    pub fn record(&self) -> JobRecord {
        JobRecord {
            clock: self.measure.clock(),
            partitions: self.partitions.records(),
            rekeying: self.rekeying(),
            ..self.record.clone()
        }
    }

    /// What is to be persisted of its first stage.
    pub fn rekeying(&self) -> Option<RekeyRecord> {
        self.first.as_ref().map(FirstStage::record)
    }

    /// The internal topic, once it is known.
    pub fn internal(&self) -> Option<&Internal> {
        self.first.as_ref().map(FirstStage::internal)
    }

    fn stages(&self) -> Stages<'_> {
        Stages {
            first: self.first.as_ref(),
            second: &self.partitions,
        }
    }

    /// The stage that a message about this partition is for.
    fn stage_of(&mut self, name: Option<&proto::SourcePartition>) -> &mut Partitions {
        match &mut self.first {
            Some(first) if first.has(name) => &mut first.partitions,
            _ => &mut self.partitions,
        }
    }

    /// The record without its partitions.
    pub fn header(&self) -> &JobRecord {
        &self.record
    }

    /// Whether it ever got as far as reading.
    pub fn has_read(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// How many partitions an executor has of this job.
    pub fn held_by(&self, executor: &ExecutorId) -> usize {
        let stages = self.stages();
        let first = stages.first.map_or(0, |f| f.partitions.held_by(executor));
        first + self.partitions.held_by(executor)
    }

    /// What its partitions take of each executor, now or as soon as they are where they should be.
    pub fn loads(&self) -> BTreeMap<ExecutorId, Load> {
        let mut loads = self.partitions.loads();
        let first = self.first.as_ref().map(|f| f.partitions.loads());
        for (executor, load) in first.unwrap_or_default() {
            let sum = loads.entry(executor).or_default();
            *sum = *sum + load;
        }
        loads
    }

    /// Executors that have at least one partition.
    pub fn executors(&self) -> Vec<ExecutorId> {
        let first = self.first.as_ref().map(|f| f.partitions.executors());
        let mut all = [self.partitions.executors(), first.unwrap_or_default()].concat();
        all.sort();
        all.dedup();
        all
    }

    /// Why no savepoint can be requested now, if none can.
    pub fn savepoint_refusal(&self) -> Option<KolError> {
        self.epochs.refusal(&self.record)
    }

    /// When Redis confirmed last that the job owns its keys, by the clock of Redis; 0 if it did not since this
    /// master started.
    pub fn ownership_confirmed(&self) -> Millis {
        self.tenure.confirmed()
    }

    /// Everything there is to see, with one entry for each partition.
    pub fn status(&self, now: Millis, fleet: &Fleet) -> JobStatus {
        let view = View {
            record: &self.record,
            partitions: &self.partitions,
            first: self.first.as_ref(),
            measure: &self.measure,
            epochs: self.epochs.coordinator(),
            lookup_problem: self.lookup.problem(),
            tenure_problem: self.tenure.problem(),
            ends: &self.ends,
            live: self.live.is(),
            fleet,
        };
        JobStatus {
            spec_json: self.record.spec_json(),
            ..view.status(now)
        }
    }

    /// Takes what happened at `now`, and adds what is to be done to `out`, in its order.
    pub fn handle(&mut self, now: Millis, input: Input<'_>, out: &mut Vec<Effect>) {
        let Input { event, fleet, wall } = input;
        let has_news = event.has_news();
        if event.is_of_placing() {
            self.settled.stir();
        }
        self.wall = wall;
        match event {
            Event::Connected(executor, running) => {
                self.connected(now, &executor, running, out);
            }
            Event::Received(executor, body) => self.received(now, &executor, body, fleet, out),
            Event::Owned(owned) => self.owned(now, owned, out),
            Event::Discovered(found, absent) => self.discovered(now, found, absent, out),
            Event::Ends(found) => self.ends.looked(now, &self.record.id, found),
            Event::End(end, why) => self.end(now, end, why, out),
            Event::Savepoint(id, folder) => {
                let job = JobParts {
                    record: &mut self.record,
                    partitions: &self.partitions,
                    wall: self.wall,
                };
                self.epochs.savepoint(now, job, id, folder, out);
            }
            Event::PredecessorEnded(next) => {
                self.record.follows = next;
                out.push(Effect::Persist);
            }
            Event::Tick => {}
        }
        if has_news {
            self.settle(now, fleet, out);
        }
    }

    fn received(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        body: FromExecutor,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) {
        let job = JobParts {
            record: &mut self.record,
            partitions: &self.partitions,
            wall: self.wall,
        };
        match body {
            FromExecutor::Reports(reports) => {
                if let Some(others) = reports.unchanged {
                    let age = others.end_age_ms;
                    for ordinal in self.partitions.unchanged(now, executor, age) {
                        self.measure.unchanged(ordinal);
                    }
                }
                for report in reports.reports {
                    self.reported(now, executor, report, out);
                }
            }
            FromExecutor::Released(r) => {
                let stage = self.stage_of(r.partition.as_ref());
                stage.released(now, executor, &r);
            }
            FromExecutor::Prepared(p) => self.partitions.prepared(now, executor, &p),
            FromExecutor::PartitionFailed(failed) => {
                let site = fleet.get(executor).map(|e| e.site.clone());
                let stage = self.stage_of(failed.partition.as_ref());
                let failure = stage.failed(now, executor, site, &failed, out);
                self.partition_failed(now, failure, out);
            }
            FromExecutor::BarrierAck(ack) => {
                let measure = &self.measure;
                self.epochs
                    .acknowledged(now, executor, *ack, job, measure, out);
            }
            FromExecutor::BarrierFailed(failed) => {
                self.epochs.failed(now, executor, failed, job, out);
            }
            FromExecutor::Register(_)
            | FromExecutor::Heartbeat(_)
            | FromExecutor::Leaving(_)
            | FromExecutor::UnseenRoots(_)
            | FromExecutor::ExplainReply(_) => {}
        }
    }

    fn connected(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        running: Vec<RunningPartition>,
        out: &mut Vec<Effect>,
    ) {
        let generation = self.record.generation;
        let is_first = |claim: &RunningPartition| {
            let first = self.first.as_ref();
            first.is_some_and(|first| first.has(claim.partition.as_ref()))
        };
        let (first, second): (Vec<_>, Vec<_>) = running.into_iter().partition(is_first);
        self.partitions
            .connected(now, executor, &second, generation, out);
        if let Some(stage) = &mut self.first {
            stage
                .partitions
                .connected(now, executor, &first, generation, out);
        }
    }

    fn reported(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        report: PartitionReport,
        out: &mut Vec<Effect>,
    ) {
        if let Some(first) = &mut self.first
            && first.has(report.partition.as_ref())
        {
            // What it reads is not scored.
            let _current = first.partitions.reported(now, executor, report, out);
            return;
        }
        let current = self.partitions.reported(now, executor, report, out);
        let Some(partition) = current else {
            return;
        };
        if let Some(report) = &partition.report {
            let (ordinal, scoring) = (partition.record.ordinal, &self.record.spec.scoring);
            self.measure.reported(now, ordinal, report, scoring);
        }
    }

    /// A job whose keys another one has ends; it does not compete for them.
    fn owned(&mut self, now: Millis, owned: Result<Owned, KolError>, out: &mut Vec<Effect>) {
        match self.tenure.looked(owned) {
            Standing::Kept(displaced) => {
                if self.record.take_over || !displaced.is_empty() {
                    self.record.take_over = false;
                    self.record.warnings.extend(displaced);
                    out.push(Effect::Persist);
                }
            }
            Standing::Lost(why) => self.end(now, End::Failed, why.to_string(), out),
            Standing::Unknown => {}
        }
    }

    /// Starts the end. A cancellation overtakes a stop; nothing overtakes a failure.
    pub(super) fn end(&mut self, now: Millis, end: End, reason: String, out: &mut Vec<Effect>) {
        let overtakes = match self.record.phase {
            Phase::Starting | Phase::Running => true,
            Phase::Ending(End::Stopped) => end == End::Cancelled,
            Phase::Ending(_) | Phase::Over(_) => false,
        };
        if !overtakes {
            return;
        }
        self.record.phase = Phase::Ending(end);
        self.record.reason = reason;
        self.partitions.undrained = 0;
        if end == End::Stopped {
            let job = JobParts {
                record: &mut self.record,
                partitions: &self.partitions,
                wall: self.wall,
            };
            self.epochs.finish(now, job, out);
        } else {
            self.epochs.abandon();
        }
        out.push(Effect::Persist);
    }
}
