//! The loop of a partition. It owns the parts, and passes on what one of them means for another.

mod keeping;
mod starting;

use std::sync::Arc;

use kol_common::actor::Mailbox;
use kol_common::proto::{AsOf, Barrier, JobTick, PartitionReport};
use kol_common::{KolError, Millis};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::partition::checkpointer::{Checkpointer, Passed, STEP_EVERY, Standby};
use crate::partition::delivery::{
    Answer, Arrived, News as OutboxNews, Outbox, Outcome, Reached, Scope, fenced,
};
use crate::partition::deps::Deps;
use crate::partition::explain::Explain;
use crate::partition::fullness::Fullness;
use crate::partition::handover::Handover;
use crate::partition::house::House;
use crate::partition::message::{Assignment, BarrierAnswer, Command, Ended, Ticks};
use crate::partition::meter::Meter;
use crate::partition::reader::{BATCH, News, Reader, Recovered};
use crate::partition::report::checkpoint;
use crate::partition::stage::Intake;
use crate::partition::turn::Turn;
use crate::present::Present;
use crate::source::Batch;

/// See the module.
pub(super) struct Actor {
    assignment: Arc<Assignment>,
    inbox: Mailbox<Command>,
    ticks: Ticks,
    tick: Arc<JobTick>,
    stop_now: CancellationToken,
    reader: Reader,
    intake: Intake,
    outbox: Outbox,
    checkpointer: Checkpointer,
    /// What was read of the state before the assignment came.
    standby: Option<Standby>,
    explain: Explain,
    /// Those with lower numbers are of records before the last barrier.
    letters_before_barrier: u64,
    restore_problem: Option<KolError>,
    present: Present,
    turn: Turn,
    fullness: Fullness,
    meter: Meter,
    report: watch::Sender<Arc<PartitionReport>>,
    handover: Handover,
    /// Since when nothing more is read.
    stopped: Option<Instant>,
    house: House,
}

/// A state that nobody needs any more, and the memory that it takes.
pub(super) struct Remains {
    _state: Intake,
    _memory: Turn,
}

