//! The epochs of one job: a machine (its shape: see the crate).
//!
//! 1. One epoch is open at a time. It begins when the interval since the last one began has passed and
//!    every partition has an owner that can take part; the barrier names the last committed epoch as
//!    its parent. A committed epoch is followed by a rest three times as long as it took: while a
//!    backlog is read everything changes all the time, and copying it must not take all the time. Where
//!    a partition waits for an epoch to move, the rest is as long as it took, and the interval a second
//!    at most. An epoch that would say the same as the last one, which was committed, is put off: see `unchanged`.
//! 2. It is complete when every partition has acknowledged it under the assignment that it had when
//!    the epoch began. Then it is committed: one transaction, which the driver makes durable before it
//!    does anything else.
//! 3. It is aborted when a partition changes hands, when one says that it cannot take part, or when its
//!    deadline passes; the last two count as failures. Then the next number follows. An acknowledgement
//!    of any other epoch, or of an older assignment, is refused.
//! 4. A number is never used twice, also by a master that was started again: numbers are reserved in
//!    the job's record before they are used, many at once, and what was reserved before is skipped.
//! 5. A job that resumes from another state has it as its first committed epoch.
//!
//! The open epoch: see `open`; savepoints and the last epoch of a job: see `savepoint`; what is kept: see
//! `kept`.

use kol_common::job::CheckpointSpec;
use kol_common::proto::{CheckpointStatus, Manifest, PartitionCheckpoint};
use kol_common::{KolError, Millis};

use super::effect::{Begin, Commit, Effect, Facts, Input, Notice, Orphans, Owner};
use super::kept::Kept;
use super::open::Open;
use super::retention::Tiers;
use super::savepoint::{Kind, Wishes};

/// Numbers that are reserved at once.
const RESERVE: u64 = 1_000;
/// Rest after a committed epoch, for each millisecond that it took; and where a partition waits to move.
const REST: u64 = 3;
const SHORT_REST: u64 = 1;
/// The interval at most where a partition waits to move.
const SHORT_INTERVAL: Millis = Millis(1_000);
/// The interval at least while nothing changes: each minute has an epoch to be kept.
const UNCHANGED_INTERVAL: Millis = Millis(30_000);
/// Orphans are looked for with an epoch after so long, and soon after a start.
const ORPHANS_EVERY: Millis = Millis(600_000);
const ORPHANS_FIRST: Millis = Millis(10_000);
/// See the module.
#[derive(Debug)]
pub struct Coordinator {
    limits: CheckpointSpec,
    kept: Kept,
    wishes: Wishes,
    next: u64,
    reserved: u64,
    open: Option<Open>,
    /// When the last epoch began.
    begun: Millis,
    /// When the last epoch was committed or aborted.
    ended: Millis,
    /// How long the last epoch took, if it was committed.
    took: Millis,
    /// Whether the last epoch is the committed one: not once it was aborted, and not after a start.
    says_all: bool,
    /// When the next epoch looks for orphans.
    orphans_at: Millis,
    committed: Option<Millis>,
    committed_count: u64,
    aborted_count: u64,
    /// In a row.
    failures: u64,
    problem: Option<KolError>,
}

impl Coordinator {
    /// With the epochs that were kept, oldest first, and the numbers that may have been used. A job that
    /// `stops` has only its last epoch to come.
    pub fn new(
        limits: CheckpointSpec,
        kept: Vec<Manifest>,
        reserved: u64,
        now: Millis,
        stops: bool,
    ) -> Self {
        let kept = Kept::new(kept);
        let mut wishes = Wishes::new(limits.timeout);
        if stops {
            wishes.finish();
        }
        Self {
            limits,
            wishes,
            committed: kept.head().map(|m| Millis(m.begun_ms + m.took_ms)),
            next: kept.newest().max(reserved) + 1,
            kept,
            reserved,
            open: None,
            begun: now,
            ended: now,
            took: Millis(0),
            says_all: false,
            orphans_at: Millis(now.0 + ORPHANS_FIRST.0),
            committed_count: 0,
            aborted_count: 0,
            failures: 0,
            problem: None,
        }
    }

