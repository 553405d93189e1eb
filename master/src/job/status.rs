//! What people see of a job.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::proto::{
    self, AheadEvent, ErrorInfo, JobState, Lack, PartitionCounters, PartitionReport, PartitionState,
};
use kol_common::{ExecutorId, KolError, Millis};

use super::caught_up::{caught_up, ends_probed};
use super::ends::{Ends, is_served};
use super::fleet::Fleet;
use super::hot::hot_partitions;
use super::measure::Measure;
use super::overlap::Overlap;
use super::ownership::Partitions;
use super::partition::Partition;
use super::placement::Plan;
use super::places::places;
use super::placing::explain;
use super::record::{End, JobRecord, Phase};
use super::rekeying::{FirstStage, Stages, beside};
use super::spellings::differ_by_case;
use super::warnings::{lost_tails, warnings};
use crate::checkpoint::Coordinator;

/// The parts of a job that its status shows.
pub(super) struct View<'a> {
    pub(super) record: &'a JobRecord,
    pub(super) partitions: &'a Partitions,
    /// The stage before, if it re-keys its input.
    pub(super) first: Option<&'a FirstStage>,
    pub(super) measure: &'a Measure,
    pub(super) epochs: &'a Coordinator,
    /// Why the last look at Kafka and Redis failed.
    pub(super) lookup_problem: Option<&'a KolError>,
    /// What the last look at the owner records and at Redis itself found wrong.
    pub(super) tenure_problem: Option<&'a KolError>,
    /// Whether it keeps up with its input.
    pub(super) live: bool,
    /// Where logs end.
    pub(super) ends: &'a Ends,
    pub(super) fleet: &'a Fleet,
}

