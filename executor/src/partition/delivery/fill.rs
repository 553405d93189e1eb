//! Fills one flush: what changed, what must be rescored, and strays, as merge calls.

use kol_common::Millis;
use kol_common::proto::{Confirmed, JobTick};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::encode::{CallContext, KOLS_A_CALL};
use super::outbox::{Outbox, Pending, Scan};
use crate::partition::message::Assignment;
use crate::sink::{Fence, FlushRequest, SinkMessage};
use crate::state::{KolIndex, Outgoing, State};

/// KOLs in one flush: near the head of the log, and far behind it.
const FLUSH_KOLS: usize = 4_096;
const FLUSH_KOLS_BEHIND: usize = 16_384;
/// Slots looked at for rescoring in one flush.
const SCAN_SLOTS: usize = 100_000;

impl Outbox {
    pub(super) fn flush(
        &mut self,
        now: Instant,
        state: &mut State,
        position: u64,
        behind: bool,
        tick: &JobTick,
    ) {
        let sequence = self.flusher.next_sequence();
        let now_text = Millis::now().iso();
        let mut merges = Vec::new();
        let complete = self.collect(state, behind, tick, sequence, &now_text, &mut merges);
        let confirms = complete.then(|| Confirmed {
            position,
            window_end_ms: self.assignment.scoring.time(state.window_end()).0,
            market_version: tick.market_version,
            sequence,
        });
        if merges.is_empty() {
            if let Some(confirms) = confirms {
                self.flusher.nothing_to_send(confirms);
            }
            self.look_for_arrival(state);
            return;
        }
        let newest = tick.newest_event_ms.max(state.clock().map(|c| c.0));
        let keys = &self.assignment.spec.sink.keys;
        let request = Box::new(FlushRequest {
            fence: self.fence.clone(),
            sequence: self.flusher.begin(now, behind, confirms),
            confirmed: self.flusher.done(),
            shown: (position, state.window_end()),
            merges,
            stamps: (keys.last_update.clone(), keys.last_event.clone()),
            times: (
                now_text,
                newest.map_or_else(String::new, |ms| Millis(ms).iso()),
            ),
        });
        let (reply, answer) = oneshot::channel();
        self.pending = Some(Pending::Flush(answer));
        self.tell(SinkMessage::Flush { request, reply });
    }

    /// Takes what changed and, near the head of the log, what must be rescored; true when nothing is
    /// left.
    fn collect(
        &mut self,
        state: &mut State,
        behind: bool,
        tick: &JobTick,
        sequence: u64,
        now: &str,
        merges: &mut Vec<redis::Cmd>,
    ) -> bool {
        let limit = if behind {
            FLUSH_KOLS_BEHIND
        } else {
            FLUSH_KOLS
        };
        let mut call = Call {
            tick,
            sequence,
            now,
            merges,
        };
        while self.in_flight.len() < limit {
            let Some(kol) = state.take_touched() else {
                break;
            };
            self.take(state, kol, &mut call);
        }
        let target = (state.window_end(), tick.market_version);
        if (self.scan.window_end, self.scan.market_version) != target {
            self.scan = Scan {
                at: 0,
                window_end: target.0,
                market_version: target.1,
            };
        }
        if !behind {
            let stop = state.bound().min(self.scan.at + SCAN_SLOTS);
            while self.scan.at < stop && self.in_flight.len() < limit {
                let kol = self.scan.at as KolIndex;
                self.scan.at += 1;
                if state.needs_rescore(kol, tick.market_version) {
                    self.take(state, kol, &mut call);
                }
            }
        }
        for platform in 0..self.chunks.len() {
            self.encode(state, platform, &mut call);
        }
        self.show_rankings(state, &mut call);
        self.remove_strays(state, &mut call);
        state.is_untouched() && self.scan.at >= state.bound()
    }

    fn take(&mut self, state: &mut State, kol: KolIndex, call: &mut Call<'_>) {
        let Some(outgoing) = state.outgoing(kol) else {
            return;
        };
        let Some((platform, _)) = state.name(kol) else {
            return;
        };
        state.sending(kol, &outgoing, call.tick.market_version);
        self.in_flight
            .push((kol, matches!(outgoing, Outgoing::Remove)));
        let platform = usize::from(platform);
        if platform >= self.chunks.len() {
            self.chunks.resize_with(platform + 1, Vec::new);
        }
        self.chunks[platform].push((kol, outgoing));
        if self.chunks[platform].len() == KOLS_A_CALL {
            self.encode(state, platform, call);
        }
    }

    fn encode(&mut self, state: &State, platform: usize, call: &mut Call<'_>) {
        if self.chunks[platform].is_empty() {
            return;
        }
        let name = state.platform_name(platform as u16);
        let context = call.context(&self.assignment, &self.fence, name);
        let kols: Vec<(&str, Outgoing)> = self.chunks[platform]
            .iter()
            .map(|(kol, outgoing)| (state.name(*kol).map_or("", |(_, n)| n), *outgoing))
            .collect();
        call.merges.push(self.encoder.call(&context, &kols));
        self.chunks[platform].clear();
    }

    /// Says of each platform that its ranking may be shown, once: there may be nothing else to say.
    fn show_rankings(&mut self, state: &State, call: &mut Call<'_>) {
        if !self.owes_the_flip(call.tick) {
            return;
        }
        let platforms = self.platforms(state);
        for platform in &platforms {
            let context = call.context(&self.assignment, &self.fence, platform);
            call.merges.push(self.encoder.call(&context, &[]));
        }
        if platforms.is_empty() {
            // There is nothing to say it of, and no answer that would end the debt.
            self.shown = true;
        } else {
            self.showing = true;
        }
    }

    /// Takes KOLs out of Redis that the sweep found and nobody knows.
    fn remove_strays(&mut self, state: &State, call: &mut Call<'_>) {
        let strays = self.sweep.take(KOLS_A_CALL, state);
        let Some((platform, kols)) = strays else {
            return;
        };
        let context = call.context(&self.assignment, &self.fence, platform);
        let removals: Vec<(&str, Outgoing)> =
            kols.iter().map(|kol| (&**kol, Outgoing::Remove)).collect();
        call.merges.push(self.encoder.call(&context, &removals));
    }
}

/// What the merge calls of one flush have in common.
struct Call<'a> {
    tick: &'a JobTick,
    sequence: u64,
    now: &'a str,
    merges: &'a mut Vec<redis::Cmd>,
}

impl Call<'_> {
    fn context<'c>(
        &'c self,
        assignment: &'c Assignment,
        fence: &'c Fence,
        platform: &'c str,
    ) -> CallContext<'c> {
        let known = self.tick.market.iter().find(|m| m.platform == platform);
        CallContext {
            scoring: &assignment.scoring,
            fence,
            sequence: self.sequence,
            platform,
            market: known.map_or(0.0, |m| m.mean),
            market_version: self.tick.market_version,
            now: self.now,
            live: self.tick.live,
        }
    }
}
