//! One partition as the job's machine sees it.

use std::collections::VecDeque;
use std::time::Duration;

use kol_common::proto::{
    ErrorInfo, LostTail, PartitionCheckpoint, PartitionReport, PartitionState, RevokeMode,
};
use kol_common::{ExecutorId, Millis};

use super::cause::{Cause, UNKNOWN};
use super::effect::Resumed;
use super::pause::Pauses;
use super::placement::Site;
use super::record::PartitionRecord;
use super::standby::Standby;
use crate::cluster::{Grace, Members};

/// Failures within [`FAILURE_WINDOW`] after which a partition is not started again.
pub const FAILURE_BUDGET: usize = 5;
/// How long a failure counts.
const FAILURE_WINDOW: Duration = Duration::from_secs(300);

/// Who has a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// No executor has it.
    Free {
        /// It may be assigned from then on: not at once after a failure.
        after: Millis,
    },
    /// This master began to lead; the owner on record may still run it and say so.
    Awaited {
        /// The owner on record.
        executor: ExecutorId,
        /// When waiting ends.
        until: Millis,
    },
    /// It is assigned.
    Held {
        /// The executor that runs it.
        executor: ExecutorId,
    },
    /// It was revoked, and is not released yet.
    Releasing {
        /// The executor that may still run it.
        executor: ExecutorId,
        /// Whether it may drain first.
        mode: RevokeMode,
        /// When waiting ends.
        deadline: Millis,
    },
}

impl Hold {
    /// The executor that runs it or may run it.
    pub fn executor(&self) -> Option<&ExecutorId> {
        match self {
            Self::Free { .. } => None,
            Self::Awaited { executor, .. }
            | Self::Held { executor }
            | Self::Releasing { executor, .. } => Some(executor),
        }
    }
}

/// One partition of a job.
#[derive(Clone, Debug)]
pub struct Partition {
    /// What is persisted.
    pub record: PartitionRecord,
    /// Who has it.
    pub hold: Hold,
    /// Who reads its state ahead, to have it next.
    pub standby: Option<Standby>,
    /// When that failed last: it is not tried again at once.
    pub unprepared: Option<Millis>,
    /// Newest report, of this assignment or, until its owner's first one, of an earlier.
    pub report: Option<PartitionReport>,
    /// When that came in.
    pub received: Millis,
    /// Why its last owner gave up; cleared by the next owner's first report.
    pub failure: Option<ErrorInfo>,
    /// The checkpoint epoch whose state it was last assigned with.
    pub restored: Option<u64>,
    /// The end of its log when that was first known: what must be in Redis before its job is shown.
    pub goal: Option<u64>,
    /// An earlier master assigned it, and its owner still runs it.
    pub is_adopted: bool,
    /// How long nobody processes it while it changes hands.
    pub pauses: Pauses,
    /// Why it needs another owner, until it has one.
    pub leaves: Option<Cause>,
    failures: VecDeque<(Millis, Option<Site>)>,
}

impl Partition {
    /// As it was persisted; an owner on record may still run it, and has the longest time to say so.
    pub fn restore(record: PartitionRecord, now: Millis) -> Self {
        let mut partition = Self {
            record,
            hold: Hold::Free { after: now },
            standby: None,
            unprepared: None,
            report: None,
            received: Millis(0),
            failure: None,
            restored: None,
            goal: None,
            is_adopted: true,
            pauses: Pauses::default(),
            leaves: None,
            failures: VecDeque::new(),
        };
        partition.await_owner(now, &Grace::default());
        partition
    }

    /// An owner on record has as long as that, from now on, to say that it still runs it.
    pub fn await_owner(&mut self, now: Millis, grace: &Grace) {
        if let Some(owner) = &self.record.owner {
            let executor = Members::id_of(owner.as_str());
            let until = Millis(now.0 + grace.of(&executor).0);
            self.hold = Hold::Awaited { executor, until };
        }
    }

    /// The newest report of the current assignment.
    pub fn current_report(&self) -> Option<&PartitionReport> {
        self.report.as_ref().filter(|r| {
            r.assignment_epoch == self.record.assignment_epoch && self.hold.executor().is_some()
        })
    }

    /// The newest report of what was read and counted: one that restores does not know that yet.
    pub fn known(&self) -> Option<&PartitionReport> {
        let report = self.report.as_ref();
        report.filter(|report| report.state() != PartitionState::Restoring)
    }

    /// What is to be said of a pause that is over.
    pub fn resumed(&self, paused: Millis) -> Resumed {
        let placed = self.record.placed.as_ref();
        Resumed {
            partition: self.record.partition.clone(),
            paused,
            steps: self.pauses.steps(),
            cause: placed.map_or(UNKNOWN, |placed| placed.cause.word()),
        }
    }

    /// Whether Redis has everything up to the goal.
    pub fn is_level(&self) -> bool {
        let confirmed = self.current_report().and_then(|r| r.confirmed);
        let position = confirmed.map(|c| c.position);
        self.goal.is_some() && position >= self.goal
    }

    /// Takes over what its owner has found out about its log; answers whether that is new.
    pub fn learn(&mut self, report: &PartitionReport) -> bool {
        let learnt = self.record.learn(report);
        if learnt && report.log_start.is_some() {
            // Of the log before, which will not be reached.
            self.goal = None;
            self.pauses.forget();
        }
        learnt
    }

    /// Kafka lost the tail of its log. `checkpoints` are the usable ones, newest first.
    pub fn lost_tail<'c>(
        &mut self,
        lost: LostTail,
        checkpoints: impl Iterator<Item = &'c PartitionCheckpoint>,
    ) {
        self.record.lost_tail(lost, checkpoints);
        self.goal = self.goal.map(|goal| goal.min(lost.from));
        self.pauses.cut(lost.from);
    }

    /// Takes it from its owner: what that one still writes is refused once the next owner claims it.
    pub fn fence(&mut self, after: Millis) {
        if let Some(position) = self.current_report().map(|report| report.position) {
            self.pauses.begin(self.received, position);
        }
        self.record.assignment_epoch += 1;
        self.record.owner = None;
        self.hold = Hold::Free { after };
    }

    /// Counts a failure at a site, if that is known; answers how many there were within the last minutes.
    pub fn failed(&mut self, now: Millis, site: Option<Site>, error: ErrorInfo) -> usize {
        self.failure = Some(error);
        self.failures.push_back((now, site));
        while self
            .failures
            .front()
            .is_some_and(|(first, _)| now.since(*first) > Millis::from(FAILURE_WINDOW))
        {
            self.failures.pop_front();
        }
        self.failures.len()
    }

    /// Where it failed within the last minutes.
    pub fn failed_at(&self, now: Millis) -> impl Iterator<Item = &Site> {
        let recent = self.failures.iter();
        let recent = recent.filter(move |(at, _)| now.since(*at) <= Millis::from(FAILURE_WINDOW));
        recent.filter_map(|(_, site)| site.as_ref())
    }
}
