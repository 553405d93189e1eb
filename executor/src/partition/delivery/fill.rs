//! Fills flushes with what changed and what must be rescored, as merge calls, and keeps what Redis was
//! sent. What Redis has otherwise than it was sent: see `differences`.

mod differences;

use std::time::Duration;

use kol_common::Millis;
use kol_common::proto::JobTick;
use kol_common::scoring::{Scoring, merge};
use redis::Cmd;
use tokio::time::Instant;

pub use self::differences::Reconciled;
use super::early::Early;
use super::encode::{CallContext, Encoder, KOLS_A_CALL, Outgoing};
use super::ledger::{Ledger, Sent};
use super::line::Line;
use super::outcome::Scope;
use super::watch::{Moment, Watch};
use crate::sink::Fence;
use crate::state::{Consumer, KolIndex, PlatformIndex, State};

/// KOLs in one flush.
const FLUSH_KOLS: usize = 4_096;
/// KOLs that are brought into the cache together.
const TOGETHER: usize = 32;
/// Slots looked at for rescoring in one flush.
const PASS_SLOTS: usize = 100_000;
/// KOLs that one flush rescores: changes of this partition, and flushes of others, wait for no more than these.
const PASS_KOLS: usize = 1_024;

/// See the module.
#[derive(Debug)]
pub struct Fill {
    encoder: Encoder,
    /// Looks at the rules of alerts, if there are any.
    watch: Option<Watch>,
    /// KOLs for the next merge call, by platform number.
    chunks: Vec<Vec<(KolIndex, Outgoing)>>,
    pass: Pass,
    ledger: Ledger,
    line: Line,
    early: Early,
    /// Far behind the head of the log a KOL waits in line for so long: what happens to it meanwhile goes out together.
    patience: Duration,
    /// More was due than the flush under way could take.
    cut_short: bool,
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
    /// Name of the job.
    pub job: &'a str,
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
    /// Time of the newest event.
    pub clock: Option<Millis>,
    /// The merge calls that are filled so far.
    pub merges: Vec<Cmd>,
    /// Looks at the rules of alerts about their KOLs.
    pub alerts: Vec<Cmd>,
}

impl Fill {
    /// Of a partition that has sent nothing. Far behind the head of the log its KOLs wait for `patience`.
    pub fn new(encoder: Encoder, patience: Duration, now: Instant) -> Self {
        Self {
            encoder,
            watch: None,
            chunks: Vec::new(),
            pass: Pass::default(),
            ledger: Ledger::default(),
            line: Line::default(),
            early: Early::new(now),
            patience,
            cut_short: false,
        }
    }

    /// Has these rules looked at, of everybody who is sent.
    pub fn watch(&mut self, watch: Option<Watch>) {
        self.watch = watch;
    }

    /// Starts from a restored state: of what Redis has, or of nothing, and then everything waits.
    pub fn restored(&mut self, state: &mut State, sent: Option<Sent>) {
        match sent {
            Some(sent) => self.ledger = Ledger::of_confirmed(state, sent),
            None => self.send_everything(state),
        }
    }

    /// The state starts over, and what is in flight is of the one before.
    pub fn start_over(&mut self, now: Instant) {
        self.ledger = Ledger::default();
        self.line = Line::default();
        self.early.start_over(now);
        self.pass = Pass::default();
    }

    /// Nothing that was awaited will arrive.
    pub fn forget_awaited(&mut self) {
        self.line.forget_awaited();
    }

    /// Looks who waits, and who of them goes first.
    pub fn look(&mut self, now: Instant, state: &State, scoring: &Scoring, tick: &JobTick) {
        self.line.look(now, state.waiting(Consumer::Delivery));
        let both = (&self.line, &self.ledger);
        self.early.choose(now, state, both, |kol| {
            let (slot, (platform, _)) = (state.share(kol)?, state.name(kol)?);
            let sums = merge(scoring, std::slice::from_ref(&slot));
            let market = market_of(tick, state.platform_name(platform));
            Some(scoring.score(&sums, market).score)
        });
    }

    /// Whether Redis should say now where the visible tops of rankings end; `failed`: it did not the last time.
    pub fn begin_sample(&mut self, now: Instant, failed: bool) -> bool {
        self.early.begin_sample(now, &self.line, failed)
    }

    /// The visible top of a platform's ranking ends at this score.
    pub fn sampled(&mut self, platform: PlatformIndex, lowest: Option<f64>) {
        self.early.sampled(platform, lowest);
    }

    /// Since when the oldest change that is not in Redis has waited.
    pub fn oldest(&self, state: &State) -> Option<Instant> {
        self.line.oldest(state.waiting(Consumer::Delivery))
    }

    /// Since when the oldest change in flight, or one that failed to arrive, has waited.
    pub fn in_flight_since(&self) -> Option<Instant> {
        self.line.oldest(0)
    }

    /// Since when something is awaited.
    pub fn awaited_since(&self) -> Option<Instant> {
        self.line.awaited_since()
    }

    /// How many KOLs may be taken of the line.
    fn due(&self, now: Instant, state: &State, scope: Scope) -> usize {
        let waiting = state.waiting(Consumer::Delivery);
        match scope {
            Scope::Everything | Scope::Changes => waiting,
            Scope::WhatWaited => waiting.min(self.line.waited(now, self.patience)),
        }
    }

