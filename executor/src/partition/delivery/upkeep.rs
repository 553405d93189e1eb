//! What a partition does for Redis beside sending what changed: it takes out creators that nobody knows any
//! more, finds what Redis lost, and remembers what is left out because a key is of a wrong type.

use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use redis::Cmd;
use tokio::time::Instant;

use super::comparison::Comparison;
use super::encode::KOLS_A_CALL;
use super::fill::{Calls, Fill, Reconciled};
use super::hashes::LoneHashes;
use super::orphans::Orphans;
use super::refusals::Refusals;
use super::repairs::Repairs;
use super::strangers::Strangers;
use crate::partition::message::Assignment;
use crate::sink::{Compared, Fence, Flushed, Hashes, HashesRequest, Present, ScanRequest, Scanned};
use crate::state::{PlatformIndex, State};

/// When a flush looks again at keys of a wrong type, although there may be nothing to send.
const RECHECK: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Upkeep {
    assignment: Arc<Assignment>,
    orphans: Orphans,
    hashes: LoneHashes,
    comparison: Comparison,
    refusals: Refusals,
    repairs: Repairs,
    strangers: Strangers,
    /// Strangers to take out, by the names of their platforms, and how many of them the log has named.
    strange: Vec<(String, String)>,
    taken_out: Repairs,
    /// Of hashes that nothing named.
    forgotten: Repairs,
    /// When a flush must show whether keys that belong to no creator are right again.
    recheck_at: Option<Instant>,
    /// The flush under way is only for that: it has no merges.
    only_rechecks: bool,
}

/// Which work of this kind may begin now.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Whether a sweep may begin.
    pub sweep: bool,
    /// Whether a comparison may begin.
    pub compare: bool,
}

impl Upkeep {
    /// For one assignment: a sweep is due.
    pub fn new(assignment: Arc<Assignment>, now: Instant) -> Self {
        Self {
            orphans: Orphans::due(now),
            hashes: LoneHashes::new(assignment.ordinal),
            comparison: Comparison::new(now),
            refusals: Refusals::default(),
            repairs: Repairs::default(),
            strangers: Strangers::new(assignment.ordinal),
            strange: Vec::new(),
            taken_out: Repairs::default(),
            forgotten: Repairs::default(),
            recheck_at: None,
            only_rechecks: false,
            assignment,
        }
    }

    /// Continues the count of repaired creators of a checkpoint.
    pub fn restored(&mut self, repaired: u64) {
        self.repairs.restored(repaired);
    }

    /// The log no longer exists: what is known of its creators, or arrives of them, counts for nothing.
    pub fn start_over(&mut self, now: Instant) {
        self.refusals = Refusals::default();
        self.recheck_at = None;
        self.comparison = Comparison::new(now);
        self.strangers = Strangers::new(self.assignment.ordinal);
        self.strange.clear();
        self.sweep_again(now);
    }

    /// Redis may have creators that it should not have: a sweep is due.
    pub fn sweep_again(&mut self, now: Instant) {
        self.orphans = Orphans::due(now);
        self.hashes.start_over();
    }

    /// Creators that Redis lost, or that somebody wrote over, and that were sent again; strangers that were taken out; and
    /// hashes that nothing named.
    pub fn repaired(&self) -> u64 {
        self.repairs.total() + self.taken_out.total() + self.forgotten.total()
    }

    /// Why hashes that nothing names may stay.
    pub fn limit(&self) -> Option<&KolError> {
        self.hashes.problem()
    }

