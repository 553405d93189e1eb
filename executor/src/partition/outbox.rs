//! Asks the sink for what is due, acts on its answers, and knows what has arrived in Redis. What a flush
//! is filled with: see [`super::fill`].

use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::actor::AskError;
use kol_common::proto::{Confirmed, JobTick, PartitionCheckpoint, PartitionCounters};
use kol_common::redis::SCRIPTS_FORGOTTEN;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::flush::{FlushLimits, Flusher, Next};
use super::message::Assignment;
use super::sweep::Sweep;
use crate::sink::encode::Encoder;
use crate::sink::{Claimed, Fence, ScanRequest, Scanned, Sink, SinkError, SinkMessage};
use crate::state::{KolIndex, Outgoing, State};

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    pub(super) assignment: Arc<Assignment>,
    sink: Sink,
    pub(super) fence: Fence,
    pub(super) encoder: Encoder,
    pub(super) flusher: Flusher,
    pub(super) pending: Option<Pending>,
    pub(super) in_flight: Vec<(KolIndex, bool)>,
    pub(super) chunks: Vec<Vec<(KolIndex, Outgoing)>>,
    pub(super) scan: Scan,
    pub(super) sweep: Sweep,
    /// Platforms that had a ranking when the fence was claimed.
    platforms: Vec<String>,
    /// Redis was told, or is being told, that the rankings of this generation may be shown.
    pub(super) shown: bool,
    pub(super) showing: bool,
    problem: Option<KolError>,
    merges: u64,
    /// Slots up to this place in the line must arrive; see `await_all_of`.
    awaited: Option<u64>,
    arrived: Option<(u64, Option<(u64, u64)>)>,
}

#[derive(Debug)]
pub(super) enum Pending {
    Claim(oneshot::Receiver<Result<Claimed, SinkError>>),
    Look(oneshot::Receiver<Result<u64, SinkError>>),
    Flush(oneshot::Receiver<Result<Duration, SinkError>>),
    Scan(oneshot::Receiver<Result<Scanned, SinkError>>),
}

/// An answer of the sink.
#[derive(Debug)]
pub enum Answer {
    /// To a claim.
    Claim(Result<Claimed, SinkError>),
    /// To a look at the fence.
    Look(Result<u64, SinkError>),
    /// To a flush.
    Flush(Result<Duration, SinkError>),
    /// To a look at a ranking.
    Scan(Result<Scanned, SinkError>),
}

/// How far all slots were looked at for this window end and market version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) at: usize,
    pub(super) window_end: u64,
    pub(super) market_version: u64,
}

/// Another owner holds the fence.
#[derive(Clone, Copy, Debug)]
pub struct Fenced;

impl Outbox {
    /// For one assignment; claims the fence at its first step.
    pub fn new(assignment: Arc<Assignment>, sink: Sink, now: Instant) -> Self {
        let spec = &assignment.spec;
        Self {
            fence: Fence {
                key: spec.sink.keys.fence_key(&spec.name, &assignment.partition),
                generation: assignment.generation,
                epoch: assignment.epoch,
            },
            encoder: Encoder::new(&spec.sink, &spec.scoring.default_platform, assignment.slot),
            flusher: Flusher::new(
                FlushLimits {
                    interval: spec.sink.flush_interval.duration(),
                },
                now,
            ),
            assignment,
            sink,
            pending: None,
            in_flight: Vec::new(),
            chunks: Vec::new(),
            scan: Scan::default(),
            sweep: Sweep::due(now),
            platforms: Vec::new(),
            shown: false,
            showing: false,
            problem: None,
            merges: 0,
            awaited: None,
            arrived: None,
        }
    }

    /// Whether the fence is held.
    pub fn is_claimed(&self) -> bool {
        self.flusher.is_claimed()
    }

    /// Place that must be reached before anything is sent.
    pub fn holding(&self) -> Option<(u64, u64)> {
        self.flusher.holding()
    }

    /// The log that Redis was shown is gone, and with it the state: nothing is left to hold for, and
    /// what is on its way belongs to nobody.
    pub fn start_over(&mut self) {
        self.flusher.release();
        self.in_flight.clear();
        (self.awaited, self.arrived) = (None, None);
        self.scan = Scan::default();
        self.sweep = Sweep::due(Instant::now());
    }

    /// What Redis has confirmed.
    pub fn confirmed(&self) -> Option<Confirmed> {
        self.flusher.confirmed()
    }

