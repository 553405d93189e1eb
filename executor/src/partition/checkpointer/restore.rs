//! Reads the state of a checkpoint back.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use kol_common::checkpoint::{NO_ROOM, UNAVAILABLE};
use kol_common::proto::PartitionCheckpoint;
use kol_common::{KolError, Millis, world};

use crate::memory::{Memory, Share, Use};
use crate::partition::message::Assignment;
use crate::roots::{Place, Roots};
use crate::state::{Restorer, State};

/// First and longest wait before a store that failed is read again.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// See the module: attempts, and the waits between them.
#[derive(Debug)]
pub struct Restore {
    roots: Roots,
    assignment: Arc<Assignment>,
    memory: Memory,
    checkpoint: PartitionCheckpoint,
    waits: ExponentialBackoff,
}

/// A state that was read, and the memory that it takes.
#[derive(Debug)]
pub struct Restored {
    /// The state.
    pub state: Box<State>,
    /// To be dropped once somebody else counts it.
    pub share: Share,
}

/// What an attempt ended with.
#[derive(Debug)]
pub enum Attempt {
    /// The whole state.
    Restored(Restored),
    /// The store is not available: [`Restore::pause`], then try again.
    Unavailable(KolError),
    /// Files are damaged, or their folder is not there: the partition must end, and the master finds other
    /// files or another executor.
    Failed(KolError),
}

impl Restore {
    /// Of one checkpoint.
    pub fn new(
        roots: Roots,
        assignment: Arc<Assignment>,
        memory: Memory,
        checkpoint: PartitionCheckpoint,
    ) -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(RETRY.0)
            .with_max_delay(RETRY.1)
            .with_jitter()
            .with_jitter_seed(world::random_id().as_u64_pair().0)
            .without_max_times()
            .build();
        Self {
            roots,
            assignment,
            memory,
            checkpoint,
            waits,
        }
    }

    /// Reads all files once.
    pub async fn attempt(&self) -> Attempt {
        match self.read_state().await {
            Ok(restored) => Attempt::Restored(restored),
            Err(error) if error.code == UNAVAILABLE => Attempt::Unavailable(error),
            Err(error) => Attempt::Failed(error.partition(&self.assignment.partition)),
        }
    }

    /// Waits before the next attempt.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.waits.next().unwrap_or(RETRY.1)).await;
    }

    /// Reads the files of the checkpoint, one after the other.
    async fn read_state(&self) -> Result<Restored, KolError> {
        let (assignment, checkpoint) = (&*self.assignment, &self.checkpoint);
        let place = if checkpoint.location.is_empty() {
            assignment.root()
        } else {
            Place::state(&checkpoint.location)
        };
        let store = self.roots.open(&place).await?;
        let mut restorer = Restorer::new(Arc::clone(&assignment.scoring));
        let mut share = self.memory.share(Use::State);
        for file in &checkpoint.files {
            // Unpacked, a file is larger than it was, and what it makes of the state is, too.
            let room = self.memory.room_for(Use::Restores, 2 * file.bytes).await;
            if self.memory.is_too_little_for(2 * file.bytes) {
                return Err(self.too_large());
            }
            let content = match store.read(file).await {
                Ok(content) => content,
                Err(error) => return Err(self.roots.judge(&place, &file.path, error).await),
            };
            let read = world::blocking(move || {
                let outcome = restorer.file(&content);
                outcome.map(|()| restorer)
            });
            let read = read.await.ok_or_else(|| {
                KolError::internal("CHECKPOINT_READER", "the reader of a state file panicked")
            })?;
            restorer = read.map_err(|d| store.damaged(&file.path, &d.to_string()))?;
            share.set(restorer.bytes() as u64);
            drop(room);
        }
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

    fn too_large(&self) -> KolError {
        let checkpoint = &self.checkpoint;
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
