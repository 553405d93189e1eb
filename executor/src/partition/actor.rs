//! The loop of a partition.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::Mailbox;
use kol_common::kafka::classify;
use kol_common::proto::{self, JobTick, PartitionReport};
use kol_common::{KolError, Millis};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::checkpoint::{STEP_EVERY, Taking};
use super::intake::Intake;
use super::log_id::LogId;
use super::message::{Assignment, Command, Ended};
use super::outbox::{Answer, Outbox};
use super::pace::Pace;
use super::standstill::Standstill;
use super::start::Deps;
use crate::memory::Share;
use crate::source::{Batch, Parked, PartitionQueue};
use crate::state::State;

/// Records taken in between two looks at anything else: less than a millisecond of work.
const BATCH: usize = 1_024;
/// Lag above which a partition is far behind: then intermediate scores are not worth sending.
const BEHIND: u64 = 20_000;
/// How often the report is renewed and old state swept.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// Readings and slots looked at in one sweep.
const SWEEP: usize = 2_000;

pub(super) struct Actor {
    pub(super) assignment: Arc<Assignment>,
    pub(super) deps: Deps,
    inbox: Mailbox<Command>,
    report: watch::Sender<PartitionReport>,
    pub(super) stop_now: CancellationToken,
    pub(super) intake: Intake,
    pub(super) outbox: Outbox,
    pace: Pace,
    pub(super) standstill: Standstill,
    tick: Arc<JobTick>,
    pub(super) queue: Option<PartitionQueue>,
    /// The last look at the queue found records: there may be more.
    pub(super) more: bool,
    /// Nothing more is read.
    pub(super) halted: bool,
    /// It ends once Redis has confirmed everything.
    pub(super) draining: bool,
    pub(super) source_problem: Option<KolError>,
    /// The log does not have the position, or is another one: its range must be asked for.
    pub(super) range_unknown: bool,
    pub(super) log_id: LogId,
    /// Another log than the state is of has this id.
    pub(super) other_log: Option<Uuid>,
    pub(super) marks: Option<BoxFuture<'static, Marks>>,
    /// Dead letters that found no room yet.
    parked: Parked,
    share: Share,
    housekeeping_at: Instant,
    market_pass_at: Instant,
    pub(super) taking: Taking,
    /// The state of the last checkpoint is being read.
    pub(super) restoring: bool,
}

/// Oldest offset and the one past the newest.
pub(super) type Marks = Result<(u64, u64), KolError>;

impl Actor {
    pub(super) fn new(
        assignment: Arc<Assignment>,
        deps: Deps,
        inbox: Mailbox<Command>,
        report: watch::Sender<PartitionReport>,
        stop_now: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let state = State::new(Arc::clone(&assignment.scoring));
        Self {
            intake: Intake::new(state, &assignment.spec, assignment.offset),
            outbox: Outbox::new(Arc::clone(&assignment), deps.sink.clone(), now),
            pace: Pace::new(assignment.spec.source.max_rate_per_partition, now),
            standstill: Standstill::new(now),
            tick: Arc::new(JobTick::default()),
            share: deps.memory.share(),
            assignment,
            deps,
            inbox,
            report,
            stop_now,
            queue: None,
            more: true,
            halted: false,
            draining: false,
            source_problem: None,
            range_unknown: false,
            log_id: LogId::new(now, None),
            other_log: None,
            marks: None,
            parked: Parked::default(),
            housekeeping_at: now,
            market_pass_at: now,
            taking: Taking::default(),
            restoring: false,
        }
    }

    pub(super) async fn run(mut self) -> Ended {
        if let Some(ended) = self.restore_unless_stopped().await {
            return ended;
        }
        let opened = self
            .deps
            .source
            .open(&self.assignment.partition, self.intake.position);
        let ended = match opened {
            Ok(queue) => {
                self.queue = Some(queue);
                self.take_tick();
                self.serve().await
            }
            Err(error) => Ended::Failed(error),
        };
        self.queue = None;
        self.deps.source.close(&self.assignment.partition);
        ended
    }

