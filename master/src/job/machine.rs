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
use kol_common::proto::{JobStatus, Manifest, PartitionReport, RevokeMode};
use kol_common::{ExecutorId, KolError, Millis};

use super::discovery::Found;
use super::effect::{Effect, Event, Input};
use super::ends::Ends;
use super::epochs::{Epochs, JobParts, LastEpoch};
use super::fleet::Fleet;
use super::live::{Live, Look};
use super::load::Load;
use super::lookup::Lookup;
use super::measure::Measure;
use super::ownership::Partitions;
use super::partition::Partition;
use super::record::{End, JobRecord, Phase};
use super::settled::Settled;
use super::share::{Share, tick};
use super::status::{View, places};
use super::tenure::{Owned, Standing, Tenure};
use crate::cluster::Grace;

/// One job's machine: see the module.
#[derive(Debug)]
pub struct Job {
    /// Without its partitions and clock: those are in the parts.
    pub(super) record: JobRecord,
    pub(super) partitions: Partitions,
    measure: Measure,
    pub(super) epochs: Epochs,
    pub(super) lookup: Lookup,
    ends: Ends,
    live: Live,
    /// Redis refused a partition as older than a generation on record there; looked up next.
    pub(super) outranked: bool,
    tenure: Tenure,
    share: Share,
    settled: Settled,
    /// The wall clock at the newest step.
    wall: Millis,
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
        let mut measure = Measure::new(now, record.clock);
        if let Some(head) = checkpoints.last() {
            measure.resume(head);
        }
        Self {
            partitions: Partitions::restore(record.id.clone(), partitions, drain, now),
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
    }

