//! Whom readers of a ranking see: creators among the first of it, or about to be, do not wait in line for as long as
//! the others. A machine without I/O.
//!
//! 1. Nobody is chosen unless the first in line have waited for a second: far behind the head of the log, where all
//!    wait, and where more changes than Redis can take.
//! 2. Then Redis says once a second at which score the visible top of each ranking ends. Who was sent with at least
//!    that score, and waits for a second, goes first; so does who has that score now. The latter is looked at for a
//!    part of the line only: to compute a score takes as long as to send it. What Redis did not answer is requested again
//!    although nobody waits any more: while that fails it is a problem, and nothing else ends it.
//! 3. Who goes first keeps its place in the line: the order of all others stays, and epochs wait for places.

use std::time::Duration;

use tokio::time::Instant;

use super::ledger::Ledger;
use super::line::Line;
use crate::state::{Consumer, KolIndex, PlatformIndex, State};

/// How long a creator of the visible top waits, and how often some are chosen.
const SOON: Duration = Duration::from_secs(1);
/// How long after a sample that failed the next one is taken although nobody waits: only that shows that it is answered.
const AGAIN: Duration = Duration::from_secs(5);
/// Creators that are chosen at once, and whose scores are computed for that, at most.
const MOST: usize = 1_000;
const MOST_SCORED: usize = 2_048;

/// See the module.
#[derive(Debug)]
pub struct Early {
    choose_at: Instant,
    sample_at: Instant,
    /// Scores at which the visible top of a ranking ends, by platform number; not a number where that is not known.
    lowest: Vec<f32>,
    /// The scores of those in line before this place were computed.
    scored: u64,
    chosen: Vec<KolIndex>,
}

impl Early {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Self {
        Self {
            choose_at: now,
            sample_at: now,
            lowest: Vec::new(),
            scored: 0,
            chosen: Vec::new(),
        }
    }

    /// Whether Redis should say now where the visible tops end; if so the caller requests it. `failed`: it did not the
    /// last time.
    pub fn begin_sample(&mut self, now: Instant, line: &Line, failed: bool) -> bool {
        let waits = now >= self.sample_at && line.waited(now, SOON) > 0;
        let due = waits || failed && now >= self.sample_at + (AGAIN - SOON);
        if due {
            self.sample_at = now + SOON;
        }
        due
    }

    /// The visible top of a platform's ranking ends at this score; `None`: all of it is visible.
    pub fn sampled(&mut self, platform: PlatformIndex, lowest: Option<f64>) {
        let platform = platform as usize;
        if platform >= self.lowest.len() {
            self.lowest.resize(platform + 1, f32::NAN);
        }
        self.lowest[platform] = lowest.map_or(f32::NEG_INFINITY, |score| score as f32);
    }

    /// Chooses some, if that is due; `score` computes the score of a KOL.
    pub fn choose(
        &mut self,
        now: Instant,
        state: &State,
        (line, ledger): (&Line, &Ledger),
        score: impl Fn(KolIndex) -> Option<f64>,
    ) {
        if now < self.choose_at || self.lowest.iter().all(|lowest| lowest.is_nan()) {
            return;
        }
        let waited = line.waited(now, SOON);
        if waited == 0 {
            return;
        }
        self.choose_at = now + SOON;
        self.chosen.clear();
        let mut to_score = MOST_SCORED;
        for place in 0..waited {
            let Some(kol) = state.waiting_at(Consumer::Delivery, place) else {
                break;
            };
            if self.chosen.len() == MOST {
                break;
            }
            let is_new = line.first() + place as u64 >= self.scored;
            let mut visible = self.is_visible(state, kol, ledger.score(kol));
            if !visible && is_new && to_score > 0 {
                to_score -= 1;
                self.scored = line.first() + place as u64 + 1;
                visible = score(kol).is_some_and(|s| self.is_visible(state, kol, s as f32));
            }
            if visible && !ledger.is_in_flight(kol) {
                self.chosen.push(kol);
            }
        }
    }

    /// Whether a KOL with this score is in the visible top of its ranking.
    fn is_visible(&self, state: &State, kol: KolIndex, score: f32) -> bool {
        if score.is_nan() {
            return false;
        }
        let platform = state.name(kol).map(|(platform, _)| platform as usize);
        let lowest = platform.and_then(|platform| self.lowest.get(platform));
        lowest.is_some_and(|lowest| score >= *lowest)
    }

    /// Whether some wait to go first.
    pub fn are_chosen(&self) -> bool {
        !self.chosen.is_empty()
    }

    /// The next that goes first.
    pub fn take(&mut self) -> Option<KolIndex> {
        self.chosen.pop()
    }

    /// The state starts over.
    pub fn start_over(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

#[cfg(test)]
#[path = "early_tests.rs"]
mod tests;