    /// Keys of a wrong type, if there are such; `others` are those because of which an older ranking is shown, or none is
    /// kept as it was.
    pub fn problem<'k>(&'k self, others: impl Iterator<Item = &'k String>) -> Option<KolError> {
        self.refusals.problem(others.chain(self.orphans.skipped()))
    }

    /// Creators that are left out because a key of theirs is of a wrong type.
    pub fn left_out(&self) -> usize {
        self.refusals.creators()
    }

    /// Whether creators wait to be taken out.
    pub fn has_orphans(&self) -> bool {
        self.orphans.are_found() || !self.strange.is_empty() || self.hashes.are_found()
    }

    /// When something is due.
    pub fn wake_at(&self, allowed: Allowed) -> Option<Instant> {
        let sweeps = [self.orphans.next_at(), self.hashes.next_at()];
        let sweeps = sweeps.into_iter().flatten().filter(|_| allowed.sweep);
        let compare = self.comparison.wake_at().filter(|_| allowed.compare);
        sweeps.chain(compare).min()
    }

    /// The piece of a listing to read now, if one is due; `platforms` is called only then.
    pub fn scan(
        &mut self,
        now: Instant,
        platforms: impl FnOnce() -> Vec<String>,
    ) -> Option<ScanRequest> {
        self.orphans.next_at().filter(|at| now >= *at)?;
        let spec = &self.assignment.spec;
        let default = &spec.scoring.default_platform;
        let Some(place) = self.orphans.begin(&platforms(), default) else {
            self.orphans.ended(now);
            self.hashes.listings_swept(now);
            return None;
        };
        Some(ScanRequest {
            listing: place.listing,
            keys: spec.sink.keys.clone(),
            platform: place.platform,
            cursor: place.cursor,
            ordinal: self.assignment.ordinal,
            generation: self.assignment.generation,
        })
    }

    /// A piece was read, or could not be.
    pub fn scanned(
        &mut self,
        now: Instant,
        state: &mut State,
        fill: &mut Fill,
        piece: Option<&Scanned>,
    ) {
        let is_orphan =
            |platform: &str, kol: &str| fill.reconcile(state, platform, kol) == Reconciled::Orphan;
        self.orphans.scanned(now, piece, is_orphan);
    }

    /// Where to look now for hashes that nothing names, behind this fence, if that is due.
    pub fn look_for_hashes(&mut self, now: Instant, fence: &Fence) -> Option<HashesRequest> {
        Some(HashesRequest {
            from: self.hashes.begin(now)?,
            keys: self.assignment.spec.sink.keys.clone(),
            fence: fence.key.clone(),
            generation: fence.generation,
        })
    }

    /// A piece of all keys was looked through, or could not be.
    pub fn hashes_read(&mut self, now: Instant, state: &State, piece: Option<&Hashes>) {
        let is_known = |platform: &str, kol: &str| state.find(platform, kol).is_some();
        let found = self.hashes.read(now, piece, is_known);
        if let Some(hashes) = self.forgotten.add(now, found as u64) {
            tracing::warn!(
                code = "HASHES_FORGOTTEN",
                job = self.assignment.spec.name.as_str(),
                partition = %self.assignment.partition,
                hashes,
                "hashes of an older generation are in no ranking and have no slots: removing them"
            );
        }
    }

    /// Adds orphans that were found to a flush.
    pub fn remove(&mut self, state: &State, fill: &mut Fill, calls: &mut Calls<'_>) {
        let is_known = |platform: &str, kol: &str| state.find(platform, kol).is_some();
        if let Some((platform, kols)) = self.hashes.take(KOLS_A_CALL, is_known) {
            fill.forget(&platform, &kols, calls);
        }
        if let Some((platform, kols)) = self.orphans.take(KOLS_A_CALL, is_known) {
            fill.remove(platform, kols, calls);
        }
        self.strange
            .retain(|(platform, kol)| !is_known(platform, kol));
        let Some((platform, _)) = self.strange.first() else {
            return;
        };
        let platform = platform.clone();
        let of_platform = |(of, _): &mut (String, String)| *of == platform;
        let kols = self.strange.extract_if(.., of_platform).take(KOLS_A_CALL);
        let kols: Vec<String> = kols.map(|(_, kol)| kol).collect();
        // If the flush fails, they are found once more.
        fill.remove(&platform, &kols, calls);
    }

    fn look_for_strangers(
        &mut self,
        now: Instant,
        state: &State,
        platform: PlatformIndex,
        present: &Present,
    ) {
        let name = state.platform_name(platform);
        let is_known = |kol: &str| state.find(name, kol).is_some();
        let seen = present.strange.as_deref();
        let out = self.strangers.seen(now, platform, seen, is_known);
        if let Some(members) = self.taken_out.add(now, out.len() as u64) {
            tracing::warn!(
                code = "RANKING_STRANGERS",
                job = self.assignment.spec.name.as_str(),
                partition = %self.assignment.partition,
                platform = name,
                members,
                "a ranking has members that no partition has sent: taking them out"
            );
        }
        let named = out.into_iter().map(|kol| (name.to_owned(), kol));
        self.strange.extend(named);
    }

    /// The fence was claimed, while these keys were of a wrong type.
    pub fn claimed(&mut self, now: Instant, fill: &Fill, refused: &[String]) {
        fill.rechecked(refused, &mut self.refusals);
        self.recheck(now, fill);
    }

    fn recheck(&mut self, now: Instant, fill: &Fill) {
        let needed = fill.needs_recheck(&self.refusals);
        self.recheck_at = needed.then(|| now + RECHECK);
    }

    /// When a flush must be sent also without anything in it: only its answer tells whether a key that belongs to
    /// no creator is right again.
    pub fn recheck_at(&self) -> Option<Instant> {
        self.recheck_at
    }

    /// Hashes of alerts that a flush looks at again.
    pub fn to_recheck(&self) -> Vec<String> {
        self.refusals.alerts().cloned().collect()
    }

    /// A flush is sent, with so many merges.
    pub fn sent(&mut self, merges: usize) {
        self.only_rechecks = merges == 0;
    }

    /// The flush under way was answered: with these keys of a wrong type, or not as it should.
    pub fn flushed(&mut self, now: Instant, state: &State, fill: &Fill, flushed: Option<&Flushed>) {
        if let Some(flushed) = flushed {
            match &*flushed.refused {
                keys if self.only_rechecks => fill.rechecked(keys, &mut self.refusals),
                keys => fill.refused(state, keys, &mut self.refusals),
            }
            self.refusals.set_alerts(&flushed.refused_alerts);
        }
        self.recheck(now, fill);
        self.orphans.removed(flushed.is_some());
        self.hashes.removed(flushed.is_some());
    }

    /// The calls that compare the next slice, as one of so many partitions of the job, if one is due and there is anything to
    /// compare. Redis had confirmed this sequence.
    pub fn compare(
        &mut self,
        now: Instant,
        partitions: u32,
        state: &State,
        fill: &Fill,
        owner: (&Fence, u64),
    ) -> Vec<Cmd> {
        if now < self.comparison.next_at() {
            return Vec::new();
        }
        let sent = |kol| fill.sent(state, kol);
        self.comparison.begin(partitions, state.bound(), sent);
        let slice = self.comparison.slice().iter();
        let calls: Vec<_> = slice
            .map(|piece| fill.compare(state, owner, piece, self.strangers.place(piece.0)))
            .collect();
        if calls.is_empty() {
            self.comparison.ended(now, None, 0);
        }
        calls
    }

    /// A slice was compared, or could not be: what Redis has otherwise than it was sent waits again.
    pub fn compared(
        &mut self,
        now: Instant,
        state: &mut State,
        fill: &mut Fill,
        fence: &Fence,
        found: Option<&Compared>,
    ) {
        let kols = state.bound();
        let slice = self.comparison.ended(now, found.map(|f| f.took), kols);
        if found.is_some_and(|f| f.stamps_lost) {
            // The end of a flush writes them, whatever is in it.
            self.recheck_at.get_or_insert(now + RECHECK);
        }
        let assignment = Arc::clone(&self.assignment);
        let by = (&*assignment.scoring, fence);
        let mut repaired = 0;
        for (piece, present) in slice.iter().zip(found.iter().flat_map(|f| &f.pieces)) {
            repaired += fill.compared(state, by, piece, present, &mut self.refusals);
            self.look_for_strangers(now, state, piece.0, present);
        }
        if let Some(creators) = self.repairs.add(now, repaired) {
            tracing::warn!(
                code = "REDIS_REPAIRED",
                job = self.assignment.spec.name.as_str(),
                partition = %self.assignment.partition,
                creators,
                "Redis lost creators that it had confirmed, or somebody wrote over them: writing them again"
            );
        }
    }
}

#[cfg(test)]
#[path = "upkeep_tests.rs"]
mod tests;
