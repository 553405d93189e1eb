//! A partition's part in the epochs: a machine without I/O.
//!
//! 1. At a barrier the previous epoch is settled: it was committed if the barrier names it as parent;
//!    otherwise it was aborted, and what it had captured goes into this one.
//! 2. The state of an epoch is a chain of files: a base, and what changed from one committed epoch to
//!    the next. A file is relative to the newest file of the chain of the parent.
//! 3. A new base is due when there is none, and when reading the chain would take longer than it
//!    should: [`MANY_FILES`] files of changes outweigh half of the base, or there are [`MOST_FILES`] of
//!    them. So recovery reads a bounded number of files.
//! 4. The epoch is acknowledged once its file is durable, Redis has confirmed what was read before the
//!    barrier, and the dead letters of that have arrived, in whichever order these come.
//! 5. A savepoint is an epoch that never becomes a parent: it has a file of its own, of everything, and
//!    the chain stays as it is.

use kol_common::proto::{AsOf, PartitionCheckpoint, StateFile};
use tokio::time::Instant;

use crate::state::Capture;

/// Files that make a new base due when they outweigh half of the base before, and in any case.
const MANY_FILES: usize = 16;
const MOST_FILES: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Epochs {
    /// Files of the last committed epoch, or of the one that was restored.
    chain: Vec<StateFile>,
    open: Option<Open>,
}

/// The newest epoch.
#[derive(Debug)]
struct Open {
    epoch: u64,
    begun: Instant,
    /// What is known of the checkpoint so far.
    checkpoint: PartitionCheckpoint,
    progress: Progress,
}

/// How far the newest epoch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Rule 4: what has come so far, in whichever order.
    Waiting {
        file: bool,
        redis: bool,
        letters: bool,
    },
    /// Everything has come, and the master was sent the checkpoint. Nothing of it changes any more.
    Acknowledged,
}

impl Progress {
    const BEGUN: Self = Self::Waiting {
        file: false,
        redis: false,
        letters: false,
    };
}

/// What became of the previous epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Its capture is to be kept.
    Committed,
    /// Its capture, if there is one, is to be put back.
    Aborted,
}

/// What Redis had confirmed when it had everything from before a barrier.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passed {
    /// Sequence of the newest flush.
    pub sequence: u64,
    /// Redis has every slot as of this window end and market version.
    pub as_of: Option<AsOf>,
}

impl Epochs {
    /// After a restore from these files.
    pub fn restored(chain: Vec<StateFile>) -> Self {
        Self { chain, open: None }
    }

    /// A barrier came: settles the previous epoch.
    pub fn settle(&mut self, parent: u64) -> Settled {
        match self.open.take() {
            Some(open) if open.progress == Progress::Acknowledged && open.epoch == parent => {
                self.chain = open.checkpoint.files;
                Settled::Committed
            }
            _ => Settled::Aborted,
        }
    }

    /// Whether no file holds any state yet.
    pub fn is_stateless(&self) -> bool {
        self.chain.is_empty()
    }

    /// What the next file has to hold.
    pub fn wanted(&self) -> Capture {
        let Some((base, changes)) = self.chain.split_first() else {
            return Capture::Base;
        };
        let weight: u64 = changes.iter().map(|f| f.bytes).sum();
        let heavy = changes.len() >= MANY_FILES && weight > base.bytes / 2;
        if heavy || changes.len() >= MOST_FILES {
            Capture::Base
        } else {
            Capture::Changes
        }
    }

    /// Opens an epoch at a barrier. `checkpoint` says where the partition is.
    pub fn open(&mut self, now: Instant, epoch: u64, checkpoint: PartitionCheckpoint) {
        self.open = Some(Open {
            epoch,
            begun: now,
            checkpoint,
            progress: Progress::BEGUN,
        });
    }

    /// Reading paused for the epoch, for this long.
    pub fn paused(&mut self, us: u64) {
        if let Some(open) = &mut self.open {
            open.checkpoint.pause_us = open.checkpoint.pause_us.max(us);
        }
    }

