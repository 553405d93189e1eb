//! What a partition does for checkpoints: takes part in an epoch without standing still, and starts
//! from the state of the last one.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use kol_common::checkpoint::frame::FRAME_RAW;
use kol_common::checkpoint::{Store, UNAVAILABLE};
use kol_common::proto::{Barrier, PartitionCheckpoint, StateFile, Told as WireTold};
use kol_common::{KolError, Millis, world};
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::actor::Actor;
use super::epoch::{Epochs, Passed, Settled};
use super::log_id::LogId;
use super::message::{Assignment, Ended};
use super::writer::Writer;
use crate::state::{Capture, Restorer, State, Told};

/// Entries copied between two batches: less than a millisecond of work.
const STEP: usize = 1_000;
/// How soon the next step comes when no input makes the loop turn.
pub(super) const STEP_EVERY: Duration = Duration::from_millis(1);
/// First and longest wait before a store that failed is asked again.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// Where the answer to a barrier goes.
pub type Answer = oneshot::Sender<Result<PartitionCheckpoint, KolError>>;

/// An epoch under way.
#[derive(Debug, Default)]
pub(super) struct Taking {
    pub(super) epochs: Epochs,
    answer: Option<Answer>,
    file: Option<(Capture, Writer)>,
    copying: bool,
}

impl Taking {
    pub(super) fn restored(epochs: Epochs) -> Self {
        Self {
            epochs,
            ..Self::default()
        }
    }

    /// Whether the loop should come back soon although nothing happens.
    pub(super) fn is_copying(&self) -> bool {
        self.copying
    }

    /// Waits for the file under way; forever when there is none.
    pub(super) async fn written(&mut self) -> (Capture, Result<StateFile, KolError>) {
        let Some((wanted, writer)) = &mut self.file else {
            return std::future::pending().await;
        };
        let written = (*wanted, writer.result().await);
        self.file = None;
        written
    }
}

impl Actor {
    /// Cuts here, between two records.
    pub(super) fn barrier(&mut self, barrier: &Barrier, answer: Answer) {
        let now = Instant::now();
        if barrier.last && !self.halted {
            self.halt();
        }
        // Dropping the writer ends what an epoch before may still be writing.
        self.taking.file = None;
        self.taking.copying = false;
        match self.taking.epochs.settle(barrier.parent) {
            Settled::Committed => self.intake.state.keep_capture(),
            Settled::Aborted => self.intake.state.put_capture_back(),
        }
        self.taking.answer = Some(answer);
        let state = &mut self.intake.state;
        let (kols, entities, _) = state.size();
        let checkpoint = PartitionCheckpoint {
            partition: Some((&self.assignment.partition).into()),
            slot: self.assignment.slot,
            assignment_epoch: self.assignment.epoch,
            offset: self.intake.position,
            clock_ms: state.clock().map(|c| c.0),
            counters: Some(self.outbox.counted(&self.intake.counters)),
            kols: kols as u64,
            entities: entities as u64,
            location: barrier.savepoint.clone(),
            topic_id: self
                .log_id
                .known()
                .map(|id| id.as_bytes().to_vec())
                .unwrap_or_default(),
            ..PartitionCheckpoint::default()
        };
        let wanted = if !barrier.savepoint.is_empty() {
            Capture::Savepoint
        } else if state.owes_everything() {
            Capture::Base
        } else {
            self.taking.epochs.wanted()
        };
        self.taking.epochs.open(now, barrier.epoch, checkpoint);
        self.outbox.await_all_of(state);
        let empty = kols == 0 && self.taking.epochs.is_stateless();
        if empty || (wanted == Capture::Changes && state.changed() == 0) {
            self.taking.epochs.unchanged(now);
        } else {
            state.begin_capture(wanted);
            let (location, path) = self.place_of_file(barrier);
            let writer = Writer::start(&self.deps.files, location, path);
            self.taking.file = Some((wanted, writer));
            self.taking.copying = true;
        }
        self.note_pause(now);
        self.acknowledge();
    }

    /// The state begins anew, and with it the chain of its files: the next one is a base.
    pub(super) fn forget_checkpoints(&mut self) {
        let taking = std::mem::take(&mut self.taking);
        if let Some(answer) = taking.answer {
            let what = "the log was made anew, so the state begins anew";
            let error = KolError::external("CHECKPOINT_NEW_LOG", what);
            let _nobody_waits = answer.send(Err(error.partition(&self.assignment.partition)));
        }
    }

    /// Location and path of the file. Never the same twice: an owner that was replaced may still write.
    fn place_of_file(&self, barrier: &Barrier) -> (String, String) {
        let a = &self.assignment;
        let unique = world::random_id().simple();
        let name = format!(
            "{}/{:012}-{}-{unique}.state",
            a.slot, barrier.epoch, a.epoch
        );
        if barrier.savepoint.is_empty() {
            let location = a.spec.checkpoint.location.clone();
            (location, format!("{}/{name}", a.job))
        } else {
            (barrier.savepoint.clone(), name)
        }
    }

