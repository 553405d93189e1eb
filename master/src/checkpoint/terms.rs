//! What goes into a coordinator and what comes out of it.

use std::collections::BTreeSet;

use kol_common::proto::{Manifest, PlatformMarket};
use kol_common::{KolError, Millis};

/// Who has a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Number of the partition within the job.
    pub slot: u32,
    /// Its assignment epoch.
    pub assignment_epoch: u64,
    /// It can take part in an epoch.
    pub ready: bool,
}

/// An epoch to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// Its number.
    pub epoch: u64,
    /// The last committed one.
    pub parent: u64,
    /// Folder of the savepoint that it is for.
    pub savepoint: Option<String>,
    /// Nothing is to be read after it.
    pub last: bool,
}

/// What a manifest says besides its partitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Job id and name.
    pub job: (String, String),
    /// Generation of the job.
    pub generation: u64,
    /// The job clock.
    pub clock: Option<Millis>,
    /// Version of the market measure in use, and the measure.
    pub market: (u64, Vec<PlatformMarket>),
}

/// A complete epoch, to be made durable in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// What is committed.
    pub manifest: Manifest,
    /// Epochs that are not kept any more.
    pub forgotten: Vec<u64>,
    /// Epochs that are kept for fewer partitions than before.
    pub reduced: Vec<Manifest>,
    /// Look for files that were left behind: now and then.
    pub sweep: Option<Sweep>,
}

/// What tells files that were left behind, by owners that died and epochs that were given up, from
/// those that are needed or still being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// The oldest kept epoch: files of epochs from here on are not looked at.
    pub before: u64,
    /// Paths that kept epochs refer to.
    pub used: BTreeSet<String>,
}

/// What an operator's log should have: the first failure in a row, the one that makes it loud, and the
/// end of it; not every one.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An epoch failed.
    Failed(KolError),
    /// Epochs are committed again, after this many failures.
    Mended(u64),
}