    /// All that the epoch's file is to hold was copied.
    pub fn copied(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            let took = now.duration_since(open.begun).as_millis() as u64;
            open.checkpoint.copied_ms.get_or_insert(took);
        }
    }

    /// Nothing changed: the files of the parent are those of this epoch too.
    pub fn unchanged(&mut self, now: Instant) {
        let files = self.chain.clone();
        self.copied(now);
        self.durable(now, files, 0);
    }

    /// The epoch's file is durable.
    pub fn written(&mut self, now: Instant, wanted: Capture, file: StateFile) {
        let bytes = file.bytes;
        let mut files = match wanted {
            Capture::Base | Capture::Savepoint => Vec::new(),
            Capture::Changes => self.chain.clone(),
        };
        files.push(file);
        self.durable(now, files, bytes);
    }

    fn durable(&mut self, now: Instant, files: Vec<StateFile>, bytes: u64) {
        if let Some(open) = &mut self.open
            && let Progress::Waiting { file, .. } = &mut open.progress
        {
            *file = true;
            open.checkpoint.files = files;
            open.checkpoint.written_bytes = bytes;
            open.checkpoint.durable_ms = now.duration_since(open.begun).as_millis() as u64;
        }
    }

    /// Redis has confirmed what was read before the barrier.
    pub fn confirmed(&mut self, now: Instant, passed: Passed) {
        if let Some(open) = &mut self.open
            && let Progress::Waiting { redis, .. } = &mut open.progress
            && !*redis
        {
            *redis = true;
            open.checkpoint.sequence = passed.sequence;
            open.checkpoint.confirmed_as_of = passed.as_of;
            open.checkpoint.confirmed_ms = now.duration_since(open.begun).as_millis() as u64;
        }
    }

    /// The dead letters of what was read before the barrier have arrived.
    pub fn letters_arrived(&mut self) {
        if let Some(open) = &mut self.open
            && let Progress::Waiting { letters, .. } = &mut open.progress
        {
            *letters = true;
        }
    }

    /// The acknowledgement, once.
    pub fn acknowledge(&mut self) -> Option<PartitionCheckpoint> {
        let open = self.open.as_mut()?;
        let Progress::Waiting {
            file,
            redis,
            letters,
        } = open.progress
        else {
            return None;
        };
        if !(file && redis && letters) {
            return None;
        }
        open.progress = Progress::Acknowledged;
        Some(open.checkpoint.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: u64) -> StateFile {
        StateFile {
            path: path.into(),
            bytes,
            crc32c: 0,
        }
    }

    fn paths(checkpoint: &PartitionCheckpoint) -> Vec<&str> {
        checkpoint.files.iter().map(|f| f.path.as_str()).collect()
    }

    fn epoch(epochs: &mut Epochs, number: u64, wanted: Capture, path: &str) -> PartitionCheckpoint {
        let now = Instant::now();
        epochs.open(now, number, PartitionCheckpoint::default());
        epochs.written(now, wanted, file(path, 10));
        epochs.letters_arrived();
        assert_eq!(epochs.acknowledge(), None, "Redis has not confirmed");
        epochs.confirmed(now, Passed::default());
        let checkpoint = epochs.acknowledge().unwrap();
        assert_eq!(epochs.acknowledge(), None, "once");
        checkpoint
    }

    #[test]
    fn a_file_is_relative_to_the_last_epoch_that_was_committed() {
        let mut epochs = Epochs::default();
        assert!(epochs.is_stateless());
        assert_eq!(epochs.settle(0), Settled::Aborted);
        assert_eq!(epochs.wanted(), Capture::Base);
        let first = epoch(&mut epochs, 1, Capture::Base, "base");
        assert_eq!(paths(&first), ["base"]);
        assert_eq!(epochs.settle(1), Settled::Committed);
        assert_eq!(epochs.wanted(), Capture::Changes);
        let second = epoch(&mut epochs, 2, Capture::Changes, "b");
        assert_eq!(paths(&second), ["base", "b"]);
        // It was acknowledged, and another partition made it fail.
        assert_eq!(epochs.settle(1), Settled::Aborted);
        let third = epoch(&mut epochs, 3, Capture::Changes, "c");
        assert_eq!(paths(&third), ["base", "c"]);
        assert_eq!(epochs.settle(3), Settled::Committed);
        epochs.open(Instant::now(), 4, PartitionCheckpoint::default());
        epochs.unchanged(Instant::now());
        epochs.confirmed(Instant::now(), Passed::default());
        assert_eq!(epochs.acknowledge(), None, "dead letters are under way");
        epochs.letters_arrived();
        let fourth = epochs.acknowledge().unwrap();
        assert_eq!(
            (paths(&fourth), fourth.written_bytes),
            (vec!["base", "c"], 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_epoch_says_how_long_it_copied_wrote_and_waited_for_redis() {
        let mut epochs = Epochs::default();
        let begun = Instant::now();
        epochs.open(begun, 1, PartitionCheckpoint::default());
        let after = |ms| begun + std::time::Duration::from_millis(ms);
        epochs.copied(after(3));
        epochs.copied(after(4));
        epochs.written(after(7), Capture::Base, file("base", 1));
        epochs.letters_arrived();
        epochs.confirmed(after(9), Passed::default());
        let checkpoint = epochs.acknowledge().unwrap();
        assert_eq!(checkpoint.copied_ms, Some(3));
        assert_eq!((checkpoint.durable_ms, checkpoint.confirmed_ms), (7, 9));
    }

    #[test]
    fn a_savepoint_leaves_the_chain_as_it_is() {
        let mut epochs = Epochs::default();
        epoch(&mut epochs, 1, Capture::Base, "base");
        assert_eq!(epochs.settle(1), Settled::Committed);
        let savepoint = epoch(&mut epochs, 2, Capture::Savepoint, "all");
        assert_eq!(paths(&savepoint), ["all"]);
        assert_eq!(epochs.settle(1), Settled::Aborted, "it is no parent");
        assert_eq!(epochs.wanted(), Capture::Changes);
        let next = epoch(&mut epochs, 3, Capture::Changes, "c");
        assert_eq!(paths(&next), ["base", "c"]);
    }

    #[test]
    fn an_epoch_that_was_not_acknowledged_is_never_taken_for_committed() {
        let mut epochs = Epochs::default();
        epochs.open(Instant::now(), 1, PartitionCheckpoint::default());
        epochs.written(Instant::now(), Capture::Base, file("base", 1));
        epochs.letters_arrived();
        assert_eq!(epochs.acknowledge(), None);
        assert_eq!(epochs.settle(1), Settled::Aborted);
        assert_eq!(epochs.wanted(), Capture::Base);
    }

    #[test]
    fn a_new_base_is_due_when_the_changes_are_heavy_or_very_many() {
        let chain = |base: u64, count: usize, each: u64| {
            let changes = (0..count).map(|i| file(&i.to_string(), each));
            Epochs::restored(std::iter::once(file("base", base)).chain(changes).collect())
        };
        assert_eq!(chain(1_000, 15, 100).wanted(), Capture::Changes);
        assert_eq!(chain(1_000, 16, 100).wanted(), Capture::Base);
        assert_eq!(chain(1_000, 16, 10).wanted(), Capture::Changes);
        assert_eq!(chain(1_000_000, MOST_FILES, 10).wanted(), Capture::Base);
    }
}
