//! The partition's part in checkpoints: it captures its state at a barrier without stopping to read,
//! has it written, and acknowledges the epoch.
//!
//! | file | does |
//! |---|---|
//! | `epochs` | what an epoch needs, and what becomes of the one before: a machine |
//! | `writer` | writes one state file, beside the partition's loop |
//! | `restore` | reads the state of a checkpoint back |
//! | `standby` | does so ahead, for a partition that is still elsewhere |

mod epochs;
mod restore;
mod standby;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::checkpoint::ABSENT;
use kol_common::checkpoint::frame::FRAME_RAW;
use kol_common::proto::{Barrier, PartitionCheckpoint, StateFile};
use kol_common::{KolError, world};
use tokio::time::Instant;

pub use self::epochs::Passed;
use self::epochs::{Epochs, Settled};
pub use self::restore::{Attempt, Of, Restore, Restored};
pub use self::standby::Standby;
use self::writer::Writer;
use crate::memory::Memory;
use crate::partition::message::{Assignment, BarrierAnswer};
use crate::roots::{Place, Roots};
use crate::state::{Capture, State};

/// Entries copied between two batches: less than a millisecond of work.
const STEP: usize = 1_000;
/// How soon the next step comes when no input makes the loop turn.
pub const STEP_EVERY: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug)]
pub struct Checkpointer {
    assignment: Arc<Assignment>,
    /// Where files are written and read.
    roots: Roots,
    /// Tasks that write them.
    files: Group,
    memory: Memory,
    epochs: Epochs,
    /// Where the acknowledgement of the open epoch goes.
    answer: Option<BarrierAnswer>,
    file: Option<File>,
}

/// The state file of the open epoch.
#[derive(Debug)]
struct File {
    wanted: Capture,
    writer: Writer,
    /// Entries are left to copy.
    copying: bool,
}

/// What the writer of the open epoch's file ended with.
#[derive(Debug)]
pub struct Written {
    wanted: Capture,
    file: Result<StateFile, KolError>,
}

impl Checkpointer {
    /// Without a file so far.
    pub fn new(assignment: Arc<Assignment>, roots: Roots, files: Group, memory: Memory) -> Self {
        Self {
            assignment,
            roots,
            files,
            memory,
            epochs: Epochs::default(),
            answer: None,
            file: None,
        }
    }

    /// Whether the checkpoint root is there. A store that fails is no reason not to start.
    ///
    /// # Errors
    /// It is not.
    pub async fn see_root(&self) -> Result<(), KolError> {
        match self.roots.open(&self.assignment.root()).await {
            Err(error) if error.code == ABSENT => Err(error.partition(&self.assignment.partition)),
            _ => Ok(()),
        }
    }

    /// Reads the state of a checkpoint back.
    pub fn restore(&self) -> Restore {
        let of = Of {
            root: self.assignment.root(),
            scoring: Arc::clone(&self.assignment.scoring),
            partition: self.assignment.partition.clone(),
        };
        Restore::new(self.roots.clone(), of, self.memory.clone())
    }

    /// Continues the chain of files of a checkpoint. Files at another location are not ours to refer to:
    /// then the first file here holds everything.
    pub fn restored(&mut self, checkpoint: PartitionCheckpoint) {
        if checkpoint.location.is_empty() {
            self.epochs = Epochs::restored(checkpoint.files);
        }
    }

    /// The state starts over, and with it the chain of its files: the next one is a base. The open epoch
    /// fails.
    pub fn start_over(&mut self) {
        self.epochs = Epochs::default();
        self.file = None;
        let what = "the topic was recreated, so the state starts over";
        self.fail(KolError::external("CHECKPOINT_NEW_LOG", what));
    }