impl View<'_> {
    /// Everything but the spec.
    pub(super) fn status(&self, now: Millis) -> proto::JobStatus {
        let round = self.partitions.round();
        let scoring = &self.record.spec.scoring;
        let totals = self.totals();
        let problems = self.problems();
        let received = |ordinal: u32| self.partitions.get(ordinal).map(|p| p.received);
        let running: BTreeSet<_> = self
            .stages()
            .iter()
            .filter_map(|p| p.hold.executor())
            .filter(|id| self.fleet.contains_key(*id))
            .collect();
        let (state, reason) = self.state(&problems);
        let mut all_warnings = self.record.warnings.clone();
        if !self.record.shown && self.record.phase == Phase::Running {
            all_warnings.push(format!(
                "rankings that were there before generation {} stay until it has caught up",
                self.record.generation
            ));
        }
        all_warnings.extend(lost_tails(self.stages().iter().map(|p| &p.record)));
        // What an owner reported that no longer answers may have become wrong.
        let served = self.unserved().is_none();
        let probed = ends_probed(&round, received);
        let fed = self.first.is_none_or(|first| first.was_done(probed));
        let caught_up = served && fed && caught_up(self.measure, scoring, &round);
        let overlap = Overlap::of(self.reports(), scoring.window);
        let spec = &self.record.spec;
        all_warnings.extend(warnings(spec, &totals, &overlap, self.reports()));
        all_warnings.extend(hot_partitions(self.reports()));
        all_warnings.extend(differ_by_case(self.reports()));
        proto::JobStatus {
            job_id: self.record.id.to_string(),
            name: self.record.spec.name.clone(),
            state: state as i32,
            reason,
            generation: self.record.generation,
            submitted_ms: self.record.submitted.0,
            partitions: self.entries(now),
            partition_count: self.stages().iter().count() as u64,
            executors: running.len() as u64,
            lag_records: self.lag(now),
            staleness_ms: self.reports().map(|r| r.staleness_ms).max().unwrap_or(0),
            totals: Some(totals),
            caught_up,
            live: served && self.is_live(now, caught_up),
            clock_ms: self.measure.clock().map(|t| t.0),
            window_end_ms: self.measure.window_end(scoring).map(|t| t.0),
            market: self.measure.market_wire(),
            ends_probed_ms: probed.map(|t| t.0),
            now_ms: now.0,
            wall_ms: 0,
            problems,
            warnings: all_warnings,
            spec_json: String::new(),
            kols: self.counted().map(|(_, kols)| kols).sum(),
            state_bytes: self.reports().map(|r| r.state_bytes).sum(),
            newest_event_ms: self.measure.newest_event().map(|t| t.0),
            checkpoint: Some(self.epochs.status()),
            origin: self.record.origin.to_string(),
            videos_compared: overlap.compared,
            videos_split: overlap.split,
            rekeying: self.first.map(|first| self.rekeying(now, first)),
            // The controller knows it.
            scaling: None,
        }
    }

    /// Of one whose partitions have owners. A log whose end nobody has seen for long may have grown, whatever was read of it.
    fn is_live(&self, now: Millis, caught_up: bool) -> bool {
        let nothing_left = caught_up && self.lag(now).is_some();
        (self.live || nothing_left) && self.record.is_live()
    }

    pub(super) fn stages(&self) -> Stages<'_> {
        Stages {
            first: self.first,
            second: self.partitions,
        }
    }

    fn rekeying(&self, now: Millis, first: &FirstStage) -> proto::RekeyStatus {
        let internal = first.internal();
        let lags = first.partitions.iter().map(|p| self.lag_of(now, p, None));
        proto::RekeyStatus {
            topic: internal.topic.clone(),
            topic_id: internal.id.to_string(),
            lag_records: lags.sum(),
        }
    }

    /// Of both stages, those of the second one first.
    fn entries(&self, now: Millis) -> Vec<proto::PartitionStatus> {
        let places = places(self.record, self.partitions, self.epochs);
        let first = self.first.map(|first| &first.partitions);
        let loads = first.map(Partitions::loads).unwrap_or_default();
        let fleet = beside(self.fleet, &loads);
        let plan = self.partitions.plan(now, &fleet, &places);
        let mut all = self.entries_of(now, self.partitions, Some(self.epochs), &plan);
        if let Some(first) = first {
            let fleet = beside(self.fleet, &self.partitions.loads());
            let plan = first.plan(now, &fleet, &[]);
            let entries = self.entries_of(now, first, None, &plan).into_iter();
            all.extend(entries.map(|entry| proto::PartitionStatus {
                first_stage: true,
                ..entry
            }));
        }
        all
    }

    fn entries_of(
        &self,
        now: Millis,
        partitions: &Partitions,
        epochs: Option<&Coordinator>,
        plan: &Plan,
    ) -> Vec<proto::PartitionStatus> {
        let runs = self.record.phase == Phase::Running;
        let all = partitions.iter().map(|p| {
            let next = partitions.moving_to(p).filter(|_| runs);
            proto::PartitionStatus {
                state: self.partition_state(p) as i32,
                end_offset: self.ends.end(now, p).map(|(_, end)| end),
                lag_records: self.lag_of(now, p, epochs),
                ..entry(p, next, self.fleet, plan)
            }
        });
        all.collect()
    }

    /// What no executor that answers has waits, whatever was reported of it last.
    fn partition_state(&self, partition: &Partition) -> PartitionState {
        if matches!(self.record.phase, Phase::Over(_)) {
            PartitionState::Over
        } else if !is_served(partition, self.fleet) {
            PartitionState::Waiting
        } else {
            let report = partition.current_report();
            report.map_or(PartitionState::Unspecified, PartitionReport::state)
        }
    }

    /// Of all partitions; `None` where that of one is not known.
    fn lag(&self, now: Millis) -> Option<u64> {
        if self.partitions.is_empty() {
            return None;
        }
        let all = self.stages().with_states(self.epochs);
        all.map(|(p, epochs)| self.lag_of(now, p, epochs)).sum()
    }

    /// Nothing is read for a job that is over.
    fn lag_of(
        &self,
        now: Millis,
        partition: &Partition,
        epochs: Option<&Coordinator>,
    ) -> Option<u64> {
        let over = matches!(self.record.phase, Phase::Over(_));
        self.ends.lag(now, partition, epochs).filter(|_| !over)
    }

    fn reports(&self) -> impl Iterator<Item = &PartitionReport> {
        self.partitions.iter().filter_map(|p| p.report.as_ref())
    }

    /// Counters and KOLs of each partition: as its owner reports them, or without an owner and while that one restores,
    /// as they were in the last epoch.
    fn counted(&self) -> impl Iterator<Item = (Option<PartitionCounters>, u64)> {
        self.partitions.iter().filter_map(|p| match p.known() {
            Some(report) => Some((report.counters.clone(), report.kols)),
            None => {
                let (_, checkpoint) = self.epochs.usable(p.record.ordinal).next()?;
                Some((checkpoint.counters.clone(), checkpoint.kols))
            }
        })
    }

    fn totals(&self) -> PartitionCounters {
        let counters = self.counted().filter_map(|(counters, _)| counters);
        let none = PartitionCounters {
            truncated: self
                .partitions
                .iter()
                .map(|p| p.record.cuts.records())
                .sum(),
            ..PartitionCounters::default()
        };
        let first = self.first.into_iter().flat_map(FirstStage::counters);
        counters
            .chain(first)
            .fold(none, |sum, c| PartitionCounters {
                events: sum.events + c.events,
                late: sum.late + c.late,
                dead_letter: sum.dead_letter + c.dead_letter,
                lost: sum.lost + c.lost,
                bytes: sum.bytes + c.bytes,
                merges: sum.merges + c.merges,
                repaired: sum.repaired + c.repaired,
                new_logs: sum.new_logs + c.new_logs,
                rejected: added(sum.rejected, c.rejected),
                time_unreadable: sum.time_unreadable + c.time_unreadable,
                without_counters: sum.without_counters + c.without_counters,
                last_ahead: newest(sum.last_ahead, c.last_ahead),
                truncated: sum.truncated,
                recent: sum.recent + c.recent,
                lacks: joined(sum.lacks, c.lacks),
                dead_letters_written: sum.dead_letters_written + c.dead_letters_written,
            })
    }

    fn state(&self, problems: &[ErrorInfo]) -> (JobState, String) {
        let first = problems.first().map(|p| p.message.clone());
        let why = self.record.reason.clone();
        match self.record.phase {
            Phase::Starting => {
                let waits = self.record.follows.as_ref();
                let waits = waits.map(|before| format!("it begins when {} has ended", before.id));
                (
                    JobState::Starting,
                    waits.or(first).unwrap_or_else(|| self.first_look()),
                )
            }
            Phase::Running => match first {
                Some(problem) => (JobState::Degraded, problem),
                None => (JobState::Running, String::new()),
            },
            Phase::Ending(End::Failed) | Phase::Over(End::Failed) => (JobState::Failed, why),
            Phase::Ending(_) => (JobState::Stopping, first.unwrap_or(why)),
            Phase::Over(End::Stopped) => (JobState::Stopped, why),
            Phase::Over(End::Cancelled) => (JobState::Cancelled, why),
        }
    }

    /// What a job does before its first look has ended, which waits for servers that do not answer.
    fn first_look(&self) -> String {
        let kafka = &self.record.spec.source.kafka().bootstrap;
        format!("it looks up its topics in Kafka ({kafka}) and its keys in Redis")
    }
}

