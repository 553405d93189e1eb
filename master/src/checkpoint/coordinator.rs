//! The epochs of one job: a machine.
//!
//! 1. One epoch is open at a time. It begins when the interval since the last one began has passed and
//!    every partition has an owner that can take part; the barrier names the last committed epoch as
//!    its parent. A committed epoch is followed by a rest three times as long as it took: while a
//!    backlog is read everything changes all the time, and copying it must not take all the time.
//! 2. It is complete when every partition has acknowledged it under the assignment that it had when
//!    the epoch began. Then it is committed: one transaction, which the driver makes durable before it
//!    tells anybody anything.
//! 3. It is given up when a partition changes hands, when one says that it cannot, or when its deadline
//!    passes; the last two count as failures. Then the next number follows. An acknowledgement of any
//!    other epoch, or of an older assignment, is refused.
//! 4. A number is never used twice, also by a master that was started again: numbers are reserved in
//!    the job's record before they are used, many at once, and what was reserved before is skipped.
//! 5. A job that goes on from another state has it as its first committed epoch.
//!
//! Savepoints and the last epoch of a job: see [`super::savepoint`]; what is kept: see [`super::kept`].

use std::collections::BTreeMap;

use kol_common::job::CheckpointSpec;
use kol_common::proto::{CheckpointStatus, Manifest, PartitionCheckpoint};
use kol_common::{KolError, Millis, SavepointId};

use super::kept::Kept;
use super::savepoint::{Kind, Wish};
use super::terms::{Begin, Commit, Facts, News, Owner, Sweep};

/// Numbers that are reserved at once.
const RESERVE: u64 = 1_000;
/// Rest after a committed epoch, for each millisecond that it took.
const REST: u64 = 3;
/// Files left behind are looked for once in so many epochs, and soon after a start.
const SWEEP_EVERY: u64 = 600;
const SWEEP_FIRST: u64 = 10;
/// Stragglers that a message names.
const NAMED: usize = 5;

/// See the module.
#[derive(Debug)]
pub struct Coordinator {
    limits: CheckpointSpec,
    kept: Kept,
    next: u64,
    reserved: u64,
    open: Option<Open>,
    begun: Millis,
    ended: Millis,
    /// After `ended`.
    rest: Millis,
    committed: Option<Millis>,
    committed_count: u64,
    aborted_count: u64,
    /// In a row.
    failures: u64,
    problem: Option<KolError>,
    news: Option<News>,
    pub(super) wish: Option<Wish>,
    pub(super) savepoints: Vec<(SavepointId, Result<Manifest, KolError>)>,
    /// The job ends: whether its last epoch is committed.
    pub(super) finish: Option<bool>,
}

#[derive(Debug)]
struct Open {
    epoch: u64,
    kind: Kind,
    begun: Millis,
    /// Assignment epoch of each slot that has not acknowledged yet.
    waiting: BTreeMap<u32, u64>,
    acknowledged: BTreeMap<u32, PartitionCheckpoint>,
}

impl Coordinator {
    /// With the epochs that were kept, oldest first, and the numbers that may have been used.
    pub fn new(limits: CheckpointSpec, kept: Vec<Manifest>, reserved: u64, now: Millis) -> Self {
        let kept = Kept::new(kept);
        Self {
            limits,
            committed: kept.head().map(|m| Millis(m.begun_ms + m.took_ms)),
            next: kept.newest().max(reserved) + 1,
            kept,
            reserved,
            open: None,
            begun: now,
            ended: now,
            rest: Millis(0),
            committed_count: 0,
            aborted_count: 0,
            failures: 0,
            problem: None,
            news: None,
            wish: None,
            savepoints: Vec::new(),
            finish: None,
        }
    }

    /// What should be logged since this was last asked.
    pub fn take_news(&mut self) -> Option<News> {
        self.news.take()
    }

    /// The last committed epoch.
    pub fn head(&self) -> Option<&Manifest> {
        self.kept.head()
    }

    /// The kept epochs, newest first.
    pub fn kept(&self) -> impl Iterator<Item = &Manifest> {
        self.kept.iter()
    }

    /// Numbers up to this one must count as used in the job's record.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Why the last epochs failed, if so many did in a row that a person should know.
    pub fn problem(&self) -> Option<&KolError> {
        let loud = self.failures >= self.limits.max_failures;
        self.problem.as_ref().filter(|_| loud)
    }