    /// What is to be persisted.
    pub fn record(&self) -> JobRecord {
        JobRecord {
            clock: self.measure.clock(),
            partitions: self.partitions.records(),
            ..self.record.clone()
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
        self.partitions.held_by(executor)
    }

    /// What its partitions take of each executor, now or as soon as they are where they should be.
    pub fn loads(&self) -> BTreeMap<ExecutorId, Load> {
        self.partitions.loads()
    }

    /// Executors that have at least one partition.
    pub fn executors(&self) -> Vec<ExecutorId> {
        self.partitions.executors()
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
                let generation = self.record.generation;
                self.partitions
                    .connected(now, &executor, &running, generation, out);
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
            FromExecutor::Released(r) => self.partitions.released(now, executor, &r),
            FromExecutor::Prepared(p) => self.partitions.prepared(now, executor, &p),
            FromExecutor::PartitionFailed(failed) => {
                let site = fleet.get(executor).map(|e| e.site.clone());
                let failure = self.partitions.failed(now, executor, site, &failed, out);
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

    fn reported(
        &mut self,
        now: Millis,
        executor: &ExecutorId,
        report: PartitionReport,
        out: &mut Vec<Effect>,
    ) {
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

    /// A root that is not there is a problem of a job that runs, and its new partitions are taken all the same.
    fn discovered(
        &mut self,
        now: Millis,
        found: Result<Found, KolError>,
        absent: Option<KolError>,
        out: &mut Vec<Effect>,
    ) {
        let failure = match found {
            Ok(found) => {
                self.adopt(now, found, out);
                absent
            }
            Err(error) => {
                if self.record.phase == Phase::Starting && !error.retryable {
                    self.end(now, End::Failed, error.to_string(), out);
                }
                Some(error)
            }
        };
        let failed = failure.is_some();
        self.lookup.looked(now, &self.record.id, failure);
        if self.outranked && !failed {
            // That look began before.
            self.lookup.hurry(now);
        }
    }

    /// Takes over what was found; a job that starts runs from then on.
    fn adopt(&mut self, now: Millis, found: Found, out: &mut Vec<Effect>) {
        if !matches!(self.record.phase, Phase::Starting | Phase::Running) {
            return;
        }
        for partition in found.partitions {
            if self.partitions.add(now, partition) {
                out.push(Effect::Persist);
            }
        }
        if let (Phase::Running, Some(generation)) = (self.record.phase, found.generation) {
            self.raise(now, generation, out);
        }
        if self.record.phase == Phase::Starting {
            self.record.generation = found.generation.unwrap_or(self.record.generation);
            self.record.phase = Phase::Running;
            out.push(Effect::Persist);
            if let Some(state) = found.state {
                self.measure.resume(&state);
                self.partitions.begin_with(&state);
                let job = JobParts {
                    record: &mut self.record,
                    partitions: &self.partitions,
                    wall: self.wall,
                };
                self.epochs.inherit(now, job, *state, out);
            }
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

    /// What follows from how things are now, whatever happened.
    fn settle(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        match self.record.phase {
            Phase::Over(_) => return,
            Phase::Starting if self.record.follows.is_some() => {}
            Phase::Starting => self.lookup.tick(now, out),
            Phase::Running => {
                self.lookup.tick(now, out);
                self.partitions.take_from_the_lost(now, fleet, out);
                self.place(now, fleet, out);
            }
            Phase::Ending(end) => {
                self.partitions.take_from_the_lost(now, fleet, out);
                match self.epochs.last(now, &self.partitions, fleet) {
                    LastEpoch::Awaited => self.place(now, fleet, out),
                    LastEpoch::Settled => self.take_back_all(now, end, fleet, out),
                    LastEpoch::Missed(reason) => {
                        self.record.reason = reason;
                        self.take_back_all(now, end, fleet, out);
                    }
                }
            }
        }
        self.ends.tick(now, &self.partitions, fleet, out);
        if self.live.is_due(now) {
            let sink = &self.record.spec.sink;
            let known = (&self.partitions, &self.ends, self.epochs.coordinator());
            let look = Look::of(now, sink, known, fleet);
            self.live.look(now, &look);
        }
        self.share(now, fleet, out);
        let job = JobParts {
            record: &mut self.record,
            partitions: &self.partitions,
            wall: self.wall,
        };
        self.epochs.tick(now, job, fleet, out);
    }

    fn place(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        if self.settled.is(now, fleet) {
            return;
        }
        let epochs = self.epochs.coordinator();
        let places = places(&self.record, &self.partitions, epochs);
        let clocks = (now, self.wall);
        let orders = (self.partitions).place(clocks, fleet, epochs, &places, out);
        let tick = tick(&self.record, &self.partitions, &self.measure);
        orders.send(&self.record, tick.as_ref(), out);
        let all = self.partitions.are_placed();
        self.settled.placed(now, fleet, all);
    }

    fn take_back_all(&mut self, now: Millis, end: End, fleet: &Fleet, out: &mut Vec<Effect>) {
        let wanted = match end {
            End::Stopped => RevokeMode::Drain,
            End::Cancelled | End::Failed => RevokeMode::Now,
        };
        if !self.partitions.take_back_all(now, wanted, fleet, out) {
            return;
        }
        self.record.phase = Phase::Over(end);
        let undrained = self.partitions.undrained;
        let complete = self.epochs.coordinator().is_finished();
        if end == End::Stopped && undrained > 0 && !complete {
            self.record.reason = format!(
                "{undrained} of {} partitions did not confirm everything they had read before they \
                 ended: resume with submit --from-savepoint and this job, to bring Redis up to date",
                self.partitions.len()
            );
        }
        out.push(Effect::Persist);
    }

    /// Advances clock and market, and sends the executors what changed.
    fn share(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        let round = self.partitions.round();
        self.measure.advance(now, &self.record.spec.scoring, &round);
        if !self.record.shown && self.record.phase == Phase::Running {
            self.record.shown = self.partitions.iter().all(Partition::is_level);
            if self.record.shown {
                out.push(Effect::Persist);
            }
        }
        let tick = tick(&self.record, &self.partitions, &self.measure);
        self.share.send(now, tick, &self.partitions, fleet, out);
    }
}
