//! Starts what is done for Redis beside flushes: sweeps, comparisons, and snapshots of the rankings.

use kol_common::Millis;
use kol_common::proto::JobTick;
use tokio::time::Instant;

use super::Outbox;
use crate::partition::delivery::outcome::Scope;
use crate::partition::delivery::upkeep::Allowed;
use crate::sink::SnapshotRequest;
use crate::state::State;

impl Outbox {
    /// Comparisons once everything was sent; sweeps near the head of the log, and once everything is shown,
    /// too: they must not take out what is only late to come.
    pub(super) fn allowed(&self, scope: Scope) -> Allowed {
        let ready = self.flusher.is_ready() && self.flusher.confirmed().is_some();
        Allowed {
            sweep: ready && scope == Scope::Everything && self.rankings.are_shown(),
            compare: ready,
        }
    }

    /// Starts a piece of a sweep, or a comparison, if one is due.
    pub(super) fn keep_up(&mut self, now: Instant, state: &State, scope: Scope, tick: &JobTick) {
        let allowed = self.allowed(scope);
        if self.requests.are_idle() && allowed.sweep {
            let platforms = || self.rankings.platforms(state.platforms());
            if let Some(piece) = self.upkeep.scan(now, platforms) {
                self.requests.scan(piece);
            } else if let Some(piece) = self.upkeep.look_for_hashes(now, &self.fence) {
                self.requests.hashes(piece);
            }
        }
        if self.requests.are_idle() && allowed.compare {
            let owner = (&self.fence, self.flusher.done());
            let calls = self
                .upkeep
                .compare(now, tick.partitions, state, &self.fill, owner);
            if !calls.is_empty() {
                self.requests.compare(self.fence.key.clone(), calls);
            }
        }
        if self.requests.are_idle() && allowed.compare {
            self.keep_rankings(now, state, scope, tick);
        }
    }

    /// Takes the snapshot that is due, if one is: near the head of the log, and once the rankings are shown. Far behind it they
    /// are of another time than the clock says.
    fn keep_rankings(&mut self, now: Instant, state: &State, scope: Scope, tick: &JobTick) {
        if scope != Scope::Everything || !self.rankings.are_shown() {
            return;
        }
        let clock = tick.clock_ms.map(Millis).max(state.clock());
        let Some((at, rules)) = self.history.begin(now, clock) else {
            return;
        };
        let spec = &self.assignment.spec;
        let first = spec.scoring.always_admitted().map(str::to_owned);
        self.requests.snapshot(Box::new(SnapshotRequest {
            fence: self.fence.clone(),
            keys: spec.sink.keys.clone(),
            first: first.collect(),
            at,
            window_end: self.assignment.scoring.time(state.window_end()),
            rules,
        }));
    }
}
