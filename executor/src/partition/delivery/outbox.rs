//! The partition's side of the sink: starts what is due, acts on the answers, and says what has arrived
//! in Redis. How a flush is filled: see `sending`; what is done beside: see `keeping`.

mod alerts;
mod keeping;
mod report;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use kol_common::proto::{Confirmed, JobTick, PartitionCheckpoint};
use prometheus::Histogram;
use tokio::time::Instant;
use uuid::Uuid;

use super::encode::Encoder;
use super::fill::Fill;
use super::flush::{FlushLimits, Flusher, Next};
use super::history::History;
use super::latency;
use super::ledger::Sent;
use super::outcome::{Arrived, News, Outcome, Reached, Scope};
use super::problems::Problems;
use super::rankings::Rankings;
use super::requests::{Answer, Requests};
use super::room::Room;
use super::shown;
use super::staleness::Staleness;
use super::telling::Telling;
use super::turn::OwnTurn;
use super::upkeep::Upkeep;
use crate::memory::Memory;
use crate::partition::message::Assignment;
use crate::sink::{Fence, Flushed, Operation, Sink, Turns};
use crate::state::{KolIndex, PlatformIndex, State};

/// How long a KOL waits to be sent far behind the head of the log, and what part of an epoch's time that may be at
/// most.
const PATIENCE: Duration = Duration::from_secs(5);
const PART_OF_EPOCH: u32 = 4;

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    assignment: Arc<Assignment>,
    fence: Fence,
    /// Which log the fence record is of; empty while that is not known.
    log: String,
    requests: Requests,
    flusher: Flusher,
    fill: Fill,
    rankings: Rankings,
    upkeep: Upkeep,
    history: History,
    problems: Problems,
    staleness: Staleness,
    turn: OwnTurn,
    room: Room,
    /// From an event to Redis.
    latency: Histogram,
    /// KOLs that Redis has confirmed.
    merges: u64,
    telling: Telling,
}

impl Outbox {
    /// For one assignment; claims the fence at its first step.
    pub fn new(
        assignment: Arc<Assignment>,
        sink: Sink,
        turns: Turns,
        memory: Memory,
        now: Instant,
    ) -> Self {
        let spec = &assignment.spec;
        let part_of_epoch = spec.checkpoint.timeout.duration() / PART_OF_EPOCH;
        let patience = PATIENCE.min(part_of_epoch);
        let limits = FlushLimits {
            interval: spec.sink.flush_interval.duration(),
        };
        Self {
            fence: Fence {
                key: spec.sink.keys.fence_key(&spec.name, &assignment.partition),
                generation: assignment.generation,
                assignment_epoch: assignment.assignment_epoch,
            },
            fill: Fill::new(
                Encoder::new(&spec.sink, &spec.scoring, assignment.ordinal),
                patience,
                now,
            ),
            flusher: Flusher::new(limits, now),
            log: shown::name_of_log(assignment.topic_id, assignment.lineage),
            requests: Requests::new(assignment.job.clone(), sink),
            rankings: Rankings::new(now),
            upkeep: Upkeep::new(Arc::clone(&assignment), now),
            history: History::new(&assignment, now),
            problems: Problems::default(),
            staleness: Staleness::new(spec.sink.max_staleness),
            turn: OwnTurn::new(turns, part_of_epoch),
            room: Room::new(memory),
            latency: latency::of(&spec.name),
            merges: 0,
            telling: Telling::default(),
            assignment,
        }
    }

    /// Resumes from a checkpoint, whose state this is. What Redis had confirmed then need not be sent
    /// again; when that is not known, everything is.
    pub fn restored(&mut self, state: &mut State, checkpoint: &PartitionCheckpoint) {
        let slide = self.assignment.scoring.spec.slide.0.max(1);
        if let Ok(id) = Uuid::from_slice(&checkpoint.topic_id) {
            self.log = shown::name_of_log(Some(id), self.assignment.lineage);
        }
        // Before the log lost its tail, Redis was sent what came of that.
        let current = checkpoint.lineage == self.assignment.lineage;
        let sent = checkpoint.confirmed_as_of.filter(|_| current);
        let sent = sent.map(|as_of| Sent {
            window_end: as_of.window_end_ms / slide,
            market_version: as_of.market_version,
        });
        self.fill.restored(state, sent);
        let counters = checkpoint.counters.as_ref();
        self.merges = counters.map_or(0, |c| c.merges);
        self.upkeep.restored(counters.map_or(0, |c| c.repaired));
        self.flusher.restored(checkpoint.sequence);
    }

    /// The log that Redis was sent no longer exists, and with it this state: what is in flight belongs to
    /// no one (the answer to a sweep or a comparison, too), and there is nothing to hold for. Its creators
    /// leave the rankings of all its platforms. The fence is claimed again, for the log with this id.
    pub fn start_over(&mut self, now: Instant, dropped: &State, log_id: Option<Uuid>) {
        self.rankings.dropped(dropped.platforms());
        self.fill.start_over(now);
        self.problems.nothing_to_write();
        self.log = shown::name_of_log(log_id, self.assignment.lineage);
        self.flusher.claim_again(now);
        self.upkeep.start_over(now);
    }

