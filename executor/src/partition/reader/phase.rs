//! What a reader is doing: a queue exists in one phase only, and doubt about the log only beside it.

use futures::future::BoxFuture;
use kol_common::KolError;
use kol_common::proto::RecordMark;
use tokio::time::Instant;
use uuid::Uuid;

use crate::source::PartitionQueue;

/// What was looked up of a log, or why that is not known.
pub type Range = Result<Found, KolError>;

/// The offsets that a log has, and a record that is another one than was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Oldest offset that is still there.
    pub oldest: u64,
    /// One past the newest.
    pub end: u64,
    /// The record at this offset is another one than was read.
    pub differs: Option<u64>,
    /// Where it was cut off, as its records show; only if one of them differs.
    pub cut: Option<Cut>,
    /// The record that an owner before had read was compared.
    pub compared: bool,
}

/// Where a log was cut off that has grown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// At this offset or behind it: before it the log is the same.
    From(u64),
    /// At this offset, which is of another record now, or anywhere before it.
    Before(u64),
}

impl Cut {
    fn offset(self) -> u64 {
        match self {
            Self::From(offset) | Self::Before(offset) => offset,
        }
    }
}

impl Found {
    /// Where it was cut off.
    pub fn cut_at(&self) -> Option<u64> {
        self.cut.map(Cut::offset)
    }

    /// Whether it may have been cut off before that, too.
    pub fn is_unproven(&self) -> bool {
        matches!(self.cut, Some(Cut::Before(_)))
    }
}

/// See the module.
#[derive(Debug)]
pub enum Phase {
    /// Nothing is open: the state is being restored, or the log is about to be opened.
    Closed,
    /// Nothing is open until there is memory for what will be fetched.
    Waiting,
    /// Records are read.
    Reading(Reading),
    /// Nothing more is read.
    Halted,
    /// Nothing more is read, and the partition ends once Redis has confirmed everything.
    Draining,
}

/// An open log.
#[derive(Debug)]
pub struct Reading {
    /// Where its records arrive.
    pub queue: PartitionQueue,
    /// Whether any came, or the end of the log.
    pub begun: bool,
    /// The record that the log was opened at, and that was read before: until something else came.
    pub expected: Option<RecordMark>,
    /// Whether there may be some.
    pub arrivals: Arrivals,
    /// Whether it is the log that the state is of, and has the position.
    pub log: Log,
}

/// Whether a queue may have records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// The last look found some, or is too long ago.
    Likely,
    /// The last look found none: the queue notifies of the next one.
    Awaited,
}

/// What is known of the log that is read.
pub enum Log {
    /// Nothing speaks against it.
    Trusted,
    /// It does not have the position, or is another one: its range must be queried.
    Doubted {
        /// What speaks against it.
        doubt: Doubt,
        /// The query that is under way.
        query: Option<BoxFuture<'static, Range>>,
    },
}

/// What speaks against a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// When it was first doubted.
    pub since: Instant,
    /// The id of another log that has its name now.
    pub other: Option<Uuid>,
    /// It was cut off here, says its client, and has grown again.
    pub cut: Option<u64>,
    /// The record at this offset is another one than was read.
    pub differs: Option<u64>,
    /// An owner before had read it up to here.
    pub shown: Option<u64>,
    /// An owner before had read this record, and whether it is still there is not known.
    pub read: Option<RecordMark>,
}

impl Doubt {
    /// For no other reason than that it does not have the position.
    pub fn new(since: Instant) -> Self {
        Self {
            since,
            other: None,
            cut: None,
            differs: None,
            shown: None,
            read: None,
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Trusted => f.write_str("Trusted"),
            Self::Doubted { doubt, .. } => f.debug_tuple("Doubted").field(doubt).finish(),
        }
    }
}

/// What happened to an open log.
#[derive(Debug)]
pub enum News {
    /// There may be records to read.
    Records,
    /// The answer to the query of its range.
    Range(Range),
}

impl Reading {
    /// From a queue that was just opened, at this record if one had been read.
    pub fn new(queue: PartitionQueue, expected: Option<RecordMark>) -> Self {
        Self {
            queue,
            begun: false,
            expected,
            arrivals: Arrivals::Likely,
            log: Log::Trusted,
        }
    }

    /// Something speaks against the log, in addition to what did before.
    pub fn doubt(&mut self, reason: Doubt) {
        match &mut self.log {
            Log::Doubted { doubt, .. } => {
                doubt.other = reason.other.or(doubt.other);
                doubt.cut = reason.cut.or(doubt.cut);
                doubt.differs = reason.differs.or(doubt.differs);
                doubt.shown = reason.shown.or(doubt.shown);
                doubt.read = reason.read.or(doubt.read);
            }
            Log::Trusted => {
                self.log = Log::Doubted {
                    doubt: reason,
                    query: None,
                };
            }
        }
    }

    /// Whether its records are being compared with those that were read, or differ from them.
    pub fn is_compared(&self) -> bool {
        match &self.log {
            Log::Trusted => false,
            Log::Doubted { doubt, .. } => doubt.differs.is_some() || doubt.read.is_some(),
        }
    }

    /// Whether its records follow those that were read.
    fn is_continued(&self) -> bool {
        match &self.log {
            Log::Trusted => true,
            Log::Doubted { doubt, .. } => doubt.differs.is_none(),
        }
    }

    /// Waits for news; for records only if they are `wanted`, and follow those that were read.
    pub async fn news(&mut self, wanted: bool) -> News {
        let wanted = wanted && self.is_continued();
        tokio::select! {
            biased;
            range = answer(&mut self.log) => News::Range(range),
            () = arrival(&self.queue, self.arrivals), if wanted => News::Records,
        }
    }
}

/// Waits for the answer to the query that is under way; forever when there is none.
async fn answer(log: &mut Log) -> Range {
    if let Log::Doubted { query, .. } = log
        && let Some(under_way) = query
    {
        let range = under_way.await;
        *query = None;
        return range;
    }
    std::future::pending().await
}

/// Ready when there may be records: at once after a batch that was not empty (letting other tasks go
/// first), otherwise when the queue says so.
async fn arrival(queue: &PartitionQueue, arrivals: Arrivals) {
    match arrivals {
        Arrivals::Likely => tokio::task::yield_now().await,
        Arrivals::Awaited => queue.arrived().notified().await,
    }
}
