//! What a partition says of itself: to the master, and in its checkpoints.

use std::time::Duration;

use kol_common::checkpoint::NO_ROOM;
use kol_common::proto::{
    self, Barrier, ErrorInfo, PartitionCheckpoint, PartitionReport, PartitionState,
};
use kol_common::{KolError, Millis};

use super::delivery::Outbox;
use super::message::Assignment;
use super::reader::Reader;
use super::stage::Intake;
use crate::memory::Memory;

/// Problems of one report besides the first.
const MORE_PROBLEMS: usize = 4;

/// The parts that a report is of.
pub(super) struct Parts<'a> {
    pub(super) assignment: &'a Assignment,
    pub(super) memory: &'a Memory,
    pub(super) reader: &'a Reader,
    pub(super) intake: &'a Intake,
    pub(super) outbox: &'a Outbox,
    /// Why nothing is read, now or a moment ago, if memory is full.
    pub(super) full: Option<&'a KolError>,
    /// Why the state cannot be restored now, if so.
    pub(super) restore_problem: Option<&'a KolError>,
}

/// The report of now; `stall` is the longest time without records lately.
pub(super) fn report(parts: &Parts<'_>, stall: Duration) -> PartitionReport {
    let &Parts {
        assignment,
        reader,
        intake,
        outbox,
        ..
    } = parts;
    let state = intake.state();
    let end = reader.end();
    let (market_at, market) = state.market();
    let (kols, entities, bytes) = state.size();
    let platforms = state.platforms().iter().zip(market);
    let mut problems = problems(parts);
    PartitionReport {
        job_id: assignment.job.as_str().to_owned(),
        job_name: assignment.spec.name.clone(),
        partition: Some((&assignment.partition).into()),
        assignment_epoch: assignment.assignment_epoch,
        state: partition_state(parts).into(),
        position: reader.position(),
        end_offset: end.map(|e| e.end),
        end_age_ms: end.map_or(0, |e| Millis::from(e.requested.elapsed()).0),
        clock_ms: state.clock().map(|c| c.0),
        // Sums of an older window end are labelled as such: they are not mixed with newer ones.
        window_end_ms: (market_at > 0).then(|| assignment.scoring.time(market_at).0),
        market: platforms
            .filter(|(_, sum)| sum.slots > 0)
            .map(|(platform, sum)| proto::MarketPartial {
                platform: platform.to_string(),
                velocity_sum_e4: sum.velocity_e4,
                slots: sum.slots,
                bins: sum.histogram.bins().collect(),
            })
            .collect(),
        confirmed: outbox.confirmed(),
        arrived: outbox.arrived_from(),
        counters: Some(outbox.counted(reader.counted(intake.counters()))),
        kols: kols as u64,
        entities: entities as u64,
        state_bytes: (bytes + outbox.bytes()) as u64,
        median_gap_ms: state.median_gap().map(|g| g.0),
        left_out: outbox.left_out() as u64,
        staleness_ms: Millis::from(outbox.staleness()).0,
        stall_ms: Millis::from(stall).0,
        sample: state.sample().to_vec(),
        spellings: state.spellings().to_vec(),
        hottest: state.hottest(),
        // The actor measures them.
        rates: None,
        problem: problems.next(),
        more_problems: problems.take(MORE_PROBLEMS).collect(),
        topic_id: reader
            .log_id()
            .map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        log_start: reader.log_start(),
        rekeying: None,
    }
}

/// Where the partition is now, for an epoch.
pub(super) fn checkpoint(parts: &Parts<'_>, barrier: &Barrier) -> PartitionCheckpoint {
    let &Parts {
        assignment,
        reader,
        intake,
        outbox,
        ..
    } = parts;
    let state = intake.state();
    let (kols, entities, _) = state.size();
    let counters = reader.counted(intake.counters_of_epoch());
    let topic_id = reader.log_id();
    PartitionCheckpoint {
        partition: Some((&assignment.partition).into()),
        ordinal: assignment.ordinal,
        assignment_epoch: assignment.assignment_epoch,
        offset: reader.position(),
        clock_ms: state.clock().map(|c| c.0),
        counters: Some(outbox.counted(counters)),
        kols: kols as u64,
        entities: entities as u64,
        location: barrier.savepoint.clone(),
        topic_id: topic_id.map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        leader_epoch: reader.leader_epoch(),
        last_record: reader.last_record(),
        lineage: assignment.lineage,
        ..PartitionCheckpoint::default()
    }
}

fn partition_state(parts: &Parts<'_>) -> PartitionState {
    if parts.reader.is_closed() {
        PartitionState::Restoring
    } else if parts.reader.is_halted() {
        PartitionState::Draining
    } else if parts.outbox.is_holding() {
        PartitionState::Holding
    } else if parts.full.is_some() {
        PartitionState::Paused
    } else if parts.outbox.is_claimed() {
        PartitionState::Running
    } else {
        PartitionState::Claiming
    }
}

/// What keeps the partition from its work, of which one thing is mostly the reason of another, and what keeps alerts from
/// arriving.
fn problems(parts: &Parts<'_>) -> impl Iterator<Item = ErrorInfo> {
    let work = parts
        .full
        .cloned()
        .or_else(|| parts.outbox.problem())
        .or_else(|| parts.restore_problem.cloned())
        .or_else(|| parts.reader.problem())
        .or_else(|| parts.intake.problem());
    let assignment = parts.assignment;
    work.into_iter()
        .chain(parts.outbox.alerts_problems())
        .map(|problem| {
            let problem = problem.job(&assignment.spec.name);
            problem.partition(&assignment.partition).to_info()
        })
}

/// Why nothing is read now, if memory is full.
pub(super) fn memory_limit(parts: &Parts<'_>) -> Option<KolError> {
    if !parts.memory.is_full() {
        return None;
    }
    let (kols, entities, _) = parts.intake.state().size();
    let what = format!(
        "reading waits for memory: on this executor {} ({kols} KOLs and {entities} videos in this partition)",
        parts.memory.breakdown()
    );
    let error = KolError::external(NO_ROOM, what);
    Some(error.help("Add executors, raise --memory, or shorten scoring.entity_ttl."))
}
