//! Reads the state of a checkpoint back, file by file. What was read counts for every checkpoint whose files begin
//! with it, in the same order: so a state can be read before it is known which checkpoint it is for.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use kol_common::checkpoint::{NO_ROOM, Store, UNAVAILABLE};
use kol_common::proto::{PartitionCheckpoint, StateFile};
use kol_common::scoring::Scoring;
use kol_common::{KolError, Millis, SourcePartition, world};

use crate::memory::{Memory, Share, Use};
use crate::roots::{Place, Roots};
use crate::state::{Restorer, State};

/// First and longest wait before a store that failed is read again.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// See the module.
#[derive(Debug)]
pub struct Restore {
    roots: Roots,
    of: Of,
    memory: Memory,
    progress: Progress,
    waits: ExponentialBackoff,
}

/// Whose state it is.
#[derive(Clone, Debug)]
pub struct Of {
    /// The checkpoint root of the job.
    pub root: Place,
    /// Its scoring constants.
    pub scoring: Arc<Scoring>,
    /// The partition that had it.
    pub partition: SourcePartition,
}

/// What was read so far.
#[derive(Debug)]
struct Progress {
    restorer: Restorer,
    location: String,
    files: Vec<StateFile>,
    /// Memory of the state.
    share: Share,
}

/// A state that was read, and the memory that it takes.
#[derive(Debug)]
pub struct Restored {
    /// The state, as of its checkpoint.
    pub state: Box<State>,
    /// To be dropped once somebody else counts it.
    pub share: Share,
}

/// What an attempt ended with.
#[derive(Debug)]
pub enum Attempt<T> {
    /// What was wanted.
    Done(T),
    /// The store is not available: [`Restore::pause`], then try again. What was read stays.
    Unavailable(KolError),
    /// Files are damaged, or their folder is not there: the partition must end, and the master finds other
    /// files or another executor.
    Failed(KolError),
}

impl<T> Attempt<T> {
    fn of(outcome: Result<T, KolError>, partition: &SourcePartition) -> Self {
        match outcome {
            Ok(done) => Self::Done(done),
            Err(error) if error.code == UNAVAILABLE => Self::Unavailable(error),
            Err(error) => Self::Failed(error.partition(partition)),
        }
    }
}

impl Restore {
    /// With nothing read.
    pub fn new(roots: Roots, of: Of, memory: Memory) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(RETRY.0)
            .with_max_delay(RETRY.1)
            .with_jitter()
            .with_jitter_seed(world::random_id().as_u64_pair().0)
            .without_max_times()
            .build();
        Self {
            progress: Progress::new(&of, &memory),
            roots,
            of,
            memory,
            waits,
        }
    }

    /// Reads the next file of a checkpoint that was not read; `false` when all were. What was read is dropped if
    /// the checkpoint does not begin with it.
    pub async fn step(&mut self, checkpoint: &PartitionCheckpoint) -> Attempt<bool> {
        let outcome = self.read_next(checkpoint).await;
        Attempt::of(outcome, &self.of.partition)
    }

    /// Reads all files of a checkpoint that were not read: the state.
    pub async fn attempt(&mut self, checkpoint: &PartitionCheckpoint) -> Attempt<Restored> {
        let outcome = self.read_all(checkpoint).await;
        Attempt::of(outcome, &self.of.partition)
    }

    /// Waits before the next attempt.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.next_pause()).await;
    }

    /// How long to wait before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        self.waits.next().unwrap_or(RETRY.1)
    }

    fn place(&self, checkpoint: &PartitionCheckpoint) -> Place {
        if checkpoint.location.is_empty() {
            self.of.root.clone()
        } else {
            Place::state(&checkpoint.location)
        }
    }

    async fn read_all(&mut self, checkpoint: &PartitionCheckpoint) -> Result<Restored, KolError> {
        while self.read_next(checkpoint).await? {}
        let place = self.place(checkpoint);
        let store = self.roots.open(&place).await?;
        let Progress {
            restorer, share, ..
        } = self.take_progress();
        let mut state = restorer.finish().map_err(|d| {
            let last = checkpoint.files.last().map_or("", |f| &f.path);
            store.damaged(last, &d.to_string())
        })?;
        if let Some(clock) = checkpoint.clock_ms {
            state.restore_clock(Millis(clock));
        }
        Ok(Restored {
            state: Box::new(state),
            share,
        })
    }

    /// See [`Restore::step`].
    async fn read_next(&mut self, checkpoint: &PartitionCheckpoint) -> Result<bool, KolError> {
        if !self.progress.begins(checkpoint) {
            drop(self.take_progress());
        }
        let Some(file) = checkpoint.files.get(self.progress.files.len()) else {
            return Ok(false);
        };
        let place = self.place(checkpoint);
        let store = self.roots.open(&place).await?;
        // Unpacked, a file is larger than it was, and what it makes of the state is, too.
        let room = self.memory.room_for(Use::Restores, 2 * file.bytes).await;
        if self.memory.is_too_little_for(2 * file.bytes) {
            return Err(self.too_large(checkpoint));
        }
        let content = match store.read(file).await {
            Ok(content) => content,
            Err(error) => return Err(self.roots.judge(&place, &file.path, error).await),
        };
        self.apply(&store, checkpoint, file, content).await?;
        drop(room);
        Ok(true)
    }

    /// Takes over a file. What was read is gone if that fails, or nobody waits for its end.
    async fn apply(
        &mut self,
        store: &Store,
        checkpoint: &PartitionCheckpoint,
        file: &StateFile,
        content: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), KolError> {
        let Progress {
            mut restorer,
            mut files,
            mut share,
            ..
        } = self.take_progress();
        let read = world::blocking(move || {
            let outcome = restorer.file(content.as_ref());
            outcome.map(|()| restorer)
        });
        let read = read.await.ok_or_else(|| {
            KolError::internal("CHECKPOINT_READER", "the reader of a state file panicked")
        })?;
        let restorer = read.map_err(|d| store.damaged(&file.path, &d.to_string()))?;
        share.set(restorer.bytes() as u64);
        files.push(file.clone());
        self.progress = Progress {
            restorer,
            location: checkpoint.location.clone(),
            files,
            share,
        };
        Ok(())
    }

    fn take_progress(&mut self) -> Progress {
        let nothing = Progress::new(&self.of, &self.memory);
        std::mem::replace(&mut self.progress, nothing)
    }

    fn too_large(&self, checkpoint: &PartitionCheckpoint) -> KolError {
        let what = format!(
            "the state of the partition ({} KOLs, {} videos) does not fit beside what the executor has: {}",
            checkpoint.kols,
            checkpoint.entities,
            self.memory.breakdown()
        );
        KolError::external(NO_ROOM, what)
            .help("Add executors or raise --memory; the partition then starts where it was.")
    }
}

impl Progress {
    fn new(of: &Of, memory: &Memory) -> Self {
        Self {
            restorer: Restorer::new(Arc::clone(&of.scoring)),
            location: String::new(),
            files: Vec::new(),
            share: memory.share(Use::State),
        }
    }

    /// Whether the files of a checkpoint begin with those that were read.
    fn begins(&self, checkpoint: &PartitionCheckpoint) -> bool {
        let nowhere = self.files.is_empty();
        let same = self.location == checkpoint.location;
        (nowhere || same) && checkpoint.files.starts_with(&self.files)
    }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