    /// Takes part in an epoch: the state is captured as it is now, between two records. `checkpoint` says
    /// where the partition is. Acknowledged once the file is durable, and [`Checkpointer::confirmed`] and
    /// [`Checkpointer::letters_arrived`] were called for what was read so far.
    pub fn open(
        &mut self,
        now: Instant,
        barrier: &Barrier,
        checkpoint: PartitionCheckpoint,
        state: &mut State,
        answer: BarrierAnswer,
    ) {
        // Dropping the writer ends what an earlier epoch may still be writing.
        self.file = None;
        match self.epochs.settle(barrier.parent) {
            Settled::Committed => state.keep_capture(),
            Settled::Aborted => state.put_capture_back(),
        }
        self.answer = Some(answer);
        let wanted = if !barrier.savepoint.is_empty() {
            Capture::Savepoint
        } else if state.owes_everything() {
            Capture::Base
        } else {
            self.epochs.wanted()
        };
        self.epochs.open(now, barrier.epoch, checkpoint);
        let empty = state.size().0 == 0 && self.epochs.is_stateless();
        if empty || (wanted == Capture::Changes && state.uncaptured() == 0) {
            self.epochs.unchanged(now);
        } else {
            let bytes = state.capture_bytes(wanted) as u64;
            state.begin_capture(wanted);
            let version = state.file_version();
            let (place, path) = self.place_of_file(barrier);
            let room = writer::room(self.memory.clone(), bytes);
            let roots = self.roots.clone();
            self.file = Some(File {
                wanted,
                writer: Writer::start(&self.files, room, roots, place, path, version),
                copying: true,
            });
        }
        self.note_pause(now);
        self.acknowledge();
    }

    /// Place and path of the file. Never the same twice: an owner that was replaced may still write.
    fn place_of_file(&self, barrier: &Barrier) -> (Place, String) {
        let a = &self.assignment;
        let unique = world::random_id().simple();
        let name = format!(
            "{}/{:012}-{}-{unique}.state",
            a.ordinal, barrier.epoch, a.assignment_epoch
        );
        if barrier.savepoint.is_empty() {
            (a.root(), format!("{}/{name}", a.job))
        } else {
            (Place::savepoint(&barrier.savepoint), name)
        }
    }

    /// Whether the loop should come back soon although nothing happens.
    pub fn is_copying(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.copying)
    }

    /// One bounded step of the copying.
    pub fn copy_some(&mut self, state: &mut State) {
        let Some(file) = self.file.as_mut().filter(|file| file.copying) else {
            return;
        };
        if !file.writer.has_room() {
            return;
        }
        let begun = Instant::now();
        let more = state.capture_some(STEP);
        if !more || state.copied() >= FRAME_RAW {
            let _there_is_room = file.writer.records(state.take_copies());
        }
        if !more {
            file.copying = !file.writer.end();
            self.epochs.copied(Instant::now());
        }
        self.note_pause(begun);
    }

    fn note_pause(&mut self, begun: Instant) {
        let us = begun.elapsed().as_micros() as u64;
        self.epochs.paused(us);
    }

    /// Waits for the writer of the file under way; forever when there is none.
    pub async fn written(&mut self) -> Written {
        let Some(File { wanted, writer, .. }) = &mut self.file else {
            return std::future::pending().await;
        };
        let written = Written {
            wanted: *wanted,
            file: writer.result().await,
        };
        self.file = None;
        written
    }

    /// The file is durable, or could not be written: then the epoch fails.
    pub fn settle_file(&mut self, now: Instant, written: Written) {
        match written.file {
            Ok(file) => {
                self.epochs.written(now, written.wanted, file);
                self.acknowledge();
            }
            Err(error) => self.fail(error),
        }
    }

    /// Redis has confirmed what was read before the barrier.
    pub fn confirmed(&mut self, now: Instant, passed: Passed) {
        self.epochs.confirmed(now, passed);
        self.acknowledge();
    }

    /// The dead letters of records before the barrier have arrived.
    pub fn letters_arrived(&mut self) {
        self.epochs.letters_arrived();
        self.acknowledge();
    }

    /// Answers the barrier if everything is in place.
    fn acknowledge(&mut self) {
        if let Some(checkpoint) = self.epochs.acknowledge()
            && let Some(answer) = self.answer.take()
        {
            let _nobody_waits = answer.send(Ok(checkpoint));
        }
    }

    fn fail(&mut self, error: KolError) {
        if let Some(answer) = self.answer.take() {
            let error = error.partition(&self.assignment.partition);
            let _nobody_waits = answer.send(Err(error));
        }
    }
}