    /// For people.
    pub fn status(&self) -> CheckpointStatus {
        let head = self.head();
        let written = |m: &Manifest| m.partitions.iter().map(|p| p.written_bytes).sum();
        CheckpointStatus {
            epoch: head.map_or(0, |m| m.epoch),
            committed_ms: self.committed.map_or(0, |at| at.0),
            took_ms: head.map_or(0, |m| m.took_ms),
            written_bytes: head.map_or(0, written),
            committed_count: self.committed_count,
            aborted_count: self.aborted_count,
            failures: self.failures,
        }
    }

    /// The newest state of a partition that is not known to be damaged, and its epoch.
    pub fn checkpoint_of(&self, slot: u32) -> Option<(u64, &PartitionCheckpoint)> {
        self.kept.checkpoint_of(slot)
    }

    /// The state of a partition in an epoch cannot be read.
    pub fn is_damaged(&mut self, slot: u32, epoch: u64) {
        self.kept.is_damaged(slot, epoch);
    }

    /// Whether another job made the state of this epoch.
    pub fn is_inherited(&self, epoch: u64) -> bool {
        let of = |m: &&Manifest| m.epoch == epoch;
        self.kept().find(of).is_some_and(|m| !m.origin.is_empty())
    }

    /// Files that nothing refers to any more.
    pub fn take_garbage(&mut self) -> Vec<String> {
        self.kept.take_garbage()
    }

    /// Time passed, or owners changed: gives up what cannot end well any more, and says whether an
    /// epoch is to begin.
    pub fn step(
        &mut self,
        now: Millis,
        owners: &[Owner],
        name: impl Fn(u32) -> String,
    ) -> Option<Begin> {
        self.give_up_if_moved(now, owners);
        self.give_up_if_late(now, name);
        let ready = !owners.is_empty() && owners.iter().all(|o| o.ready);
        if self.open.is_some() {
            return None;
        }
        self.drop_late_wish(now);
        let due = self.begun.0 + self.limits.interval.0;
        let rested = self.ended.0 + self.limits.min_pause.max(self.rest).0;
        let kind = self.due(now.0 >= due.max(rested)).filter(|_| ready)?;
        let epoch = self.take_number();
        let savepoint = match kind {
            Kind::Checkpoint => None,
            Kind::Savepoint => self.wish.as_ref().map(|wish| wish.folder.clone()),
        };
        self.begun = now;
        self.open = Some(Open {
            epoch,
            kind,
            begun: now,
            waiting: owners
                .iter()
                .map(|o| (o.slot, o.assignment_epoch))
                .collect(),
            acknowledged: BTreeMap::new(),
        });
        Some(Begin {
            epoch,
            parent: self.kept.newest(),
            savepoint,
            last: self.finish.is_some(),
        })
    }

    fn take_number(&mut self) -> u64 {
        let epoch = self.next;
        self.next += 1;
        if epoch > self.reserved {
            self.reserved = epoch + RESERVE;
        }
        epoch
    }

    fn give_up_if_moved(&mut self, now: Millis, owners: &[Owner]) {
        let Some(open) = &self.open else { return };
        let of = |slot: u32| owners.iter().find(|o| o.slot == slot);
        let acknowledged = open.acknowledged.values();
        let acknowledged = acknowledged.map(|c| (c.slot, c.assignment_epoch));
        let waiting = open.waiting.iter().map(|(slot, epoch)| (*slot, *epoch));
        let same = waiting.chain(acknowledged).all(|(slot, epoch)| {
            of(slot).is_some_and(|owner| owner.assignment_epoch == epoch && owner.ready)
        });
        let all = owners.len() == open.waiting.len() + open.acknowledged.len();
        if !same || !all {
            self.give_up(now);
        }
    }

    fn give_up_if_late(&mut self, now: Millis, name: impl Fn(u32) -> String) {
        let Some(open) = &self.open else { return };
        if now.since(open.begun) < self.limits.timeout {
            return;
        }
        let waiting = open.waiting.len();
        let named: Vec<_> = open.waiting.keys().take(NAMED).map(|s| name(*s)).collect();
        let more = waiting.saturating_sub(NAMED);
        let and_more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let what = format!(
            "epoch {} was given up after {}: {}{and_more} did not make it durable and confirmed by \
             Redis in time",
            open.epoch,
            self.limits.timeout,
            named.join(", "),
        );
        self.fail(now, KolError::external("CHECKPOINT_TIMEOUT", what).help(
            "Processing goes on; after a failure more of the log is read again. Look whether Redis \
             and the checkpoint location are slow, or raise checkpoint.timeout.",
        ));
    }

