//! What goes into a coordinator and what comes out of it.

use std::collections::BTreeSet;

use kol_common::proto::{Manifest, PartitionCheckpoint, PlatformMarket};
use kol_common::{KolError, Millis, SavepointId, SourcePartition};

/// A partition, and whether its owner can take part in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Topic and number, for messages.
    pub partition: &'a SourcePartition,
    /// Its number within the job.
    pub ordinal: u32,
    /// The assignment under which it is owned.
    pub assignment_epoch: u64,
    /// Whether the owner answers and has claimed the partition.
    pub ready: bool,
    /// Whether it is to move, and pauses for less long if an epoch comes first.
    pub moves: bool,
    /// Whether the last committed epoch has all of it.
    pub unchanged: bool,
}

/// What a manifest says besides its partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Job id and name.
    pub job: (String, String),
    /// Generation of the job.
    pub generation: u64,
    /// The wall clock, for people: the manifest says when the epoch began by it.
    pub wall: Millis,
    /// The job clock.
    pub clock: Option<Millis>,
    /// Version of the market measure in use, and the measure.
    pub market: (u64, Vec<PlatformMarket>),
}

/// What happened, for a coordinator.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time passed, or owners changed. All partitions of the job are given.
    Tick(&'a [Owner<'a>]),
    /// A partition's part of an epoch is durable.
    Acknowledged {
        /// Number of the epoch that the barrier named.
        epoch: u64,
        /// What is durable.
        checkpoint: Box<PartitionCheckpoint>,
        /// What the manifest says if this completes the epoch.
        facts: Facts,
    },
    /// A partition cannot take part in an epoch.
    Failed {
        /// Number of the epoch that the barrier named.
        epoch: u64,
        /// The partition's number within the job.
        ordinal: u32,
        /// The assignment under which it failed.
        assignment_epoch: u64,
        /// Why it cannot, as the executor reported it.
        error: KolError,
    },
    /// A person requests a savepoint.
    Savepoint {
        /// The id that its answer will name.
        id: SavepointId,
        /// URL of the folder that it is written to.
        folder: String,
    },
    /// The job resumes from a state that another job made; its partitions and facts are in the manifest.
    Inherit(Manifest),
    /// The job stops: one last epoch.
    Finish,
    /// The job has ended, whatever is still open.
    End,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make durable that numbers up to the one of this epoch, and some more ([`Begin::reserved`]), may
    /// have been used; then send barriers.
    Begin(Begin),
    /// Make this durable, in one transaction, before anything else is done.
    Commit(Commit),
    /// A savepoint that only lacks its manifest file, or why it failed.
    Savepoint(SavepointId, Result<Manifest, KolError>),
    /// Delete these state files: nothing refers to them.
    Delete(Vec<String>),
    /// Tell the operator.
    Notice(Notice),
}

/// An epoch to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Number of the epoch.
    pub epoch: u64,
    /// Numbers up to this one count as used once it began.
    pub reserved: u64,
    /// The last committed epoch.
    pub parent: u64,
    /// Folder of the savepoint that it is for.
    pub savepoint: Option<String>,
    /// Nothing is to be read after it.
    pub last: bool,
}

/// A complete epoch, to be made durable in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// What is committed.
    pub manifest: Manifest,
    /// Epochs that are no longer kept.
    pub forgotten: Vec<u64>,
    /// Epochs that are kept for fewer partitions than before.
    pub reduced: Vec<Manifest>,
    /// Look for orphans: now and then.
    pub orphans: Option<Orphans>,
}

/// What distinguishes orphans (files left by owners that died and by epochs that were aborted) from files
/// that are needed or still being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphans {
    /// The oldest of the newest epochs, which are kept in any case: files of epochs from here on are not looked at.
    pub before: u64,
    /// Paths that kept epochs refer to.
    pub used: BTreeSet<String>,
}

/// What an operator's log should have: the first failure in a row, the one that makes it loud, and the
/// end of it; not every one.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// An epoch failed.
    Failed(KolError),
    /// Epochs are committed again, after this many failures.
    Recovered(u64),
}
