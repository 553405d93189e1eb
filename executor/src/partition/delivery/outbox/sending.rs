//! Fills a flush and sends it, when it is the partition's turn.

use kol_common::Millis;
use kol_common::proto::{Confirmed, JobTick};
use tokio::time::Instant;

use super::Outbox;
use crate::partition::delivery::fill::Calls;
use crate::partition::delivery::outcome::{Arrived, Reached, Scope};
use crate::partition::delivery::shown;
use crate::sink::FlushRequest;
use crate::state::State;

/// Platforms whose visible top goes first.
const MOST_TOPS: usize = 16;

impl Outbox {
    /// Whether KOLs are to be sent.
    pub(super) fn has_to_send(
        &self,
        now: Instant,
        state: &State,
        scope: Scope,
        tick: &JobTick,
    ) -> bool {
        self.fill.is_wanted(now, state, scope, tick) || self.upkeep.has_orphans()
    }

    /// When a flush is due although no KOL is to be sent.
    pub(super) fn next_other(&self, tick: &JobTick) -> Option<Instant> {
        let flip = self.rankings.flip_at(tick);
        flip.into_iter().chain(self.upkeep.recheck_at()).min()
    }

    /// The rankings whose visible top goes first, by the numbers of their platforms.
    pub(super) fn tops(&self, state: &State) -> Vec<String> {
        let keys = &self.assignment.spec.sink.keys;
        let platforms = state.platforms().iter().take(MOST_TOPS);
        platforms.map(|name| keys.ranking_key(name)).collect()
    }

    /// Flushes if it is this partition's turn; otherwise waits for that, if there is anything to send.
    pub(super) fn flush_in_turn(
        &mut self,
        now: Instant,
        state: &mut State,
        reached: Reached,
        tick: &JobTick,
    ) -> Option<Arrived> {
        if self.turn.has_come() {
            return self.flush(now, state, reached, tick);
        }
        let other = self.next_other(tick).is_some_and(|at| now >= at);
        if other || self.has_to_send(now, state, reached.scope, tick) {
            self.turn.wait();
            return None;
        }
        self.turn.give_up();
        if self.fill.waits_for_nothing(state) {
            let complete = self.fill.is_complete(state, tick);
            let confirms = complete.then(|| self.confirms(state, reached, tick));
            self.flusher.nothing_to_send(reached.position, confirms);
        }
        self.arrived()
    }

    /// What Redis has once everything was sent.
    fn confirms(&self, state: &State, reached: Reached, tick: &JobTick) -> Confirmed {
        Confirmed {
            position: reached.position,
            window_end_ms: self.assignment.scoring.time(state.window_end()).0,
            market_version: tick.market_version,
            sequence: self.flusher.next_sequence(),
        }
    }

    fn flush(
        &mut self,
        now: Instant,
        state: &mut State,
        reached: Reached,
        tick: &JobTick,
    ) -> Option<Arrived> {
        // Whatever comes of it, this was the turn.
        let turn = self.turn.take();
        let Some(reserved) = self.room.reserve(state.bound()) else {
            self.flusher.put_off(now);
            return None;
        };
        let sequence = self.flusher.next_sequence();
        let now_text = Millis::now().iso();
        let newest = tick.newest_event_ms.max(state.clock().map(|c| c.0));
        let mut calls = Calls {
            job: &self.assignment.spec.name,
            scoring: &self.assignment.scoring,
            fence: &self.fence,
            tick,
            sequence,
            now: &now_text,
            clock: newest.map(Millis),
            merges: Vec::new(),
            alerts: Vec::new(),
        };
        let room = reserved.kols();
        let complete = self
            .fill
            .collect(now, state, reached.scope, room, &mut calls);
        if self.rankings.flip_at(tick).is_some_and(|at| now >= at) {
            for platform in self.rankings.flip(&state.present_platforms()) {
                self.fill.show(&platform, &mut calls);
            }
        }
        self.upkeep.remove(state, &mut self.fill, &mut calls);
        let (merges, alerts) = (calls.merges, calls.alerts);
        let confirms = complete.then(|| self.confirms(state, reached, tick));
        let rechecks = self.upkeep.recheck_at().is_some_and(|at| now >= at);
        if merges.is_empty() && !rechecks {
            self.flusher.nothing_to_send(reached.position, confirms);
            return self.arrived();
        }
        self.room.hold(reserved, self.fill.in_flight());
        self.upkeep.sent(merges.len());
        let keys = &self.assignment.spec.sink.keys;
        self.requests.flush(Box::new(FlushRequest {
            fence: self.fence.clone(),
            sequence: self.flusher.begin(now, reached.position, confirms),
            confirmed: self.flusher.done(),
            shown: (reached.position, state.window_end()),
            last: shown::text(&self.log, reached.last),
            merges,
            alerts,
            recheck: self.upkeep.to_recheck(),
            turn,
            platforms: keys.platforms_key(),
            stamps: (keys.last_update.clone(), keys.last_event.clone()),
            times: (
                now_text,
                newest.map_or_else(String::new, |ms| Millis(ms).iso()),
            ),
        }));
        None
    }
}