    /// Counters with the merges that Redis confirmed.
    pub fn counted(&self, counters: &PartitionCounters) -> PartitionCounters {
        PartitionCounters {
            merges: self.merges,
            ..counters.clone()
        }
    }

    /// Goes on from a checkpoint.
    pub fn restored(&mut self, checkpoint: &PartitionCheckpoint) {
        self.merges = checkpoint.counters.as_ref().map_or(0, |c| c.merges);
        self.flusher.restored(checkpoint.sequence);
    }

    /// Everything that waits to be sent now must arrive in Redis: `all_arrived` tells when.
    pub fn await_all_of(&mut self, state: &State) {
        self.awaited = Some(state.taken().1);
        self.look_for_arrival(state);
    }

    /// What was awaited is in Redis: the newest confirmed sequence, and the window end (ms) and market
    /// version at which Redis has every slot, if that is known. Told once.
    pub fn all_arrived(&mut self) -> Option<(u64, Option<(u64, u64)>)> {
        self.arrived.take()
    }

    /// Slots are sent in the order in which they came to wait, so all up to some place have arrived
    /// once that many were taken and no flush is under way.
    pub(super) fn look_for_arrival(&mut self, state: &State) {
        let level = self.flusher.is_claimed() && self.flusher.holding().is_none();
        let arrived = |place: u64| level && self.in_flight.is_empty() && state.taken().0 >= place;
        if self.awaited.is_some_and(arrived) {
            self.awaited = None;
            let told = self.flusher.confirmed();
            let told = told.map(|c| (c.window_end_ms, c.market_version));
            self.arrived = Some((self.flusher.done(), told));
        }
    }

    /// What waits now includes what failed to arrive: it is at the end of the line again.
    fn set_back(&mut self, state: &State) {
        if self.awaited.is_some() {
            self.awaited = Some(state.taken().1);
        }
    }

    /// Whether Redis must still be told that the rankings may be shown.
    pub(super) fn owes_the_flip(&self, tick: &JobTick) -> bool {
        tick.live && !self.shown
    }

    /// Why Redis does not take what it is sent, if so.
    pub fn problem(&self) -> Option<&KolError> {
        self.problem.as_ref()
    }

    /// When `step` should be called although nothing happened: `None` when nothing is left to send or
    /// nothing may be sent now.
    pub fn wake_at(&self, state: &State, behind: bool, tick: &JobTick) -> Option<Instant> {
        let rescore = self.scan.at < state.bound()
            || (self.scan.window_end, self.scan.market_version)
                != (state.window_end(), tick.market_version);
        let wanted = !state.is_untouched()
            || (rescore && !behind)
            || self.sweep.found_some()
            || self.owes_the_flip(tick);
        if self.pending.is_some() {
            return None;
        }
        let flush = self.flusher.next_at().filter(|_| wanted);
        let sweep = self.sweep.next_at().filter(|_| self.may_sweep(behind));
        flush.into_iter().chain(sweep).min()
    }

    /// Near the head of the log, and once everything was sent and is shown: the sweep must not take
    /// out what is only late to come.
    fn may_sweep(&self, behind: bool) -> bool {
        let ready = self.flusher.next_at().is_some() && self.flusher.confirmed().is_some();
        !behind && ready && self.shown
    }

    /// The platforms of Redis, then those that came since; each keeps its place.
    pub(super) fn platforms(&self, state: &State) -> Vec<String> {
        let mut all = self.platforms.clone();
        for platform in state.platforms() {
            if !all.iter().any(|known| **known == **platform) {
                all.push(platform.to_string());
            }
        }
        all
    }

    fn scan_ranking(&mut self, state: &State) {
        let (slot, generation) = (self.assignment.slot, self.assignment.generation);
        let spec = &self.assignment.spec;
        let platforms = self.platforms(state);
        let default = &spec.scoring.default_platform;
        let Some(place) = self.sweep.begin(&platforms, default) else {
            return;
        };
        let keys = &spec.sink.keys;
        let [_, _, before] = keys.flip_keys(&place.platform);
        let request = ScanRequest {
            ranking: if place.before {
                before
            } else {
                keys.ranking_key(&place.platform)
            },
            keys: keys.clone(),
            platform: place.platform,
            cursor: place.cursor,
            slot,
            generation,
        };
        let (reply, answer) = oneshot::channel();
        self.pending = Some(Pending::Scan(answer));
        self.tell(SinkMessage::Scan { request, reply });
    }

