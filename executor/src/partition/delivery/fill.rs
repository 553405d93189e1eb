//! Fills flushes with what changed and what must be rescored, as merge calls, and keeps what Redis was
//! sent.

use std::collections::BTreeSet;

use kol_common::proto::JobTick;
use kol_common::scoring::Scoring;
use redis::Cmd;

use super::encode::{CallContext, Encoder, KOLS_A_CALL, Outgoing};
use super::ledger::{Ledger, Sent};
use super::line::Line;
use super::refusals::Refusals;
use crate::sink::{Difference, Fence};
use crate::state::{Consumer, KolIndex, PlatformIndex, State};

/// KOLs in one flush: near the head of the log, and far behind it.
const FLUSH_KOLS: usize = 4_096;
const FLUSH_KOLS_BEHIND: usize = 16_384;
/// Slots looked at for rescoring in one flush.
const PASS_SLOTS: usize = 100_000;

/// See the module.
#[derive(Debug)]
pub struct Fill {
    encoder: Encoder,
    /// KOLs for the next merge call, by platform number.
    chunks: Vec<Vec<(KolIndex, Outgoing)>>,
    pass: Pass,
    ledger: Ledger,
    line: Line,
}

/// How far all slots were looked at for rescoring, at this window end and market version.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pass {
    next: usize,
    window_end: u64,
    market_version: u64,
}

/// What the merge calls of one flush have in common, and the calls.
#[derive(Debug)]
pub struct Calls<'a> {
    /// Constants of the score.
    pub scoring: &'a Scoring,
    /// Fence of the partition.
    pub fence: &'a Fence,
    /// The newest word of the master.
    pub tick: &'a JobTick,
    /// Sequence of the flush.
    pub sequence: u64,
    /// The time now, ISO 8601.
    pub now: &'a str,
    /// The calls.
    pub merges: Vec<Cmd>,
}

/// Whether a KOL in Redis is one that the state knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// It is; if it should not be there, it waits to be removed.
    Known,
    /// It is not: only whoever found it can have it removed.
    Orphan,
}

impl Fill {
    /// Of a partition that has sent nothing.
    pub fn new(encoder: Encoder) -> Self {
        Self {
            encoder,
            chunks: Vec::new(),
            pass: Pass::default(),
            ledger: Ledger::default(),
            line: Line::default(),
        }
    }

    /// Starts from a restored state: of what Redis has, or of nothing, and then everything waits.
    pub fn restored(&mut self, state: &mut State, sent: Option<Sent>) {
        match sent {
            Some(sent) => self.ledger = Ledger::of_confirmed(state, sent),
            None => self.send_everything(state),
        }
    }

    /// The state starts over, and what is in flight is of the one before.
    pub fn start_over(&mut self) {
        self.ledger = Ledger::default();
        self.line.forget_awaited();
        self.pass = Pass::default();
    }

    /// Nothing that was awaited will arrive.
    pub fn forget_awaited(&mut self) {
        self.line.forget_awaited();
    }

    /// Takes what changed and, near the head of the log, what must be rescored, as much as there is `room` for,
    /// in KOLs; true when nothing is left.
    pub fn collect(
        &mut self,
        state: &mut State,
        behind: bool,
        room: usize,
        calls: &mut Calls<'_>,
    ) -> bool {
        let most = if behind {
            FLUSH_KOLS_BEHIND
        } else {
            FLUSH_KOLS
        };
        let limit = most.min(room);
        while self.ledger.in_flight() < limit {
            let Some(kol) = state.take_changed(Consumer::Delivery) else {
                break;
            };
            self.line.take_one();
            self.take(state, kol, calls);
        }
        let market_version = calls.tick.market_version;
        if !self.pass.is_of(state, market_version) {
            self.pass = Pass {
                next: 0,
                window_end: state.window_end(),
                market_version,
            };
        }
        if !behind {
            let stop = state.bound().min(self.pass.next + PASS_SLOTS);
            while self.pass.next < stop && self.ledger.in_flight() < limit {
                let kol = self.pass.next as KolIndex;
                self.pass.next += 1;
                if self.ledger.is_outdated(state, kol, market_version) {
                    self.take(state, kol, calls);
                }
            }
        }
        for platform in 0..self.chunks.len() {
            self.encode(state, platform, calls);
        }
        state.waiting(Consumer::Delivery) == 0 && self.pass.next >= state.bound()
    }