fn newest(one: Option<AheadEvent>, other: Option<AheadEvent>) -> Option<AheadEvent> {
    let both = one.into_iter().chain(other);
    both.max_by_key(|event| event.present_ms)
}

fn added(mut sum: BTreeMap<String, u64>, more: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    for (reason, count) in more {
        *sum.entry(reason).or_default() += count;
    }
    sum
}

fn joined(mut sum: BTreeMap<String, Lack>, more: BTreeMap<String, Lack>) -> BTreeMap<String, Lack> {
    for (reason, lack) in more {
        let known = sum.get(&reason).map_or(0, |known| known.count);
        let count = known + lack.count;
        sum.insert(reason, Lack { count, ..lack });
    }
    sum
}

/// `next` is the executor that it is moving to.
fn entry(
    partition: &Partition,
    next: Option<&ExecutorId>,
    fleet: &Fleet,
    plan: &Plan,
) -> proto::PartitionStatus {
    let owner = partition.hold.executor();
    let host = owner
        .and_then(|id| fleet.get(id))
        .map(|e| e.site.host.clone());
    let last = partition.record.last.clone();
    let (last_executor_id, last_host) = last.map_or_else(Default::default, |last| {
        (last.executor.to_string(), last.host)
    });
    proto::PartitionStatus {
        partition: Some((&partition.record.partition).into()),
        last_executor_id,
        last_host,
        executor_id: owner.map(ToString::to_string).unwrap_or_default(),
        host: host.unwrap_or_default(),
        start_offset: partition.record.start_offset,
        report: partition.report.clone(),
        placement: explain(partition, plan),
        moving_to: next.map(ToString::to_string),
        paused_ms: partition.pauses.last().map(|paused| paused.0),
        ..proto::PartitionStatus::default()
    }
}
