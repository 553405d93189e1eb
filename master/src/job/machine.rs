//! A job's life cycle: a machine.
//!
//! STARTING until topics, starting offsets and the generation are known (asked again with back-off
//! while they are not), then RUNNING: partitions are kept placed (see `ownership`), clock and market
//! are shared, and now and then the topics are looked at for new partitions. A person, or an error
//! that trying again cannot mend, ends it: partitions are taken back, then it is over.
//!
//! Rule for the driver: what [`Out::persist`] asks for is durable before any of [`Out::sends`] goes
//! out. So no executor ever runs under an epoch that the store does not know.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{ExecutorState, JobTick, Manifest, PartitionReport, RunningPartition};
use kol_common::{ExecutorId, Incarnation, KolError, Millis, SavepointId};

use super::discovery::Found;
use super::lineage::state_left;
use super::lookup::Lookup;
use super::measure::{Measure, Round};
use super::partition::{Hold, Partition};
use super::record::{End, JobRecord, PartitionRecord, Phase};
use crate::checkpoint::{Commit, Coordinator, News};

/// How long executors have, after this master was started again, to say what they run.
const CLAIM_GRACE: Duration = Duration::from_secs(6);
/// First and longest pause after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// Longest silence between two ticks.
const TICK_EVERY: Duration = Duration::from_secs(1);

/// An executor, as far as placement is concerned. Lost ones are not in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executor {
    /// Its life.
    pub incarnation: Incarnation,
    /// Whether it may be called, and given partitions.
    pub state: ExecutorState,
    /// Its host, for people.
    pub host: String,
    /// How many partitions of other jobs it has.
    pub others: usize,
}

impl Executor {
    /// A suspect executor is never called.
    pub fn callable(&self) -> bool {
        matches!(self.state, ExecutorState::Alive | ExecutorState::Leaving)
    }
}

/// All executors that are not lost.
pub type Fleet = BTreeMap<ExecutorId, Executor>;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// An executor opened a stream and said what it runs of this job.
    Connected(ExecutorId, Vec<RunningPartition>),
    /// An executor sent `Reports`, `Released` or `PartitionFailed` about this job.
    Said(ExecutorId, FromExecutor),
    /// What a look at Kafka and Redis found.
    Discovered(Result<Found, KolError>),
    /// It is to end: why, for a person, if there is more to say than that somebody asked.
    End(End, String),
    /// A person asks for a savepoint in this folder.
    Savepoint(SavepointId, String),
    /// The job that it follows is over.
    Succeed,
    /// Time passed, or the fleet changed.
    Tick,
}

/// What is to be done, in this order.
#[derive(Debug, Default)]
pub struct Out {
    /// The record changed: make it durable first.
    pub persist: bool,
    /// An epoch is complete: make it durable as well.
    pub commit: Option<Commit>,
    /// Then tell executors.
    pub sends: Vec<(ExecutorId, ToExecutor)>,
    /// Look at Kafka and Redis, and answer with [`Event::Discovered`].
    pub discover: bool,
    /// What an operator should read about the checkpoints.
    pub news: Option<News>,
    /// State files to delete, once what is to be durable is.
    pub garbage: Vec<String>,
    /// Savepoints that only lack their manifest file, and those that came to nothing.
    pub savepoints: Vec<(SavepointId, Result<Manifest, KolError>)>,
}

