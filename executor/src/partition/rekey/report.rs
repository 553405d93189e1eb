//! What a partition of the first stage says of itself.

use kol_common::proto::{PartitionReport, PartitionState, RekeyReport};
use kol_common::{KolError, Millis};

use super::machine::Machine;
use crate::memory::Memory;
use crate::partition::message::Assignment;
use crate::partition::reader::Reader;
use crate::partition::stage::Rekeyer;
use crate::source::LogEnd;

/// The parts that a report is of.
pub(super) struct Parts<'a> {
    pub(super) assignment: &'a Assignment,
    pub(super) machine: &'a Machine,
    pub(super) reader: Option<&'a Reader>,
    pub(super) rekeyer: &'a Rekeyer,
    pub(super) memory: &'a Memory,
    /// Where its log ends.
    pub(super) end: Option<LogEnd>,
    /// Why its log cannot be read, if so.
    pub(super) log: Option<KolError>,
}

/// The report of now.
pub(super) fn report(parts: &Parts<'_>) -> PartitionReport {
    let Parts {
        assignment,
        machine,
        reader,
        rekeyer,
        end,
        ..
    } = parts;
    let (has_position, committed) = machine.progress();
    let counters = rekeyer.counters();
    PartitionReport {
        job_id: assignment.job.as_str().to_owned(),
        job_name: assignment.spec.name.clone(),
        partition: Some((&assignment.partition).into()),
        assignment_epoch: assignment.assignment_epoch,
        state: state(parts).into(),
        position: machine.reported(),
        end_offset: end.map(|e| e.end),
        end_age_ms: end.map_or(0, |e| Millis::from(e.requested.elapsed()).0),
        counters: Some(match reader {
            Some(reader) => reader.counted(counters),
            None => counters,
        }),
        problem: problem(parts).map(|e| e.to_info()),
        topic_id: machine
            .topic()
            .map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        rekeying: Some(RekeyReport {
            has_position,
            committed,
        }),
        ..PartitionReport::default()
    }
}

fn state(parts: &Parts<'_>) -> PartitionState {
    if parts.machine.is_draining() {
        PartitionState::Draining
    } else if !parts.machine.has_begun() {
        PartitionState::Claiming
    } else if parts.memory.is_full() {
        PartitionState::Paused
    } else {
        PartitionState::Running
    }
}

fn problem(parts: &Parts<'_>) -> Option<KolError> {
    let problem = parts
        .machine
        .problem()
        .cloned()
        .or_else(|| parts.reader.and_then(Reader::problem))
        .or_else(|| parts.log.clone())
        .or_else(|| parts.rekeyer.problem())?;
    let Assignment {
        spec, partition, ..
    } = parts.assignment;
    Some(problem.job(&spec.name).partition(partition))
}