    /// Stop and control come before acknowledgements, so that a revoked partition sends nothing
    /// more; those before time, so that a flush that ended makes room for the next; data comes last,
    /// because it is nearly always ready.
    async fn serve(&mut self) -> Ended {
        let mut batch = Batch::with_capacity(BATCH);
        loop {
            let now = Instant::now();
            if now >= self.housekeeping_at {
                self.keep_house(now);
            }
            self.copy_some();
            self.step(now);
            if let Some(position) = self.drained() {
                return position;
            }
            let wake = self.wake_at(now);
            let reads = self.may_read(now);
            tokio::select! {
                biased;
                () = self.stop_now.cancelled() => return self.released(false),
                Some(command) = self.inbox.recv() => self.command(command),
                Ok(()) = self.deps.ticks.changed() => self.take_tick(),
                answer = self.outbox.answer() => {
                    if let Some(ended) = self.answered(&answer) {
                        return ended;
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
                (wanted, written) = self.taking.written() => self.wrote(wanted, written),
                answer = asked(&mut self.marks) => {
                    if let Some(ended) = self.found(answer) {
                        return ended;
                    }
                }
                () = data(self.queue.as_ref(), self.more), if reads => self.read(&mut batch),
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Drain => {
                self.draining = true;
                self.halt();
            }
            Command::Barrier { barrier, answer } => self.barrier(&barrier, answer),
            Command::Explain {
                platform,
                kol,
                reply,
            } => {
                let detail =
                    self.intake
                        .state
                        .detail(&platform, &kol)
                        .map(|detail| proto::SlotDetail {
                            partition: Some((&self.assignment.partition).into()),
                            ..detail
                        });
                let _asker_gave_up = reply.send(detail);
            }
        }
    }

    /// Reads nothing more.
    pub(super) fn halt(&mut self) {
        self.halted = true;
        self.queue = None;
        self.range_unknown = false;
        self.deps.source.close(&self.assignment.partition);
    }

    pub(super) fn take_tick(&mut self) {
        self.tick = Arc::clone(&self.deps.ticks.borrow_and_update());
        if let Some(clock) = self.tick.clock_ms {
            self.intake.state.raise_clock(Millis(clock));
        }
    }

    fn answered(&mut self, answer: &Answer) -> Option<Ended> {
        let now = Instant::now();
        if self
            .outbox
            .answered(now, &mut self.intake.state, answer)
            .is_err()
        {
            let error =
                KolError::external("FENCED", "a newer owner of this partition writes to Redis")
                    .help(
                        "Nothing to do after a move. If it repeats, two clusters run a job of this \
                     name on one Redis: give one of them other keys.",
                    )
                    .job(&self.assignment.spec.name)
                    .partition(&self.assignment.partition);
            return Some(Ended::Failed(error));
        }
        self.acknowledge();
        if let (Answer::Claim(Ok(_)), Some((_, window_end))) = (answer, self.outbox.holding()) {
            // The job clock is at least what Redis was shown.
            let shown = self.assignment.scoring.time(window_end.saturating_sub(1));
            self.intake.state.raise_clock(shown);
        }
        None
    }

    fn step(&mut self, now: Instant) {
        let behind = self.is_behind();
        self.outbox.step(
            now,
            &mut self.intake.state,
            self.intake.position,
            behind,
            &self.tick,
        );
        self.acknowledge();
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let flush = self
            .outbox
            .wake_at(&self.intake.state, self.is_behind(), &self.tick);
        let pace = self.pace.ready_at().filter(|at| *at > now);
        let copy = self.taking.is_copying().then(|| now + STEP_EVERY);
        [flush, pace, copy]
            .into_iter()
            .flatten()
            .fold(self.housekeeping_at, Instant::min)
    }

    fn may_read(&self, now: Instant) -> bool {
        self.queue.is_some()
            && self.pace.ready_at().is_none_or(|at| now >= at)
            && self.parked.is_empty()
            && !self.deps.memory.is_full()
    }

    fn read(&mut self, batch: &mut Batch) {
        let now = Instant::now();
        let limit = self.pace.allow(now, BATCH);
        let Some(queue) = self.queue.as_mut() else {
            return;
        };
        queue.take(batch, limit);
        self.more = !batch.is_empty();
        if self.more {
            self.standstill.records(now);
        }
        self.pace.used(batch.len());
        let mut rejected = Vec::new();
        let taken = self.intake.take(batch, Millis::now(), &mut rejected);
        if let Some(dead_letters) = &self.deps.dead_letters {
            for one in &rejected {
                dead_letters.send(&self.assignment.partition, one, &mut self.parked);
            }
        }
        match taken {
            Ok(()) if self.more => self.source_problem = None,
            Ok(()) => {}
            Err(RDKafkaRespErr::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) => self.range_unknown = true,
            Err(code) => {
                let error = classify(&KafkaError::MessageConsumption(code.into()));
                self.source_problem = Some(error.partition(&self.assignment.partition));
            }
        }
    }

    /// Records between the position and the end of the log.
    fn lag(&self) -> Option<u64> {
        let end = self.deps.source.end(&self.assignment.partition)?.end;
        Some(end.saturating_sub(self.intake.position))
    }

    fn is_behind(&self) -> bool {
        !self.halted && self.pace.lag.map_or(self.more, |lag| lag > BEHIND)
    }

    /// A drain is over when Redis has confirmed everything, or was shown more than this owner ever
    /// had to tell.
    fn drained(&self) -> Option<Ended> {
        if !self.draining || !self.parked.is_empty() {
            return None;
        }
        if self.outbox.holding().is_some() {
            return Some(self.released(true));
        }
        let end = self.assignment.scoring.time(self.intake.state.window_end());
        self.outbox
            .confirmed()
            .is_some_and(|c| c.position == self.intake.position && c.window_end_ms == end.0)
            .then(|| self.released(true))
    }

    pub(super) fn released(&self, drained: bool) -> Ended {
        Ended::Released {
            position: self.intake.position,
            drained,
        }
    }

    fn keep_house(&mut self, now: Instant) {
        self.housekeeping_at = now + HOUSEKEEPING;
        // A wake-up that got lost costs this long at most.
        self.more = true;
        self.pace.lag = self.lag();
        self.notice_another_log();
        self.find_range();
        self.let_go_of_a_log_that_is_gone();
        if let Some(dead_letters) = &self.deps.dead_letters {
            dead_letters.send_parked(&self.assignment.partition, &mut self.parked);
        }
        self.intake.state.sweep(SWEEP);
        self.refresh_market(now);
        self.show_report();
    }

    pub(super) fn show_report(&mut self) {
        let report = self.make_report();
        self.share.set(report.state_bytes);
        self.report.send_replace(report);
    }

    /// When the window end moved, all slots are looked at; while it moves all the time (far behind)
    /// that may take a tenth of the time at most.
    fn refresh_market(&mut self, now: Instant) {
        let moved = self.intake.state.market().0 != self.intake.state.window_end();
        if moved && now < self.market_pass_at {
            return;
        }
        self.intake.state.refresh_market();
        if moved {
            let done = Instant::now();
            self.market_pass_at = done + 10 * done.duration_since(now);
        }
    }
}

/// Ready when there may be records: at once after a batch that was not empty (letting other tasks go
/// first), otherwise when the queue says so.
async fn data(queue: Option<&PartitionQueue>, more: bool) {
    match queue {
        Some(_) if more => tokio::task::yield_now().await,
        Some(queue) => queue.arrived().notified().await,
        None => std::future::pending().await,
    }
}

async fn asked(marks: &mut Option<BoxFuture<'static, Marks>>) -> Marks {
    match marks {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}
