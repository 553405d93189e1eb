//! The loop of a partition.

use std::sync::Arc;
use std::time::Duration;

use kol_common::actor::{Group, Mailbox, Task, mailbox};
use kol_common::job::OnDataLoss;
use kol_common::kafka::classify;
use kol_common::proto::{self, JobTick, PartitionReport, PartitionState};
use kol_common::{KolError, Millis};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::intake::Intake;
use super::message::{Assignment, Command, Ended, Partition, Ticks};
use super::outbox::{Answer, Outbox};
use super::pace::Pace;
use crate::memory::Memory;
use crate::sink::Sink;
use crate::source::{Batch, DeadLetters, PartitionQueue, Source};
use crate::state::State;

/// Records taken in between two looks at anything else: less than a millisecond of work.
const BATCH: usize = 1_024;
/// Lag above which a partition is far behind: then intermediate scores are not worth sending.
const BEHIND: u64 = 20_000;
/// How often the report is renewed and old state swept.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// Readings and slots looked at in one sweep.
const SWEEP: usize = 2_000;
/// Commands that may wait.
const COMMANDS: usize = 16;

/// What a partition uses and shares with others.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Kafka client of the job.
    pub source: Source,
    /// Redis writer of the job.
    pub sink: Sink,
    /// Producer for records that cannot be used.
    pub dead_letters: Option<DeadLetters>,
    /// Newest word of the master about the job.
    pub ticks: Ticks,
    /// Memory of the process.
    pub memory: Memory,
}

/// Starts a partition; the task's receiver gets how it ended.
pub fn start(
    group: &Group,
    assignment: Arc<Assignment>,
    deps: Deps,
) -> (Partition, Task, oneshot::Receiver<Ended>) {
    let (address, inbox) = mailbox("partition", COMMANDS);
    let (report, report_out) = watch::channel(PartitionReport::default());
    let (ended, ended_out) = oneshot::channel();
    let stop_now = CancellationToken::new();
    let token = stop_now.clone();
    let task = group.spawn("partition", async move {
        let actor = Actor::new(assignment, deps, inbox, report, token);
        let end = actor.run().await;
        let _supervisor_ended = ended.send(end);
        Ok(())
    });
    let partition = Partition {
        address,
        report: report_out,
        stop_now,
    };
    (partition, task, ended_out)
}

struct Actor {
    assignment: Arc<Assignment>,
    deps: Deps,
    inbox: Mailbox<Command>,
    report: watch::Sender<PartitionReport>,
    stop_now: CancellationToken,
    intake: Intake,
    outbox: Outbox,
    pace: Pace,
    tick: Arc<JobTick>,
    queue: Option<PartitionQueue>,
    /// The last look at the queue found records: there may be more.
    more: bool,
    draining: bool,
    source_problem: Option<KolError>,
    housekeeping_at: Instant,
    market_pass_at: Instant,
}