    /// What Redis was shown, if that is more than a log has that ends here: its end will never be reached.
    pub fn shown_beyond(&self, end: u64) -> Option<u64> {
        let (shown, _) = self.flusher.holding()?;
        (end < shown).then_some(shown)
    }

    /// What Redis was shown is not waited for: it was another log, as far as is known.
    pub fn give_up_hold(&mut self, now: Instant, shown: u64) {
        tracing::warn!(
            code = "LOG_RECREATED",
            job = self.assignment.spec.name.as_str(),
            partition = %self.assignment.partition,
            shown,
            "Redis was shown more than the log has: the topic was recreated"
        );
        self.flusher.release();
        self.fill.forget_awaited();
        self.upkeep.sweep_again(now);
    }

    /// Whether the fence is held.
    pub fn is_claimed(&self) -> bool {
        self.flusher.is_claimed()
    }

    /// Whether a place must be reached before anything is sent.
    pub fn is_holding(&self) -> bool {
        self.flusher.holding().is_some()
    }

    /// Whether Redis has confirmed everything, as far as is known.
    pub fn is_settled(&self, state: &State) -> bool {
        let level = self.is_claimed() && !self.is_holding() && self.confirmed().is_some();
        level && self.fill.waits_for_nothing(state) && !self.upkeep.has_orphans()
    }

    /// What Redis has confirmed.
    pub fn confirmed(&self) -> Option<Confirmed> {
        self.flusher.confirmed()
    }

    /// Where the partition was when the newest flush began that has arrived in Redis.
    pub fn arrived_from(&self) -> Option<u64> {
        self.flusher.arrived()
    }

    /// Whether the state must not forget a KOL: Redis has it, may have it, or is being sent it.
    pub fn holds(&self, kol: KolIndex) -> bool {
        self.fill.holds(kol)
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.fill.bytes()
    }

    /// Everything that waits to be sent now must arrive in Redis. Says so when it is there already;
    /// otherwise `step` or `answered` will.
    pub fn await_all(&mut self, now: Instant, state: &State) -> Option<Arrived> {
        self.fill.await_all(now, state);
        self.arrived()
    }

    fn arrived(&mut self) -> Option<Arrived> {
        let level = self.flusher.is_claimed() && !self.is_holding();
        (level && self.fill.settle()).then(|| Arrived {
            sequence: self.flusher.done(),
            as_of: self
                .flusher
                .confirmed()
                .map(|c| (c.window_end_ms, c.market_version)),
        })
    }

    /// When `step` should be called although nothing happened: `None` when nothing is left to send or
    /// nothing may be sent now.
    pub fn wake_at(
        &self,
        now: Instant,
        state: &State,
        scope: Scope,
        tick: &JobTick,
    ) -> Option<Instant> {
        if !self.requests.are_idle() {
            return None;
        }
        // One that waits for its turn is woken by that.
        let flush = self.flusher.next_at().filter(|_| !self.turn.is_awaited());
        let flush = flush.and_then(|at| {
            if self.has_to_send(now, state, scope, tick) {
                return Some(at);
            }
            Some(self.next_other(tick)?.max(at))
        });
        let upkeep = self.upkeep.wake_at(self.allowed(scope));
        flush.into_iter().chain(upkeep).min()
    }

    /// Starts what is due: a claim, a flush, a piece of a sweep, a comparison, or a look at the fence.
    pub fn step(
        &mut self,
        now: Instant,
        state: &mut State,
        reached: Reached,
        tick: &JobTick,
    ) -> Option<Arrived> {
        self.fill.look(now, state, &self.assignment.scoring, tick);
        self.staleness.look(now, self.fill.oldest(state));
        let pauses = reached.scope == Scope::Changes;
        self.turn.look(now, self.fill.awaited_since(), pauses);
        if !self.requests.are_idle() {
            return None;
        }
        let is_due = |at: Instant| now >= at;
        if !self.flusher.next_at().is_some_and(is_due) {
            self.turn.give_up();
        }
        let mut arrived = None;
        if reached.is_same_log {
            self.flusher.reached(reached.position, state.window_end());
        }
        if self.flusher.begin_claim(now) {
            let spec = &self.assignment.spec;
            let platforms = spec.sink.keys.platforms_key();
            let first = spec.scoring.always_admitted().map(str::to_owned);
            self.requests.claim(
                self.fence.clone(),
                self.log.clone(),
                platforms,
                first.collect(),
            );
        } else if self.flusher.next_at().is_some_and(is_due) {
            arrived = self.flush_in_turn(now, state, reached, tick);
        }
        self.keep_up(now, state, reached.scope, tick);
        let failed = self.problems.has(Operation::Tops);
        if self.requests.are_idle() && tick.rankings_shown && self.fill.begin_sample(now, failed) {
            self.requests.tops(self.tops(state));
        }
        if self.requests.are_idle() && self.flusher.begin_look(now) {
            self.requests.look(self.fence.clone());
        }
        arrived
    }