    /// Takes what is worth sending, as much as there is `room` for, in KOLs; true when nothing is left, also of what is not
    /// worth it.
    pub fn collect(
        &mut self,
        now: Instant,
        state: &mut State,
        scope: Scope,
        room: usize,
        calls: &mut Calls<'_>,
    ) -> bool {
        let limit = FLUSH_KOLS.min(room);
        while self.ledger.in_flight() < limit
            && let Some(kol) = self.early.take()
        {
            self.take(state, kol, calls);
        }
        let mut due = self.due(now, state, scope);
        while due > 0 && self.ledger.in_flight() < limit {
            if due.is_multiple_of(TOGETHER) {
                state.prefetch_changed(Consumer::Delivery, TOGETHER);
            }
            let Some(kol) = state.take_changed(Consumer::Delivery) else {
                break;
            };
            self.line.take_one();
            due -= 1;
            if !self.ledger.is_in_flight(kol) {
                self.take(state, kol, calls);
            }
        }
        let market_version = calls.tick.market_version;
        if !self.pass.is_of(state, market_version) {
            self.pass = Pass {
                next: 0,
                window_end: state.window_end(),
                market_version,
            };
        }
        if scope == Scope::Everything {
            let stop = state.bound().min(self.pass.next + PASS_SLOTS);
            let limit = limit.min(self.ledger.in_flight() + PASS_KOLS);
            while self.pass.next < stop && self.ledger.in_flight() < limit {
                let kol = self.pass.next as KolIndex;
                self.pass.next += 1;
                let in_flight = self.ledger.is_in_flight(kol);
                if !in_flight && self.ledger.is_outdated(state, kol, market_version) {
                    self.take(state, kol, calls);
                }
            }
        }
        for platform in 0..self.chunks.len() {
            self.encode(state, platform, calls);
        }
        let rescores = scope == Scope::Everything && self.pass.next < state.bound();
        self.cut_short = due > 0 || rescores;
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
        let names = kols.iter().map(|(kol, _)| *kol);
        let (watch, moment) = (self.watch.as_ref(), calls.moment());
        calls
            .alerts
            .extend(watch.and_then(|watch| watch.call(name, moment, names)));
        for ((kol, _), score) in self.chunks[platform].drain(..).zip(self.encoder.scores()) {
            self.ledger.scored(kol, *score);
        }
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
        let names = orphans.iter().map(String::as_str);
        let (watch, moment) = (self.watch.as_ref(), calls.moment());
        calls
            .alerts
            .extend(watch.and_then(|watch| watch.call(platform, moment, names)));
    }

    /// Removes hashes that only an older generation knew from Redis, if nothing names them there.
    pub fn forget(&self, platform: &str, kols: &[String], calls: &mut Calls<'_>) {
        let call = self.encoder.forget(&calls.context(platform), kols);
        calls.merges.push(call);
    }

    /// Whether KOLs are left that are worth sending at this window end and market version.
    pub fn is_wanted(&self, now: Instant, state: &State, scope: Scope, tick: &JobTick) -> bool {
        let rescore = scope == Scope::Everything && !self.is_rescored(state, tick);
        rescore || self.early.are_chosen() || self.due(now, state, scope) > 0
    }

    /// Whether no KOL waits in line.
    pub fn waits_for_nothing(&self, state: &State) -> bool {
        state.waiting(Consumer::Delivery) == 0
    }

    /// Whether nothing is left to send at this window end and market version.
    pub fn is_complete(&self, state: &State, tick: &JobTick) -> bool {
        self.waits_for_nothing(state) && self.is_rescored(state, tick)
    }

    fn is_rescored(&self, state: &State, tick: &JobTick) -> bool {
        self.pass.next >= state.bound() && self.pass.is_of(state, tick.market_version)
    }

    /// Redis confirmed the flush: how many KOLs it had.
    pub fn confirm(&mut self) -> usize {
        self.line.arrived();
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
    pub fn await_all(&mut self, now: Instant, state: &State) {
        self.line.await_all(now, state.waiting(Consumer::Delivery));
    }

    /// Whether what is awaited has arrived; says so once.
    pub fn settle(&mut self) -> bool {
        self.ledger.in_flight() == 0 && self.line.settle()
    }

    /// Whether a KOL's index must stay as it is: Redis has it, may have it, or is being sent it.
    pub fn holds(&self, kol: KolIndex) -> bool {
        self.ledger.holds(kol)
    }

    /// Whether more was due than the last flush could take.
    pub fn was_cut_short(&self) -> bool {
        self.cut_short
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

impl<'a> Calls<'a> {
    /// As rules of alerts see it.
    fn moment(&self) -> Moment<'a> {
        Moment {
            now: self.now,
            clock: self.clock,
            generation: self.fence.generation,
        }
    }

    fn context<'c>(&'c self, platform: &'c str) -> CallContext<'c> {
        CallContext {
            job: self.job,
            scoring: self.scoring,
            fence: self.fence,
            sequence: self.sequence,
            place: self.merges.len() + 1,
            platform,
            market: market_of(self.tick, platform),
            market_version: self.tick.market_version,
            now: self.now,
            shown: self.tick.rankings_shown,
        }
    }
}

/// The market measure of a platform in use.
fn market_of(tick: &JobTick, platform: &str) -> f64 {
    let known = tick.market.iter().find(|m| m.platform == platform);
    known.map_or(0.0, |m| m.mean)
}