    fn take(&mut self, state: &State, kol: KolIndex, calls: &mut Calls<'_>) {
        let Some(outgoing) = self.ledger.outgoing(state, kol) else {
            return;
        };
        let Some((platform, _)) = state.name(kol) else {
            return;
        };
        self.ledger
            .sending(kol, &outgoing, calls.tick.market_version);
        let platform = platform as usize;
        if platform >= self.chunks.len() {
            self.chunks.resize_with(platform + 1, Vec::new);
        }
        self.chunks[platform].push((kol, outgoing));
        if self.chunks[platform].len() == KOLS_A_CALL {
            self.encode(state, platform, calls);
        }
    }

    fn encode(&mut self, state: &State, platform: usize, calls: &mut Calls<'_>) {
        if self.chunks[platform].is_empty() {
            return;
        }
        let name = state.platform_name(platform as PlatformIndex);
        let kols: Vec<(&str, Outgoing)> = self.chunks[platform]
            .iter()
            .map(|(kol, outgoing)| (state.name(*kol).map_or("", |(_, n)| n), *outgoing))
            .collect();
        let call = self.encoder.call(&calls.context(name), &kols);
        calls.merges.push(call);
        self.chunks[platform].clear();
    }

    /// Says of a platform that its ranking may be shown: there may be nothing else to say.
    pub fn show(&mut self, platform: &str, calls: &mut Calls<'_>) {
        let call = self.encoder.call(&calls.context(platform), &[]);
        calls.merges.push(call);
    }

    /// Takes orphans out of Redis.
    pub fn remove(&mut self, platform: &str, orphans: &[String], calls: &mut Calls<'_>) {
        let removals: Vec<(&str, Outgoing)> = orphans
            .iter()
            .map(|kol| (&**kol, Outgoing::Remove))
            .collect();
        let call = self.encoder.call(&calls.context(platform), &removals);
        calls.merges.push(call);
    }

    /// Whether KOLs are left to send at this window end and market version.
    pub fn is_wanted(&self, state: &State, behind: bool, tick: &JobTick) -> bool {
        let rescore =
            self.pass.next < state.bound() || !self.pass.is_of(state, tick.market_version);
        state.waiting(Consumer::Delivery) > 0 || (rescore && !behind)
    }

    /// Of the flush under way Redis refused what belongs to these keys: they are of a wrong type.
    pub fn refused(&self, state: &State, keys: &[String], refusals: &mut Refusals) {
        if keys.is_empty() && refusals.are_none() {
            return;
        }
        let mut others: BTreeSet<String> = keys.iter().cloned().collect();
        let keys = others.clone();
        for (kol, removes) in self.ledger.under_way() {
            let Some((platform, name)) = state.name(*kol) else {
                continue;
            };
            let mut own = self.encoder.keys_of(state.platform_name(platform), name);
            match own.find(|key| keys.contains(key)) {
                Some(key) if !removes => {
                    others.remove(&key);
                    refusals.refused(*kol, || key);
                }
                _ => refusals.well(*kol),
            }
        }
        refusals.others(others);
    }

    /// Of a flush without merges Redis refused these keys.
    pub fn rechecked(&self, keys: &[String], refusals: &mut Refusals) {
        refusals.rechecked(keys, |key| self.encoder.is_of_flush(key));
    }

    /// Whether a flush should be sent even without anything in it, to see whether a key is right again.
    pub fn needs_recheck(&self, refusals: &Refusals) -> bool {
        refusals.need_recheck(|key| self.encoder.is_of_flush(key))
    }

    /// Whether Redis should have a KOL as it was sent, and its platform.
    pub fn platform_of_sent(&self, state: &State, kol: KolIndex) -> Option<PlatformIndex> {
        let there = self.ledger.should_be_there(kol);
        there.then(|| state.name(kol)).flatten().map(|(p, _)| p)
    }

    /// The call that compares KOLs of one platform.
    pub fn compare(
        &mut self,
        state: &State,
        fence: &Fence,
        platform: PlatformIndex,
        kols: &[KolIndex],
    ) -> Cmd {
        let names = kols.iter().filter_map(|kol| state.name(*kol));
        let names: Vec<&str> = names.map(|(_, name)| name).collect();
        self.encoder
            .compare(fence, state.platform_name(platform), &names)
    }