impl Actor {
    pub(super) fn new(
        assignment: Arc<Assignment>,
        deps: Deps,
        standby: Option<Standby>,
        inbox: Mailbox<Command>,
        (report, caught_up): (watch::Sender<Arc<PartitionReport>>, oneshot::Sender<()>),
        stop_now: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            reader: Reader::new(Arc::clone(&assignment), deps.source, now),
            intake: Intake::new(&assignment, deps.dead_letters),
            outbox: Outbox::new(
                Arc::clone(&assignment),
                deps.sink,
                deps.turns,
                deps.memory.clone(),
                now,
            )
            .with_alerts(deps.alerts),
            checkpointer: Checkpointer::new(
                Arc::clone(&assignment),
                deps.roots,
                deps.files,
                deps.memory.clone(),
            ),
            standby,
            explain: Explain::new(Arc::clone(&assignment)),
            letters_before_barrier: 0,
            restore_problem: None,
            ticks: deps.ticks,
            tick: Arc::new(JobTick::default()),
            house: House::new(deps.present.origin(), assignment.ordinal, now),
            present: deps.present,
            turn: Turn::new(deps.memory, now),
            fullness: Fullness::default(),
            meter: Meter::default(),
            handover: Handover::new(&assignment, caught_up, now),
            stopped: None,
            assignment,
            inbox,
            report,
            stop_now,
        }
    }

    /// Answers how it ended, and what is left.
    pub(super) async fn run(mut self) -> (Ended, Remains) {
        let ended = match self.restore_unless_stopped().await {
            Ok(()) => self.live().await,
            Err(ended) => ended,
        };
        let remains = Remains {
            _state: self.intake,
            _memory: self.turn,
        };
        (ended, remains)
    }

    async fn live(&mut self) -> Ended {
        let now = Instant::now();
        self.handover.restored(now);
        self.reader.wait();
        self.reader.await_before(now);
        let ended = match self.turn.take(now, &mut self.reader) {
            Ok(()) => {
                self.take_tick();
                self.serve().await
            }
            Err(error) => Ended::Failed(error),
        };
        self.reader.close();
        ended
    }

    /// Stop and control come before acknowledgements, so that a revoked partition sends nothing
    /// more; those before time, so that a flush that ended makes room for the next; data comes last,
    /// because it is nearly always ready.
    async fn serve(&mut self) -> Ended {
        let mut batch = Batch::with_capacity(BATCH);
        loop {
            let now = Instant::now();
            if now >= self.house.at()
                && let Err(error) = self.keep_house(now)
            {
                return Ended::Failed(error);
            }
            self.checkpointer.copy_some(self.intake.state_mut());
            self.explain.step(self.intake.state());
            self.step(now);
            self.watch_handover(now);
            if self.is_drained() {
                return self.released(true);
            }
            let wake = self.wake_at(now);
            let reads = self.intake.has_room() && !self.turn.memory().is_full();
            tokio::select! {
                biased;
                () = self.stop_now.cancelled() => return self.released(false),
                Some(command) = self.inbox.recv() => self.command(command),
                Ok(()) = self.ticks.changed() => self.take_tick(),
                news = self.outbox.news() => {
                    if let OutboxNews::Answer(answer) = news
                        && let Err(ended) = self.answered(&answer)
                    {
                        return ended;
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
                () = self.intake.letter_news() => self.tend_letters(Instant::now()),
                written = self.checkpointer.written() => {
                    self.checkpointer.settle_file(Instant::now(), written);
                }
                news = self.reader.news(now, reads) => {
                    if let Err(ended) = self.read(news, &mut batch) {
                        return ended;
                    }
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        self.house.stir(Instant::now());
        match command {
            Command::Drain => {
                self.stopped.get_or_insert_with(Instant::now);
                self.reader.drain();
            }
            Command::Barrier { barrier, answer } => self.barrier(&barrier, answer),
            Command::Explain {
                platform,
                kol,
                reply,
            } => {
                let state = self.intake.state();
                self.explain.query(state, platform, kol, reply);
            }
        }
    }

    fn take_tick(&mut self) {
        let tick = Arc::clone(&self.ticks.borrow_and_update());
        let before = (self.intake.state().window_end(), self.tick.market_version);
        self.tick = tick;
        if let Some(clock) = self.tick.clock_ms {
            self.intake.raise_clock(Millis(clock));
        }
        if before != (self.intake.state().window_end(), self.tick.market_version) {
            self.house.stir(Instant::now());
        }
    }

    /// Cuts here, between two records.
    fn barrier(&mut self, barrier: &Barrier, answer: BarrierAnswer) {
        let now = Instant::now();
        if barrier.last {
            self.stopped.get_or_insert(now);
            self.reader.halt();
        }
        self.reader.epoch_ends();
        let checkpoint = checkpoint(&self.parts(), barrier);
        let state = self.intake.state_mut();
        self.checkpointer
            .open(now, barrier, checkpoint, state, answer);
        self.letters_before_barrier = self.intake.letter_mark();
        self.tend_letters(now);
        let arrived = self.outbox.await_all(now, self.intake.state());
        self.arrived(now, arrived);
    }

    /// An epoch waits for the dead letters of records before its barrier.
    fn tend_letters(&mut self, now: Instant) {
        self.intake.tend_letters(now);
        if self
            .intake
            .letters_have_arrived(self.letters_before_barrier)
        {
            self.checkpointer.letters_arrived();
        }
    }

    /// Everything from before the last barrier is in Redis.
    fn arrived(&mut self, now: Instant, arrived: Option<Arrived>) {
        if let Some(arrived) = arrived {
            let passed = Passed {
                sequence: arrived.sequence,
                as_of: arrived.as_of.map(|(window_end_ms, market_version)| AsOf {
                    window_end_ms,
                    market_version,
                }),
            };
            self.checkpointer.confirmed(now, passed);
        }
    }

    fn answered(&mut self, answer: &Answer) -> Result<(), Ended> {
        let now = Instant::now();
        if !matches!(answer, Answer::Look(_)) {
            self.house.stir(now);
        }
        let state = self.intake.state_mut();
        match self.outbox.answered(now, state, answer) {
            Outcome::Fenced => return Err(Ended::Failed(fenced(&self.assignment, answer.error()))),
            Outcome::Served(arrived) => self.arrived(now, arrived),
            Outcome::Claimed {
                shown,
                last,
                arrived,
            } => {
                self.arrived(now, arrived);
                self.handover.claimed(now);
                self.reader.compare_with(now, last);
                if let Some(window_end) = shown {
                    // The job clock is at least what Redis was shown.
                    let shown = self.assignment.scoring.time(window_end.saturating_sub(1));
                    self.intake.raise_clock(shown);
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, now: Instant) {
        let reached = Reached {
            position: self.reader.position(),
            last: self.reader.last_record(),
            is_same_log: self.reader.is_same_log(),
            scope: self.scope(now),
        };
        let state = self.intake.state_mut();
        let arrived = self.outbox.step(now, state, reached, &self.tick);
        self.arrived(now, arrived);
    }

    /// What is worth sending now.
    fn scope(&self, now: Instant) -> Scope {
        let taken_over = self.handover.scope(now, self.reader.position());
        // One that reads nothing more gets no further, and is to send everything.
        match taken_over.filter(|_| !self.reader.is_halted()) {
            Some(scope) => scope,
            None if self.reader.is_behind() => Scope::WhatWaited,
            None => Scope::Everything,
        }
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let (scope, state) = (self.scope(now), self.intake.state());
        let flush = self.outbox.wake_at(now, state, scope, &self.tick);
        let pace = self.reader.ready_at().filter(|at| *at > now);
        let is_busy = self.checkpointer.is_copying() || self.explain.is_busy();
        let work = is_busy.then(|| now + STEP_EVERY);
        [flush, pace, work]
            .into_iter()
            .flatten()
            .fold(self.house.at(), Instant::min)
    }

    fn read(&mut self, news: News, batch: &mut Batch) -> Result<(), Ended> {
        let now = Instant::now();
        match news {
            News::Records => {
                let before = self.reader.position();
                let intake = &mut self.intake;
                let latest = intake.latest(self.present.at(now, Millis::now()));
                let mut records = intake.records(latest);
                let read = self.reader.read(now, batch, |record| records.take(record));
                drop(records);
                read.map_err(Ended::Failed)?;
                // Before the next batch: many partitions may grow at once.
                self.turn.weigh(&self.intake, &self.outbox);
                if self.reader.position() != before {
                    self.house.stir(now);
                }
            }
            News::Range(range) => match self.reader.recover(now, range).map_err(Ended::Failed)? {
                Recovered::SameLog => {}
                Recovered::NewLog => self.start_over(now),
                Recovered::LostTail(tail) => return Err(Ended::LostTail(tail)),
            },
        }
        Ok(())
    }

    /// Another log is read: nothing of the old one counts any more.
    fn start_over(&mut self, now: Instant) {
        let log_id = self.reader.log_id();
        self.outbox.start_over(now, self.intake.state(), log_id);
        self.intake.start_over();
        self.checkpointer.start_over();
        // The job's clock is not the log's: a market waits until everybody is there.
        self.take_tick();
    }

    /// A drain is over when Redis has confirmed everything, or was shown more than this owner ever
    /// had to send.
    fn is_drained(&self) -> bool {
        if !self.reader.is_draining() || !self.intake.has_room() {
            return false;
        }
        let end = self
            .assignment
            .scoring
            .time(self.intake.state().window_end());
        let everything = self
            .outbox
            .confirmed()
            .is_some_and(|c| c.position == self.reader.position() && c.window_end_ms == end.0);
        everything || self.outbox.is_holding()
    }

    fn released(&self, drained: bool) -> Ended {
        Ended::Released {
            position: self.reader.position(),
            drained,
            stopped: self.stopped.unwrap_or_else(Instant::now),
        }
    }

    fn watch_handover(&mut self, now: Instant) {
        let (position, arrived) = (self.reader.position(), self.outbox.arrived_from());
        if let Some(done) = self.handover.ends(now, position, arrived) {
            self.show_report();
            let _nobody_waits = done.send(());
        }
    }
}
