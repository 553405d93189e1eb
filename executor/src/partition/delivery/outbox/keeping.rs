//! Keeps the rankings as they are shown.

use kol_common::Millis;
use kol_common::proto::JobTick;
use tokio::time::Instant;

use super::Outbox;
use crate::partition::delivery::outcome::Scope;
use crate::sink::SnapshotRequest;
use crate::state::State;

impl Outbox {
    /// Takes the snapshot that is due, if one is: near the head of the log, and once the rankings are shown. Far behind it they
    /// are of another time than the clock says.
    pub(super) fn keep_rankings(
        &mut self,
        now: Instant,
        state: &State,
        scope: Scope,
        tick: &JobTick,
    ) {
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