    /// Waits for the sink's answer, or for the turn to flush; forever while nothing is under way.
    pub async fn news(&mut self) -> News {
        let idle = self.requests.are_idle();
        tokio::select! {
            biased;
            answer = self.requests.answer() => News::Answer(answer),
            () = self.turn.come(), if idle => News::Turn,
        }
    }

    /// Acts on an answer.
    pub fn answered(&mut self, now: Instant, state: &mut State, answer: &Answer) -> Outcome {
        let next = match answer {
            Answer::Claim(a) => self.flusher.claimed(now, a),
            Answer::Look(a) => self.flusher.looked(now, a),
            Answer::Flush(a) => self.flusher.flushed(now, a),
            Answer::Scan(a) => {
                let piece = a.as_ref().ok();
                self.upkeep.scanned(now, state, &mut self.fill, piece);
                Next::Continue
            }
            Answer::Hashes(a) => {
                self.upkeep.hashes_read(now, state, a.as_ref().ok());
                Next::Continue
            }
            Answer::Compare(a) => {
                let found = a.as_ref().ok();
                let (fill, fence) = (&mut self.fill, &self.fence);
                self.upkeep.compared(now, state, fill, fence, found);
                self.flusher.compared(now, a)
            }
            Answer::Tops(tops) => {
                for (platform, lowest) in (0..).zip(tops.iter().flatten()) {
                    self.fill.sampled(platform as PlatformIndex, *lowest);
                }
                Next::Continue
            }
            Answer::Snapshot(kept) => {
                self.history.answered(now, kept.as_ref().ok());
                self.flusher.compared(now, kept)
            }
        };
        self.problems.answered(answer.operation(), answer.error());
        match answer {
            Answer::Claim(Ok(claimed)) => {
                self.telling.follow(&self.fence);
                self.rankings.claimed(&claimed.platforms);
                self.upkeep.claimed(now, &self.fill, &claimed.refused);
            }
            Answer::Flush(flushed) => self.flushed(now, state, flushed.as_ref().ok()),
            Answer::Claim(Err(_))
            | Answer::Look(_)
            | Answer::Scan(_)
            | Answer::Hashes(_)
            | Answer::Compare(_)
            | Answer::Tops(_)
            | Answer::Snapshot(_) => {}
        }
        let arrived = match next {
            Next::Stop => return Outcome::Fenced,
            Next::Continue | Next::SendAgain => self.arrived(),
            Next::SendEverything => {
                tracing::warn!(
                    code = "REDIS_LOST_DATA",
                    job = self.assignment.spec.name.as_str(),
                    partition = %self.assignment.partition,
                    "Redis lost data: writing everything of this partition again"
                );
                self.send_everything(now, state)
            }
            Next::BeginGeneration => {
                tracing::warn!(
                    code = "GENERATION_RAISED",
                    job = self.assignment.spec.name.as_str(),
                    partition = %self.assignment.partition,
                    generation = self.assignment.generation,
                    "the job has a newer generation: writing everything of this partition under it"
                );
                self.send_everything(now, state)
            }
        };
        match answer {
            Answer::Claim(Ok(claimed)) => {
                let shown = self.flusher.holding().map(|(_, window_end)| window_end);
                let last = shown::mark(&self.log, &claimed.last);
                Outcome::Claimed {
                    shown,
                    last: last.filter(|_| shown.is_some()),
                    arrived,
                }
            }
            _ => Outcome::Served(arrived),
        }
    }

    fn flushed(&mut self, now: Instant, state: &mut State, flushed: Option<&Flushed>) {
        self.room.release();
        let refused = flushed.map(|flushed| &*flushed.refused);
        self.upkeep.flushed(now, state, &self.fill, flushed);
        let keys = &self.assignment.spec.sink.keys;
        self.rankings.flushed(now, keys, refused);
        if let Some(flushed) = flushed {
            self.telling.noted(&flushed.noted);
            if let Some(since) = self.fill.in_flight_since() {
                let latency = now.duration_since(since);
                self.latency.observe(latency.as_secs_f64());
            }
            self.merges += self.fill.confirm() as u64;
            if self.fill.was_cut_short() {
                self.flusher.continue_at_once(now);
            }
        } else {
            self.fill.fail(state);
        }
    }

    /// Nothing has arrived before that is done.
    fn send_everything(&mut self, now: Instant, state: &mut State) -> Option<Arrived> {
        self.fill.send_everything(state);
        self.upkeep.sweep_again(now);
        None
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