    /// One bounded step of the copying.
    pub(super) fn copy_some(&mut self) {
        let Some((_, writer)) = self.taking.file.as_ref().filter(|_| self.taking.copying) else {
            return;
        };
        if !writer.has_room() {
            return;
        }
        let begun = Instant::now();
        let state = &mut self.intake.state;
        let more = state.capture_some(STEP);
        if !more || state.copied() >= FRAME_RAW {
            let _there_is_room = writer.records(state.take_copies());
        }
        if !more {
            self.taking.copying = !writer.end();
        }
        self.note_pause(begun);
    }

    fn note_pause(&mut self, begun: Instant) {
        let us = begun.elapsed().as_micros() as u64;
        self.taking.epochs.paused(us);
    }

    /// The file is durable, or could not be written: then the epoch is to be given up.
    pub(super) fn wrote(&mut self, wanted: Capture, written: Result<StateFile, KolError>) {
        match written {
            Ok(file) => {
                self.taking.epochs.written(Instant::now(), wanted, file);
                self.acknowledge();
            }
            Err(error) => {
                self.taking.copying = false;
                if let Some(answer) = self.taking.answer.take() {
                    let error = error.partition(&self.assignment.partition);
                    let _nobody_waits = answer.send(Err(error));
                }
            }
        }
    }

    /// Answers the barrier if everything is in place.
    pub(super) fn acknowledge(&mut self) {
        if let Some((sequence, told)) = self.outbox.all_arrived() {
            let told = told.map(|(window_end_ms, market_version)| WireTold {
                window_end_ms,
                market_version,
            });
            let passed = Passed { sequence, told };
            self.taking.epochs.confirmed(Instant::now(), passed);
        }
        if let Some(checkpoint) = self.taking.epochs.acknowledge()
            && let Some(answer) = self.taking.answer.take()
        {
            let _nobody_waits = answer.send(Ok(checkpoint));
        }
    }

    /// Commands wait meanwhile: a state that is not whole has no answers.
    pub(super) async fn restore_unless_stopped(&mut self) -> Option<Ended> {
        self.restoring = true;
        self.show_report();
        let stop = self.stop_now.clone();
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => Some(self.released(false)),
            restored = self.restore() => restored.err(),
        };
        self.restoring = false;
        ended
    }

    /// Starts from the state of a checkpoint. A store that fails is asked again; files that are
    /// damaged end the partition, and the master finds others.
    async fn restore(&mut self) -> Result<(), Ended> {
        let Some(checkpoint) = self.assignment.restore.clone() else {
            return Ok(());
        };
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(RETRY.0)
            .with_max_delay(RETRY.1)
            .with_jitter()
            .with_jitter_seed(world::random_id().as_u64_pair().0)
            .without_max_times()
            .build();
        let state = loop {
            match read_state(Arc::clone(&self.assignment), &checkpoint).await {
                Ok(state) => break state,
                Err(error) if error.code == UNAVAILABLE => {
                    self.source_problem = Some(error);
                    self.show_report();
                    tokio::time::sleep(waits.next().unwrap_or(RETRY.1)).await;
                }
                Err(error) => {
                    let error = error.partition(&self.assignment.partition);
                    return Err(Ended::Failed(error));
                }
            }
        };
        self.source_problem = None;
        self.intake.state = state;
        self.intake.position = checkpoint.offset;
        self.intake.counters = checkpoint.counters.clone().unwrap_or_default();
        self.outbox.restored(&checkpoint);
        let topic = Uuid::from_slice(&checkpoint.topic_id).ok();
        self.log_id = LogId::new(Instant::now(), topic);
        // Files elsewhere are not ours to refer to: the first file here holds everything.
        let ours = checkpoint.location.is_empty();
        let chain = if ours { checkpoint.files } else { Vec::new() };
        self.taking = Taking::restored(Epochs::restored(chain));
        Ok(())
    }
}

/// Reads the files of a checkpoint, one after the other.
async fn read_state(
    assignment: Arc<Assignment>,
    checkpoint: &PartitionCheckpoint,
) -> Result<State, KolError> {
    let slide = assignment.scoring.spec.slide.0.max(1);
    let told = checkpoint.told.map(|told| Told {
        window_end: told.window_end_ms / slide,
        market_version: told.market_version,
    });
    let store = if checkpoint.location.is_empty() {
        Store::open(&assignment.spec.checkpoint.location).await?
    } else {
        Store::existing(&checkpoint.location).await?
    };
    let mut restorer = Restorer::new(Arc::clone(&assignment.scoring));
    for file in &checkpoint.files {
        let content = store.read(file).await?;
        let read = world::blocking(move || {
            let outcome = restorer.file(&content);
            outcome.map(|()| restorer)
        });
        let read = read.await.ok_or_else(|| {
            KolError::internal("CHECKPOINT_READER", "reading a state file hit a defect")
        })?;
        restorer = read.map_err(|d| store.damaged(&file.path, &d.to_string()))?;
    }
    let mut state = restorer.finish(told).map_err(|d| {
        let last = checkpoint.files.last().map_or("", |f| &f.path);
        store.damaged(last, &d.to_string())
    })?;
    if let Some(clock) = checkpoint.clock_ms {
        state.restore_clock(Millis(clock));
    }
    Ok(state)
}