    /// A partition cannot take part.
    pub fn failed(&mut self, now: Millis, epoch: u64, slot: u32, assignment: u64, error: KolError) {
        let concerned = |open: &Open| open.waiting.get(&slot) == Some(&assignment);
        let of_open = self.open.as_ref().filter(|o| o.epoch == epoch);
        if of_open.is_some_and(concerned) {
            self.fail(now, error);
        }
    }

    fn fail(&mut self, now: Millis, error: KolError) {
        if self
            .open
            .as_ref()
            .is_some_and(|o| o.kind == Kind::Savepoint)
        {
            self.give_up(now);
            return self.drop_wish(error);
        }
        self.failures += 1;
        if self.failures == 1 || self.failures == self.limits.max_failures {
            self.news = Some(News::Failed(error.clone()));
        }
        self.problem = Some(error);
        self.give_up(now);
    }

    /// Ends the open epoch without a result.
    pub fn give_up(&mut self, now: Millis) {
        let Some(open) = self.open.take() else { return };
        self.ended = now;
        self.rest = Millis(0);
        self.aborted_count += 1;
        let parts: Vec<_> = open.acknowledged.into_values().collect();
        self.kept.discard(&parts);
    }

    /// A partition's part is durable. True when the epoch is complete: it must be committed now.
    #[must_use]
    pub fn acknowledged(&mut self, epoch: u64, checkpoint: PartitionCheckpoint) -> bool {
        let Some(open) = self.open.as_mut().filter(|o| o.epoch == epoch) else {
            return false;
        };
        let slot = checkpoint.slot;
        if open.waiting.get(&slot) != Some(&checkpoint.assignment_epoch) {
            return false;
        }
        open.waiting.remove(&slot);
        open.acknowledged.insert(slot, checkpoint);
        open.waiting.is_empty()
    }

    /// Commits the complete epoch; a savepoint is handed over instead, and commits nothing.
    pub fn commit(&mut self, now: Millis, facts: Facts) -> Option<Commit> {
        let open = self.open.take_if(|o| o.waiting.is_empty())?;
        let manifest = Manifest {
            job_id: facts.job.0,
            job_name: facts.job.1,
            generation: facts.generation,
            epoch: open.epoch,
            parent: self.kept.newest(),
            begun_ms: open.begun.0,
            took_ms: now.since(open.begun).0,
            clock_ms: facts.clock.map(|c| c.0),
            market_version: facts.market.0,
            market: facts.market.1,
            partitions: open.acknowledged.into_values().collect(),
            origin: String::new(),
            older_chain: false,
        };
        self.ended = now;
        if open.kind == Kind::Savepoint {
            self.rest = Millis(0);
            self.grant(manifest);
            return None;
        }
        self.rest = Millis(REST * manifest.took_ms);
        if self.failures > 0 {
            self.news = Some(News::Mended(self.failures));
        }
        self.failures = 0;
        self.problem = None;
        self.finish = self.finish.map(|_| true);
        Some(self.keep(now, manifest))
    }

    /// Goes on from a state that this job did not make: its partitions and facts are in `manifest`.
    pub fn inherit(&mut self, now: Millis, mut manifest: Manifest) -> Commit {
        manifest.epoch = self.take_number();
        manifest.parent = 0;
        self.keep(now, manifest)
    }

    /// Makes an epoch the head, and lets go of the oldest.
    fn keep(&mut self, now: Millis, manifest: Manifest) -> Commit {
        self.committed = Some(now);
        self.committed_count += 1;
        let let_go = self
            .kept
            .keep(manifest.clone(), self.limits.retain as usize);
        let sweep = (self.committed_count % SWEEP_EVERY == SWEEP_FIRST).then(|| Sweep {
            before: self.kept.oldest(),
            used: self.kept.used(),
        });
        Commit {
            manifest,
            forgotten: let_go.forgotten,
            reduced: let_go.reduced,
            sweep,
        }
    }

    /// How long an epoch may take.
    pub(super) fn timeout(&self) -> Millis {
        self.limits.timeout
    }
}