    /// Takes what happened at `now`, and adds what is to be done to `out`, in its order.
    pub fn handle(&mut self, now: Millis, input: Input<'_>, out: &mut Vec<Effect>) {
        match input {
            Input::Tick(owners) => self.tick(now, owners, out),
            Input::Acknowledged {
                epoch,
                checkpoint,
                facts,
            } => self.acknowledged(now, epoch, *checkpoint, facts, out),
            Input::Failed {
                epoch,
                ordinal,
                assignment_epoch,
                error,
            } => {
                let of_open = self.open.as_ref().filter(|open| open.epoch == epoch);
                if of_open.is_some_and(|open| open.waits_for(ordinal, assignment_epoch)) {
                    self.fail(now, error, out);
                }
            }
            Input::Savepoint { id, folder } => self.wishes.request(now, id, folder, out),
            Input::Inherit(manifest) => self.inherit(now, manifest, out),
            Input::Finish => {
                if self.wishes.finish() {
                    self.abort(now, out);
                }
            }
            Input::End => {
                self.abort(now, out);
                let what = "the job ended before its savepoint was complete";
                let error = KolError::user("SAVEPOINT_FAILED", what)
                    .help("A job that is over is itself a start: submit --from-savepoint JOB.");
                self.wishes.settle(Err(error), out);
            }
        }
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

    /// Whether an epoch is under way.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the last epoch of a job that stops is committed, and no savepoint is to come.
    pub fn is_finished(&self) -> bool {
        self.wishes.is_finished()
    }

    /// Why no savepoint can be requested now, if none can.
    pub fn refusal(&self) -> Option<KolError> {
        self.wishes.refusal()
    }

    /// Why the last epochs failed, if so many did in a row that a person should know.
    pub fn problem(&self) -> Option<&KolError> {
        let loud = self.failures >= self.limits.max_failures;
        self.problem.as_ref().filter(|_| loud)
    }

    /// What the status of the job says of its epochs.
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

    /// The states of a partition that are not known to be damaged, and their epochs; newest first.
    pub fn usable(
        &self,
        ordinal: u32,
    ) -> impl Iterator<Item = (u64, &PartitionCheckpoint)> + Clone {
        self.kept.usable(ordinal)
    }

    /// What the last committed epoch has of a partition, unless that is known to be damaged.
    pub fn last_part(&self, ordinal: u32) -> Option<&PartitionCheckpoint> {
        let (epoch, part) = self.usable(ordinal).next()?;
        (epoch == self.kept.newest()).then_some(part)
    }

    /// Whether a partition has state in committed epochs, and none of it can be read.
    pub fn is_lost(&self, ordinal: u32) -> bool {
        self.kept.is_lost(ordinal)
    }

    /// The state of a partition in an epoch cannot be read: it is not given out again.
    pub fn mark_damaged(&mut self, ordinal: u32, epoch: u64) {
        self.kept.mark_damaged(ordinal, epoch);
    }

    /// Whether another job made the state of this epoch.
    pub fn is_inherited(&self, epoch: u64) -> bool {
        let of = |m: &&Manifest| m.epoch == epoch;
        self.kept().find(of).is_some_and(|m| !m.origin.is_empty())
    }

    /// Aborts what can no longer complete, and begins an epoch if one is due.
    fn tick(&mut self, now: Millis, owners: &[Owner<'_>], out: &mut Vec<Effect>) {
        self.abort_if_moved(now, owners, out);
        self.abort_if_late(now, out);
        if self.open.is_some() {
            return;
        }
        self.wishes.drop_late(now, out);
        let ready = !owners.is_empty() && owners.iter().all(|o| o.ready);
        let kind = self.wishes.due(now >= self.due(owners));
        if let Some(kind) = kind.filter(|_| ready) {
            self.begin(now, kind, owners, out);
        }
    }

    /// When the next epoch is due.
    fn due(&self, owners: &[Owner<'_>]) -> Millis {
        let usual = self.limits.interval;
        let (interval, rest) = if owners.iter().any(|o| o.moves) {
            (usual.min(SHORT_INTERVAL), SHORT_REST)
        } else if self.says_all && owners.iter().all(|o| o.unchanged) {
            (usual.max(UNCHANGED_INTERVAL), REST)
        } else {
            (usual, REST)
        };
        let rest = self.limits.min_pause.max(Millis(rest * self.took.0));
        Millis((self.begun.0 + interval.0).max(self.ended.0 + rest.0))
    }

    fn begin(&mut self, now: Millis, kind: Kind, owners: &[Owner<'_>], out: &mut Vec<Effect>) {
        let epoch = self.take_number();
        self.begun = now;
        self.open = Some(Open::new(epoch, kind, now, owners));
        out.push(Effect::Begin(Begin {
            epoch,
            reserved: self.reserved,
            parent: self.kept.newest(),
            savepoint: match kind {
                Kind::Checkpoint => None,
                Kind::Savepoint => self.wishes.folder(),
            },
            last: self.wishes.stops(),
        }));
    }

    fn take_number(&mut self) -> u64 {
        let epoch = self.next;
        self.next += 1;
        if epoch > self.reserved {
            self.reserved = epoch + RESERVE;
        }
        epoch
    }

    fn abort_if_moved(&mut self, now: Millis, owners: &[Owner<'_>], out: &mut Vec<Effect>) {
        let unmoved = |open: &Open| open.is_unmoved(owners);
        if !self.open.as_ref().is_none_or(unmoved) {
            self.abort(now, out);
        }
    }

    fn abort_if_late(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let Some(open) = &self.open else { return };
        if now.since(open.begun) < self.limits.timeout {
            return;
        }
        let what = format!(
            "epoch {} was aborted after {}: {} did not make it durable, with its dead letters, and confirmed by Redis in time",
            open.epoch,
            self.limits.timeout,
            open.stragglers(),
        );
        let error = KolError::external("CHECKPOINT_TIMEOUT", what).help(
            "Processing continues; after a failure more of the log is read again. Check whether Redis, \
             the checkpoint location and the dead-letter topic are slow, or raise checkpoint.timeout.",
        );
        self.fail(now, error, out);
    }

    fn fail(&mut self, now: Millis, error: KolError, out: &mut Vec<Effect>) {
        let for_a_savepoint = |open: &Open| open.kind == Kind::Savepoint;
        if self.open.as_ref().is_some_and(for_a_savepoint) {
            self.abort(now, out);
            return self.wishes.settle(Err(error), out);
        }
        self.failures += 1;
        if self.failures == 1 || self.failures == self.limits.max_failures {
            out.push(Effect::Notice(Notice::Failed(error.clone())));
        }
        self.problem = Some(error);
        self.abort(now, out);
    }

    /// Ends the open epoch without a result.
    fn abort(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let Some(open) = self.open.take() else { return };
        self.ended = now;
        self.took = Millis(0);
        self.says_all = false;
        self.aborted_count += 1;
        self.kept.discard(&open.into_parts());
        self.delete_garbage(out);
    }

    fn acknowledged(
        &mut self,
        now: Millis,
        epoch: u64,
        checkpoint: PartitionCheckpoint,
        facts: Facts,
        out: &mut Vec<Effect>,
    ) {
        let of_open = self.open.as_mut().filter(|open| open.epoch == epoch);
        let assignment = checkpoint.assignment_epoch;
        let waiting = of_open.filter(|open| open.waits_for(checkpoint.ordinal, assignment));
        let Some(open) = waiting else {
            return;
        };
        open.acknowledge(checkpoint);
        if let Some(open) = self.open.take_if(|open| open.is_complete()) {
            self.complete(now, open, facts, out);
        }
    }

    /// Commits a complete epoch; a savepoint is handed over instead, and commits nothing.
    fn complete(&mut self, now: Millis, open: Open, facts: Facts, out: &mut Vec<Effect>) {
        self.ended = now;
        let kind = open.kind;
        let manifest = open.into_manifest(now, self.kept.newest(), facts);
        if kind == Kind::Savepoint {
            self.took = Millis(0);
            return self.wishes.settle(Ok(manifest), out);
        }
        self.took = Millis(manifest.took_ms);
        self.says_all = true;
        if self.failures > 0 {
            out.push(Effect::Notice(Notice::Recovered(self.failures)));
        }
        self.failures = 0;
        self.problem = None;
        self.wishes.committed();
        self.keep(now, manifest, out);
    }

    fn inherit(&mut self, now: Millis, mut manifest: Manifest, out: &mut Vec<Effect>) {
        manifest.epoch = self.take_number();
        manifest.parent = 0;
        self.keep(now, manifest, out);
    }

    /// Makes an epoch the head, and releases the oldest.
    fn keep(&mut self, now: Millis, manifest: Manifest, out: &mut Vec<Effect>) {
        self.committed = Some(now);
        self.committed_count += 1;
        let tiers = Tiers::new(&self.limits);
        let released = self.kept.keep(manifest.clone(), &tiers);
        let due = now >= self.orphans_at;
        if due {
            self.orphans_at = Millis(now.0 + ORPHANS_EVERY.0);
        }
        let orphans = due.then(|| Orphans {
            before: self.kept.oldest_of(tiers.newest),
            used: self.kept.used(),
        });
        out.push(Effect::Commit(Commit {
            manifest,
            forgotten: released.forgotten,
            reduced: released.reduced,
            orphans,
        }));
        self.delete_garbage(out);
    }

    fn delete_garbage(&mut self, out: &mut Vec<Effect>) {
        let garbage = self.kept.take_garbage();
        if !garbage.is_empty() {
            out.push(Effect::Delete(garbage));
        }
    }
}