    /// Acts on a comparison of some KOLs of one platform: what Redis lost waits again. How many.
    pub fn compared(
        &mut self,
        state: &mut State,
        (platform, kols): (PlatformIndex, &[KolIndex]),
        difference: &Difference,
        refusals: &mut Refusals,
    ) -> u64 {
        refusals.platform(platform, difference.keys.iter().cloned());
        for (place, kol) in kols.iter().enumerate() {
            if !difference.wrong.contains(&place) {
                refusals.well(*kol);
            } else if let Some((platform, name)) = state.name(*kol) {
                let mut keys = self.encoder.keys_of(state.platform_name(platform), name);
                refusals.refused(*kol, || keys.next().unwrap_or_default());
            }
        }
        if !difference.keys.is_empty() {
            // What is sent now would be refused. When the key is right again, the next round finds it lost.
            return 0;
        }
        let everything = 0..state.bound() as KolIndex;
        let everything = everything.filter(|_| difference.whole);
        let lost = difference.lost.iter().filter_map(|place| kols.get(*place));
        let mut repaired = 0;
        for kol in lost.copied().chain(everything) {
            let of_platform = state.name(kol).is_some_and(|(p, _)| p == platform);
            if of_platform && self.ledger.lost(kol) {
                state.put_back(Consumer::Delivery, kol);
                repaired += 1;
            }
        }
        repaired
    }

    /// Redis confirmed the flush: how many KOLs it had.
    pub fn confirm(&mut self) -> usize {
        self.ledger.confirm()
    }

    /// The flush failed: its KOLs wait again.
    pub fn fail(&mut self, state: &mut State) {
        self.ledger
            .fail(|kol| state.put_back(Consumer::Delivery, kol));
        self.line.set_back(state.waiting(Consumer::Delivery));
    }

    /// Redis lost data: everything waits again.
    pub fn send_everything(&mut self, state: &mut State) {
        self.ledger.forget_sent();
        for kol in 0..state.bound() as KolIndex {
            if state.name(kol).is_some() {
                state.put_back(Consumer::Delivery, kol);
            }
        }
        self.line.set_back(state.waiting(Consumer::Delivery));
        self.pass = Pass::default();
    }

    /// Everything that waits now must arrive in Redis.
    pub fn await_all(&mut self, state: &State) {
        self.line.await_all(state.waiting(Consumer::Delivery));
    }

    /// Whether what is awaited has arrived; says so once.
    pub fn settle(&mut self) -> bool {
        self.ledger.in_flight() == 0 && self.line.settle()
    }

    /// Redis has a KOL for which this partition answers.
    pub fn reconcile(&mut self, state: &mut State, platform: &str, name: &str) -> Reconciled {
        let Some(kol) = state.find(platform, name) else {
            return Reconciled::Orphan;
        };
        if self.ledger.outgoing(state, kol).is_none() {
            self.ledger.found(kol);
            state.put_back(Consumer::Delivery, kol);
        }
        Reconciled::Known
    }

    /// Whether a KOL's index must stay as it is: Redis has it, may have it, or is being sent it.
    pub fn holds(&self, kol: KolIndex) -> bool {
        self.ledger.holds(kol)
    }

    /// How many KOLs the flush under way has.
    pub fn in_flight(&self) -> usize {
        self.ledger.in_flight()
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.ledger.bytes()
    }
}

impl Pass {
    fn is_of(&self, state: &State, market_version: u64) -> bool {
        (self.window_end, self.market_version) == (state.window_end(), market_version)
    }
}

impl Calls<'_> {
    fn context<'c>(&'c self, platform: &'c str) -> CallContext<'c> {
        let known = self.tick.market.iter().find(|m| m.platform == platform);
        CallContext {
            scoring: self.scoring,
            fence: self.fence,
            sequence: self.sequence,
            place: self.merges.len() + 1,
            platform,
            market: known.map_or(0.0, |m| m.mean),
            market_version: self.tick.market_version,
            now: self.now,
            shown: self.tick.rankings_shown,
        }
    }
}