    /// Starts what is due: a claim, a flush, or a look at the fence.
    pub fn step(
        &mut self,
        now: Instant,
        state: &mut State,
        position: u64,
        behind: bool,
        tick: &JobTick,
    ) {
        if self.pending.is_some() {
            return;
        }
        self.flusher.reached(position, state.window_end());
        if self.flusher.begin_claim(now) {
            let (reply, answer) = oneshot::channel();
            let fence = self.fence.clone();
            let platforms = self.assignment.spec.sink.keys.platforms_key();
            self.pending = Some(Pending::Claim(answer));
            self.tell(SinkMessage::Claim {
                fence,
                platforms,
                reply,
            });
        } else if self.flusher.next_at().is_some_and(|at| now >= at) {
            self.flush(now, state, position, behind, tick);
        }
        let sweeps = self.sweep.next_at().is_some_and(|at| now >= at);
        if self.pending.is_none() && sweeps && self.may_sweep(behind) {
            self.scan_ranking(state);
        }
        if self.pending.is_none() && self.flusher.begin_look(now) {
            let (reply, answer) = oneshot::channel();
            let fence = self.fence.clone();
            self.pending = Some(Pending::Look(answer));
            self.tell(SinkMessage::Look { fence, reply });
        }
    }

    /// Waits for the sink's answer; forever when nothing was asked.
    pub async fn answer(&mut self) -> Answer {
        let gone = || SinkError::from(KolError::external("SINK_BUSY", "the sink is busy"));
        let answer = match &mut self.pending {
            None => std::future::pending().await,
            Some(Pending::Claim(rx)) => Answer::Claim(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Look(rx)) => Answer::Look(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Flush(rx)) => Answer::Flush(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Scan(rx)) => Answer::Scan(rx.await.unwrap_or_else(|_| Err(gone()))),
        };
        self.pending = None;
        answer
    }

    /// Acts on an answer.
    ///
    /// # Errors
    /// Another owner holds the fence: the partition must end.
    pub fn answered(
        &mut self,
        now: Instant,
        state: &mut State,
        answer: &Answer,
    ) -> Result<(), Fenced> {
        if let Answer::Claim(Ok(claimed)) = answer {
            self.platforms.clone_from(&claimed.platforms);
        }
        let (next, error) = match answer {
            Answer::Claim(a) => (self.flusher.claimed(now, a), a.as_ref().err()),
            Answer::Look(a) => (self.flusher.looked(now, a), a.as_ref().err()),
            Answer::Flush(a) => (self.flusher.flushed(now, a), a.as_ref().err()),
            Answer::Scan(a) => {
                self.sweep.scanned(now, a.as_ref().ok(), state);
                (Next::GoOn, a.as_ref().err())
            }
        };
        match error {
            // Forgotten scripts are loaded again at once: nobody has to know.
            Some(SinkError::Unavailable(e)) if e.code == SCRIPTS_FORGOTTEN => {}
            Some(SinkError::Unavailable(e)) => self.problem = Some(e.clone()),
            Some(_) => {}
            None => self.problem = None,
        }
        if matches!(answer, Answer::Flush(_)) {
            let confirmed = error.is_none();
            self.sweep.removed(confirmed);
            self.shown |= confirmed && self.showing;
            self.showing = false;
            for (kol, removed) in self.in_flight.drain(..) {
                if confirmed {
                    state.confirmed(kol, removed);
                    self.merges += 1;
                } else {
                    state.send_again(kol);
                }
            }
            if !confirmed {
                self.set_back(state);
            }
        }
        match next {
            Next::GoOn | Next::SendAgain => {
                self.look_for_arrival(state);
                Ok(())
            }
            Next::SendEverything => {
                tracing::warn!(
                    job = %self.assignment.job,
                    partition = %self.assignment.partition,
                    "Redis lost data: writing everything of this partition again"
                );
                state.send_everything_again();
                self.set_back(state);
                self.scan = Scan::default();
                self.sweep = Sweep::due(now);
                Ok(())
            }
            Next::Stop => Err(Fenced),
        }
    }

    /// Sends to the sink. When that fails the reply is dropped, which `answer` reads as "busy".
    pub(super) fn tell(&mut self, message: SinkMessage) {
        if let Err(AskError::Gone(_)) = self.sink.try_tell(message) {
            tracing::error!(job = %self.assignment.job, "the sink has ended");
        }
    }
}