/// One job.
#[derive(Debug)]
pub struct Job {
    pub(super) record: JobRecord,
    pub(super) partitions: Vec<Partition>,
    pub(super) measure: Measure,
    pub(super) epochs: Coordinator,
    pub(super) drain: Duration,
    /// The last look at Kafka and Redis failed.
    pub(super) discovery_problem: Option<KolError>,
    /// Partitions that did not confirm everything when the job ended.
    pub(super) undrained: u64,
    /// While it stops: how long its last epoch may take.
    pub(super) finishing: Option<Millis>,
    pub(super) discovery: Lookup,
    told: Option<(Millis, JobTick)>,
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
        let until = Millis(now.0 + Millis::from(CLAIM_GRACE).0);
        let restore = |p: PartitionRecord| Partition::restore(p, now, until);
        let partitions = record.partitions.drain(..).map(restore).collect();
        let mut measure = Measure::new(now, record.clock);
        if let Some(head) = checkpoints.last() {
            measure.resume(head);
        }
        let limits = record.spec.checkpoint.clone();
        let mut epochs = Coordinator::new(limits, checkpoints, record.epochs_reserved, now);
        let stops = record.phase == Phase::Ending(End::Stopped);
        if stops {
            epochs.finish(now);
        }
        Self {
            measure,
            epochs,
            record,
            partitions,
            drain,
            discovery_problem: None,
            undrained: 0,
            finishing: stops.then(|| Millis(now.0 + Millis::from(drain).0)),
            discovery: Lookup::At(now, 0),
            told: None,
        }
    }

    /// What is to be persisted.
    pub fn record(&self) -> JobRecord {
        JobRecord {
            clock: self.measure.clock(),
            partitions: self.partitions.iter().map(|p| p.record.clone()).collect(),
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

    /// The state that it left, in an epoch that is kept or in its last one.
    pub fn state_left(&self, epoch: Option<u64>) -> Option<Manifest> {
        let manifest = match epoch {
            Some(epoch) => Some(self.checkpoints().find(|m| m.epoch == epoch)?.clone()),
            None => self.last_usable(),
        };
        let records: Vec<_> = self.partitions.iter().map(|p| p.record.clone()).collect();
        Some(state_left(&self.record.spec, &records, manifest.as_ref()))
    }

    /// The last epoch; where the state of a partition is known to be damaged, with the newest before it
    /// that is not, if there is one: the log has what came after that.
    fn last_usable(&self) -> Option<Manifest> {
        let mut manifest = self.epochs.head()?.clone();
        for part in &mut manifest.partitions {
            if let Some((_, usable)) = self.epochs.checkpoint_of(part.slot) {
                *part = usable.clone();
            }
        }
        Some(manifest)
    }

    /// How many partitions an executor has of this job.
    pub fn held_by(&self, executor: &ExecutorId) -> usize {
        let mine = |p: &&Partition| p.hold.executor() == Some(executor);
        self.partitions.iter().filter(mine).count()
    }

    /// Executors that have at least one partition.
    pub fn executors(&self) -> Vec<ExecutorId> {
        let mut all: Vec<_> = self
            .partitions
            .iter()
            .filter_map(|p| p.hold.executor().cloned())
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// One step.
    pub fn handle(&mut self, now: Millis, event: Event, fleet: &Fleet, out: &mut Out) {
        match event {
            Event::Connected(executor, running) => self.connected(now, &executor, &running, out),
            Event::Said(executor, FromExecutor::Reports(r)) => {
                for report in r.reports {
                    self.reported(now, &executor, report);
                }
            }
            Event::Said(executor, FromExecutor::Released(r)) => self.released(now, &executor, &r),
            Event::Said(executor, FromExecutor::PartitionFailed(f)) => {
                self.partition_failed(now, &executor, &f, out);
            }
            Event::Said(executor, FromExecutor::BarrierAck(ack)) => {
                self.barrier_acked(now, &executor, *ack, out);
            }
            Event::Said(executor, FromExecutor::BarrierFailed(failed)) => {
                self.barrier_failed(now, &executor, failed);
            }
            Event::Said(..) => {}
            Event::Discovered(found) => self.discovered(now, found, out),
            Event::End(end, why) => self.end(now, end, why, out),
            Event::Savepoint(id, folder) => self.savepoint(now, id, folder, out),
            Event::Succeed => {
                self.record.follows = None;
                out.persist = true;
            }
            Event::Tick => {}
        }
        self.settle(now, fleet, out);
    }

    /// What follows from where things stand, whatever happened.
    fn settle(&mut self, now: Millis, fleet: &Fleet, out: &mut Out) {
        match self.record.phase {
            Phase::Over(_) => return,
            Phase::Starting if self.record.follows.is_some() => {}
            Phase::Starting => self.look_up(now, out),
            Phase::Running => {
                self.look_up(now, out);
                self.take_from_the_lost(now, fleet, out);
                self.place(now, fleet, out);
            }
            Phase::Ending(end) => {
                self.take_from_the_lost(now, fleet, out);
                if self.finishes(now, fleet) {
                    self.place(now, fleet, out);
                } else {
                    self.take_back_all(now, end, fleet, out);
                }
            }
        }
        self.share(now, fleet, out);
        self.checkpoint(now, fleet, out);
    }

    /// The committed epochs that are kept, newest first.
    pub fn checkpoints(&self) -> impl Iterator<Item = &Manifest> {
        self.epochs.kept()
    }

    /// Starts the end. A cancellation overtakes a stop; nothing overtakes a failure.
    pub(super) fn end(&mut self, now: Millis, end: End, reason: String, out: &mut Out) {
        let overtakes = match self.record.phase {
            Phase::Starting | Phase::Running => true,
            Phase::Ending(End::Stopped) => end == End::Cancelled,
            Phase::Ending(_) | Phase::Over(_) => false,
        };
        if overtakes {
            self.record.phase = Phase::Ending(end);
            self.record.reason = reason;
            self.undrained = 0;
            self.finishing = None;
            if end == End::Stopped {
                self.finishing = Some(Millis(now.0 + Millis::from(self.drain).0));
                self.epochs.finish(now);
            }
            out.persist = true;
        }
    }

    fn reported(&mut self, now: Millis, executor: &ExecutorId, report: PartitionReport) {
        let Some(partition) = self.partitions.iter_mut().find(|p| {
            report.partition.as_ref().is_some_and(|r| {
                r.partition == p.record.partition.partition && r.topic == p.record.partition.topic
            })
        }) else {
            return;
        };
        let current = report.assignment_epoch == partition.record.epoch
            && partition.hold.executor() == Some(executor)
            && !matches!(partition.hold, Hold::Awaited { .. });
        if current {
            let (slot, scoring) = (partition.record.slot, &self.record.spec.scoring);
            self.measure.reported(now, slot, &report, scoring);
            partition.goal = partition.goal.or(report.end_offset);
            partition.report = Some(report);
            partition.received = now;
            partition.failure = None;
        }
    }

    /// The newest report of each slot's current assignment.
    pub(super) fn round(&self) -> Round<'_> {
        let of = |p: &'_ Partition| p.record.slot;
        self.partitions
            .iter()
            .map(|p| (of(p), p.current_report()))
            .collect()
    }

    /// Moves clock and market on, and tells the executors what changed.
    fn share(&mut self, now: Millis, fleet: &Fleet, out: &mut Out) {
        let mut measure = std::mem::take(&mut self.measure);
        measure.advance(now, &self.record.spec.scoring, &self.round());
        self.measure = measure;
        if !self.record.live && self.record.phase == Phase::Running {
            self.record.live = self.partitions.iter().all(Partition::is_level);
            out.persist |= self.record.live;
        }
        let Some(tick) = self.tick() else {
            return;
        };
        let due = self
            .told
            .as_ref()
            .is_none_or(|(at, told)| *told != tick || now.since(*at) >= Millis::from(TICK_EVERY));
        if !due {
            return;
        }
        for executor in self.executors() {
            if fleet.get(&executor).is_some_and(Executor::callable) {
                out.sends.push((executor, ToExecutor::Tick(tick.clone())));
            }
        }
        self.told = Some((now, tick));
    }

    /// What all partitions share; `None` before the first event. After a restart of this master the
    /// market is not known until all have reported at the job's clock: so they must be told that first.
    pub(super) fn tick(&self) -> Option<JobTick> {
        let clock = self.measure.clock()?;
        let (market_version, market) = if self.measure.is_known() {
            (self.measure.version(), self.measure.market_wire())
        } else {
            (0, Vec::new())
        };
        Some(JobTick {
            job_id: self.record.id.to_string(),
            generation: self.record.generation,
            clock_ms: Some(clock.0),
            newest_event_ms: self.measure.newest_event().map(|t| t.0),
            market_version,
            market,
            live: self.record.live,
        })
    }

    /// How long to wait after `failures` failures: doubled each time, between half and whole of it.
    /// `salt` tells apart what should not come back at the same moment.
    pub(super) fn pause(&self, failures: u32, salt: u64) -> Millis {
        let (first, longest) = (Millis::from(RETRY.0).0, Millis::from(RETRY.1).0);
        let whole = first.saturating_mul(1 << failures.min(10)).min(longest);
        Millis(whole / 2 + spread(self.record.id.as_str(), salt) % (whole / 2 + 1))
    }
}

/// A number that looks random and follows from its input (FNV-1a): machines have no other chance.
fn spread(text: &str, salt: u64) -> u64 {
    let bytes = text.bytes().chain(salt.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
