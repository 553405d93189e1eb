//! Where the logs end, and how many records are before that.
//!
//! 1. The owner of a partition reports the end of its log. While no executor that answers has it, or its owner does not
//!    know the end, this master looks it up itself, at once and then each [`EVERY`].
//! 2. The end that was looked up last counts, and for [`COUNTS`]: then it is not known. What is not known is never 0.
//! 3. A partition is read up to where its newest report says; without one, and while it restores, up to its newest
//!    checkpoint, or not at all. One of a first stage that has a position in Kafka is not known to be read up to anywhere then.
//! 4. A log that ends before that is another one: nothing of it is read.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::{JobId, KolError, Millis, SourcePartition};

use super::backoff::pause;
use super::discovery::LogEnds;
use super::effect::Effect;
use super::fleet::{Fleet, is_callable};
use super::partition::{Hold, Partition};
use super::rekeying::Stages;
use crate::checkpoint::Coordinator;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long an end counts.
const COUNTS: Duration = Duration::from_secs(10);
/// A look that has not answered by then never will: its task is gone.
const ANSWER: Duration = Duration::from_secs(30);

/// What this master has looked up.
#[derive(Debug)]
pub(super) struct Ends {
    /// When each look began, and what it found.
    known: BTreeMap<SourcePartition, (Millis, u64)>,
    due: Millis,
    /// When the look began that is under way.
    began: Option<Millis>,
    /// In a row.
    failures: u32,
}

impl Ends {
    /// Nothing is known.
    pub(super) fn new(now: Millis) -> Self {
        Self {
            known: BTreeMap::new(),
            due: now,
            began: None,
            failures: 0,
        }
    }

    /// Requests a look where one is due: rule 1.
    pub(super) fn tick(
        &mut self,
        now: Millis,
        stages: Stages<'_>,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) {
        let waits = self
            .began
            .is_some_and(|began| now.since(began) < Millis::from(ANSWER));
        if waits || now < self.due {
            return;
        }
        let fresh = |at: Millis| now.since(at) < Millis::from(COUNTS / 2);
        let reported = |p: &Partition| reported(p).is_some_and(|(at, _)| fresh(at));
        let wanted = stages
            .iter()
            .filter(|p| !(is_served(p, fleet) && reported(p)))
            .map(|p| p.record.partition.clone());
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            self.known.clear();
        } else {
            self.began = Some(now);
            out.push(Effect::LookUpEnds(wanted));
        }
    }

    /// A look is over.
    pub(super) fn looked(&mut self, now: Millis, job: &JobId, found: Result<LogEnds, KolError>) {
        let began = self.began.take().unwrap_or(now);
        let wait = match found {
            Ok(found) => {
                self.failures = 0;
                let found = found.into_iter().map(|(name, end)| (name, (began, end)));
                self.known.extend(found);
                Millis::from(EVERY)
            }
            // That Kafka is away is said by the look for new partitions.
            Err(_) => {
                let wait = pause(job, self.failures, u64::from(self.failures));
                self.failures += 1;
                wait
            }
        };
        self.due = Millis(now.0 + wait.0);
    }

    /// One past the newest record of a partition's log, with when that was looked up: rule 2.
    pub(super) fn end(&self, now: Millis, partition: &Partition) -> Option<(Millis, u64)> {
        let looked_up = self.known.get(&partition.record.partition).copied();
        let newest = looked_up.max(reported(partition))?;
        (now.since(newest.0) <= Millis::from(COUNTS)).then_some(newest)
    }

    /// Records that are not read yet: rules 3 and 4.
    pub(super) fn lag(
        &self,
        now: Millis,
        partition: &Partition,
        epochs: Option<&Coordinator>,
    ) -> Option<u64> {
        let (at, end) = self.end(now, partition)?;
        let Some(report) = partition.known() else {
            if partition.record.has_position {
                // Kafka knows it, and its next owner says it.
                return None;
            }
            let checkpoint = epochs.and_then(|e| e.usable(partition.record.ordinal).next());
            let read = checkpoint.map_or(partition.record.start_offset, |(_, c)| c.offset);
            return Some(end.checked_sub(read).unwrap_or(end));
        };
        let lag = end.checked_sub(report.position);
        // An end that is older than the position may be before it.
        let is_later = at > partition.received;
        Some(lag.unwrap_or(if is_later { end } else { 0 }))
    }
}

/// What the last owner reported.
fn reported(partition: &Partition) -> Option<(Millis, u64)> {
    let report = partition.report.as_ref()?;
    let at = partition.received.since(Millis(report.end_age_ms));
    Some((at, report.end_offset?))
}

/// Whether an executor that answers has it.
pub(super) fn is_served(partition: &Partition, fleet: &Fleet) -> bool {
    match &partition.hold {
        Hold::Free { .. } | Hold::Awaited { .. } => false,
        Hold::Held { executor } | Hold::Releasing { executor, .. } => is_callable(fleet, executor),
    }
}
