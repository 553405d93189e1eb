//! Writing records again, together with the position of what was read: both arrive, or neither does. Nothing here knows
//! a client. The rules are in `docs/protocol/rekeying.md`.

use std::fmt::Debug;

use futures::future::BoxFuture;
use kol_common::{KolError, SourcePartition};
use uuid::Uuid;

use super::Record;

/// Where the first stage of a job writes what it reads of one partition.
#[derive(Clone, Debug)]
pub struct Route {
    /// Who writes: of two owners with the same name only the newer one can.
    pub writer: String,
    /// Under which name positions are kept.
    pub group: String,
    /// The partition that is read.
    pub origin: SourcePartition,
    /// The topic that is written to.
    pub topic: String,
    /// Id that the brokers gave the topic.
    pub topic_id: Uuid,
}

/// A record on its way.
#[derive(Clone, Copy, Debug)]
pub struct Keyed<'a> {
    /// As it came: value and timestamp stay.
    pub record: &'a Record<'a>,
    /// Its new key.
    pub key: &'a [u8],
    /// The partition that it is written to.
    pub partition: u32,
}

/// Up to where a partition was read, as it was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Offset of the next record.
    pub offset: u64,
    /// Id of the topic that was read; `None` where whoever committed it did not say.
    pub topic: Option<Uuid>,
}

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Somebody else has begun to write under this name.
    Fenced(KolError),
    /// What was written since the last commit is lost, or whether it is lost is not known.
    Aborted(KolError),
    /// Nothing has changed, and the same may work later.
    Again(KolError),
}

/// Writes what is read of one partition, in one transaction after the other. One call at a time; all have deadlines of
/// their own.
pub trait Transactions: Debug + Send + Sync {
    /// Ends what owners before have begun, keeps them from writing any more, and begins a transaction.
    fn fence(&self) -> BoxFuture<'static, Result<(), Refusal>>;

    /// The position that was committed last; `None`: there is none.
    fn committed(&self) -> BoxFuture<'static, Result<Option<Committed>, Refusal>>;

    /// Adds a record to the transaction. It is on its way when this returns.
    ///
    /// # Errors
    /// [`Refusal::Aborted`]: it cannot be written.
    fn write(&self, keyed: &Keyed<'_>) -> Result<(), Refusal>;

    /// Commits the transaction with a position, and begins the next one.
    fn commit(&self, position: Committed) -> BoxFuture<'static, Result<(), Refusal>>;

    /// Ends the transaction: nothing of it is to be read.
    fn abort(&self) -> BoxFuture<'static, ()>;

    /// Memory that records take which have not arrived yet, in bytes, about.
    fn bytes(&self) -> u64;
}