impl Actor {
    fn new(
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
            tick: Arc::new(JobTick::default()),
            assignment,
            deps,
            inbox,
            report,
            stop_now,
            queue: None,
            more: true,
            draining: false,
            source_problem: None,
            housekeeping_at: now,
            market_pass_at: now,
        }
    }

    async fn run(mut self) -> Ended {
        let opened = self
            .deps
            .source
            .open(&self.assignment.partition, self.assignment.offset);
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
                () = data(self.queue.as_ref(), self.more), if reads => {
                    if let Some(ended) = self.read(&mut batch).await {
                        return ended;
                    }
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Drain => {
                self.draining = true;
                self.queue = None;
                self.deps.source.close(&self.assignment.partition);
            }
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

    fn take_tick(&mut self) {
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
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let flush = self
            .outbox
            .wake_at(&self.intake.state, self.is_behind(), &self.tick);
        let pace = self.pace.ready_at().filter(|at| *at > now);
        [flush, pace]
            .into_iter()
            .flatten()
            .fold(self.housekeeping_at, Instant::min)
    }

    fn may_read(&self, now: Instant) -> bool {
        self.queue.is_some()
            && self.pace.ready_at().is_none_or(|at| now >= at)
            && !self.deps.memory.is_full()
    }

    async fn read(&mut self, batch: &mut Batch) -> Option<Ended> {
        let now = Instant::now();
        let limit = self.pace.allow(now, BATCH);
        let queue = self.queue.as_mut()?;
        queue.take(batch, limit);
        self.more = !batch.is_empty();
        self.pace.used(batch.len());
        let mut rejected = Vec::new();
        let taken = self.intake.take(batch, &mut rejected);
        if let Some(dead_letters) = &self.deps.dead_letters {
            for one in &rejected {
                if let Err(error) = dead_letters.send(&self.assignment.partition, one).await {
                    tracing::warn!(%error, "a dead letter could not be written");
                    self.source_problem = Some(error);
                }
            }
        }
        match taken {
            Ok(()) => {
                if self.more {
                    self.source_problem = None;
                }
                None
            }
            Err(RDKafkaRespErr::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) => self.out_of_range().await,
            Err(code) => {
                let error = classify(&KafkaError::MessageConsumption(code.into()));
                self.source_problem = Some(error.partition(&self.assignment.partition));
                None
            }
        }
    }

    /// The log no longer has our position: records were deleted before they could be read.
    async fn out_of_range(&mut self) -> Option<Ended> {
        let partition = &self.assignment.partition;
        let (oldest, end) = match self.deps.source.watermarks(partition).await {
            Ok(marks) => marks,
            Err(error) => {
                self.source_problem = Some(error);
                return None;
            }
        };
        let position = self.intake.position;
        let lost = oldest.saturating_sub(position);
        let what = if position > end {
            format!("the log ends at offset {end}, before the position: the topic was made anew")
        } else {
            format!("{lost} records were deleted before they were read")
        };
        let error = KolError::user("DATA_LOSS", what)
            .job(&self.assignment.spec.name)
            .partition(partition)
            .offset(position);
        if self.assignment.spec.source.on_data_loss == OnDataLoss::Fail {
            return Some(Ended::Failed(error.help(
                "Set source.on_data_loss = \"continue\" to go on behind the gap, and raise the \
                 retention of the topic.",
            )));
        }
        tracing::warn!(%error, "going on at the oldest record");
        self.intake.counters.lost += lost;
        self.intake.position = oldest;
        self.queue = None;
        match self.deps.source.seek(partition, oldest) {
            Ok(queue) => {
                self.queue = Some(queue);
                self.more = true;
                None
            }
            Err(error) => Some(Ended::Failed(error)),
        }
    }

    /// Records between the position and the end of the log.
    fn lag(&self) -> Option<u64> {
        let end = self.deps.source.end(&self.assignment.partition)?.end;
        Some(end.saturating_sub(self.intake.position))
    }

    fn is_behind(&self) -> bool {
        !self.draining && self.pace.lag.map_or(self.more, |lag| lag > BEHIND)
    }

    /// A drain is over when Redis has confirmed everything, or was shown more than this owner ever
    /// had to tell.
    fn drained(&self) -> Option<Ended> {
        if !self.draining {
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

    fn released(&self, drained: bool) -> Ended {
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
        self.intake.state.sweep(SWEEP);
        self.refresh_market(now);
        let report = self.make_report();
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

    fn make_report(&self) -> PartitionReport {
        let state = &self.intake.state;
        let end = self.deps.source.end(&self.assignment.partition);
        let (market_at, market) = state.market();
        let (kols, entities, bytes) = state.size();
        let platforms = state.platforms().iter().zip(market);
        PartitionReport {
            job_id: self.assignment.job.as_str().to_owned(),
            partition: Some((&self.assignment.partition).into()),
            assignment_epoch: self.assignment.epoch,
            state: self.partition_state().into(),
            position: self.intake.position,
            end_offset: end.map(|e| e.end),
            end_age_ms: end.map_or(0, |e| Millis::from(e.asked.elapsed()).0),
            clock_ms: state.clock().map(|c| c.0),
            // Sums of an older window end are labelled as such: they are not mixed with newer ones.
            window_end_ms: (market_at > 0).then(|| self.assignment.scoring.time(market_at).0),
            market: platforms
                .filter(|(_, sum)| sum.slots > 0)
                .map(|(platform, sum)| proto::MarketPartial {
                    platform: platform.to_string(),
                    velocity_sum_e4: sum.velocity_e4,
                    slots: sum.slots,
                })
                .collect(),
            confirmed: self.outbox.confirmed(),
            counters: Some(proto::PartitionCounters {
                merges: self.outbox.merges(),
                ..self.intake.counters
            }),
            kols: kols as u64,
            entities: entities as u64,
            state_bytes: bytes as u64,
            median_gap_ms: state.median_gap().map(|g| g.0),
            problem: self.problem().map(|e| e.to_info()),
        }
    }

    fn partition_state(&self) -> PartitionState {
        if self.draining {
            PartitionState::Draining
        } else if self.deps.memory.is_full() {
            PartitionState::Paused
        } else if self.outbox.holding().is_some() {
            PartitionState::Holding
        } else if self.outbox.is_claimed() {
            PartitionState::Running
        } else {
            PartitionState::Claiming
        }
    }

    fn problem(&self) -> Option<KolError> {
        let memory = self.deps.memory.is_full().then(|| {
            let (kols, entities, _) = self.intake.state.size();
            let mib = |bytes: u64| bytes / (1 << 20);
            KolError::external(
                "MEMORY_LIMIT",
                format!(
                    "reading waits: {} of {} MiB are in use ({kols} KOLs and {entities} videos in \
                     this partition)",
                    mib(self.deps.memory.resident()),
                    mib(self.deps.memory.limit())
                ),
            )
            .help("Add executors, raise --memory, or shorten scoring.entity_ttl.")
        });
        let source = || {
            self.source_problem
                .clone()
                .or_else(|| self.deps.source.problem())
        };
        let problem = memory
            .or_else(|| self.outbox.problem().cloned())
            .or_else(source)?;
        Some(
            problem
                .job(&self.assignment.spec.name)
                .partition(&self.assignment.partition),
        )
    }
}

/// Ready when there may be records: at once after a batch that was not empty (letting other tasks go
/// first), otherwise when the queue says so.
async fn data(queue: Option<&PartitionQueue>, more: bool) {
    match queue {
        Some(_) if more => tokio::task::yield_now().await,
        Some(queue) => queue.arrived().await,
        None => std::future::pending().await,
    }
}
