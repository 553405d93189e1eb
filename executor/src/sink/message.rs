//! What partitions and their sink say to each other.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::actor::Address;
use kol_common::job::KeyTemplates;
use kol_common::redis::history::Rules;
use kol_common::redis::{Cursor, RIGHTS_MISSING};
use kol_common::{KolError, Millis};
use redis::Cmd;
use tokio::sync::oneshot;

use super::turns::Turn;

/// Where partitions send to.
pub type Sink = Address<SinkMessage>;

/// What a partition requests.
#[derive(Debug)]
pub enum SinkMessage {
    /// Raise the fence of a partition.
    Claim {
        /// The partition's fence.
        fence: Fence,
        /// Which log it is of: what Redis was shown of another one is not waited for. Empty where that is
        /// not known.
        log: String,
        /// Key of the set of all platforms.
        platforms: String,
        /// The platforms that are read however many others there are.
        first: Vec<String>,
        /// What the previous owner left.
        reply: oneshot::Sender<Result<Claimed, SinkError>>,
    },
    /// Read the fence record: is it as its owner left it?
    Look {
        /// The partition's fence.
        fence: Fence,
        /// The `seq_done` it records.
        reply: oneshot::Sender<Result<u64, SinkError>>,
    },
    /// Send a flush.
    Flush {
        /// What to send.
        request: Box<FlushRequest>,
        /// What became of it.
        reply: oneshot::Sender<Result<Flushed, SinkError>>,
    },
    /// Read a piece of a listing.
    Scan {
        /// The piece, and the partition that it is for.
        request: ScanRequest,
        /// The KOLs in it that are for this partition to check.
        reply: oneshot::Sender<Result<Scanned, SinkError>>,
    },
    /// Look for hashes of an older generation that nothing names, in a piece of all keys.
    Hashes {
        /// The piece, and whose hashes.
        request: HashesRequest,
        /// The hashes that were found.
        reply: oneshot::Sender<Result<Hashes, SinkError>>,
    },
    /// Compare what was sent with what is there.
    Compare {
        /// Key of the partition's fence record.
        fence: String,
        /// Calls of `compare.lua`, sent in one pipeline.
        calls: Vec<Cmd>,
        /// What they found.
        reply: oneshot::Sender<Result<Compared, SinkError>>,
    },
    /// Read where the visible top of rankings ends.
    Tops {
        /// Keys of rankings.
        rankings: Vec<String>,
        /// For each of them, the score of the last that is visible; `None` where all of them are.
        reply: oneshot::Sender<Result<Vec<Option<f64>>, SinkError>>,
    },
    /// Read alerts that wait for a destination.
    Alerts {
        /// Key of those of a partition.
        pending: String,
        /// Fields of those that arrived: they are taken out first.
        settled: Vec<String>,
        /// Where reading continues; `None`: only how many there are is read.
        from: Option<u64>,
        /// Some of the others.
        reply: oneshot::Sender<Result<Waiting, SinkError>>,
    },
    /// Keep the first of each ranking as it is shown now.
    Snapshot {
        /// Which, and what else is kept.
        request: Box<SnapshotRequest>,
        /// That it is done.
        reply: oneshot::Sender<Result<Kept, SinkError>>,
    },
}

/// A kind of request: what one kind proves about Redis, another does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Send a flush: the only one that writes results.
    Flush,
    /// Raise the fence of a partition.
    Claim,
    /// Read the fence record.
    Look,
    /// Read a piece of a listing.
    Scan,
    /// Look for hashes in a piece of all keys.
    Hashes,
    /// Compare what was sent with what is there.
    Compare,
    /// Read where the visible top of rankings ends.
    Tops,
    /// Read alerts that wait.
    Alerts,
    /// Keep the first of each ranking.
    Snapshot,
}

impl Operation {
    /// The one that matters most to a reader first.
    pub const ALL: [Self; 9] = [
        Self::Flush,
        Self::Claim,
        Self::Look,
        Self::Scan,
        Self::Hashes,
        Self::Compare,
        Self::Tops,
        Self::Alerts,
        Self::Snapshot,
    ];

    /// Whether one of this kind that succeeded proves that the other kind, which failed with this code, succeeds, too.
    /// While flushes succeed in time nobody looks at the fence record, which they read as well, and nobody samples tops:
    /// Redis serves them, unless the user lacks a right to a command that flushes do not use.
    pub fn proves(self, other: Self, code: &str) -> bool {
        match (self, other) {
            (Self::Flush, Self::Look) => true,
            (Self::Flush, Self::Tops) => code != RIGHTS_MISSING,
            (this, other) => this == other,
        }
    }
}

/// A partition's fence record, and who may write behind it.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Redis key of the record.
    pub key: String,
    /// Generation of the job.
    pub generation: u64,
    /// Assignment epoch of the owner.
    pub assignment_epoch: u64,
}

/// What the fence record said when it was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Newest flush that was begun.
    pub begun: u64,
    /// Newest flush that ended.
    pub done: u64,
    /// Redis may show this partition up to this offset and window end: the new owner sends nothing
    /// until it has reached both.
    pub shown: Option<(u64, u64)>,
    /// The last record that it was shown, as its owner then wrote it; empty where that is not known.
    pub last: String,
    /// It was of an older generation of the job: Redis has nothing of this one yet.
    pub raised: bool,
    /// Platforms that have a ranking, whoever wrote it.
    pub platforms: Vec<String>,
    /// Keys that are of a wrong type: what they should say is not known.
    pub refused: Vec<String>,
}

/// One flush of one partition.
#[derive(Debug)]
pub struct FlushRequest {
    /// The partition's fence.
    pub fence: Fence,
    /// Larger than that of any flush before.
    pub sequence: u64,
    /// Sequence of the last flush that Redis confirmed: a record that knows less is from a backup.
    pub confirmed: u64,
    /// Position and window end that the flush brings Redis to.
    pub shown: (u64, u64),
    /// The last record before that position, for the next owner.
    pub last: String,
    /// Merge calls, by their places in the flush.
    pub merges: Vec<Cmd>,
    /// Looks at the rules of alerts about the KOLs of the merges.
    pub alerts: Vec<Cmd>,
    /// Hashes of alerts that were of a wrong type: the end of the flush looks at them again.
    pub recheck: Vec<String>,
    /// The turn that it takes.
    pub turn: Option<Turn>,
    /// Keys of `last_update` and `last_event`.
    pub stamps: (String, String),
    /// Key of the set of all platforms.
    pub platforms: String,
    /// The time now and the newest event time (may be empty), ISO 8601.
    pub times: (String, String),
}

/// Snapshots of the rankings of a job.
#[derive(Clone, Debug)]
pub struct SnapshotRequest {
    /// The fence of the partition that writes them.
    pub fence: Fence,
    /// The keys of the job.
    pub keys: KeyTemplates,
    /// The platforms of which snapshots are kept however many others there are.
    pub first: Vec<String>,
    /// Of which time they are.
    pub at: Millis,
    /// Window end of the rankings.
    pub window_end: Millis,
    /// How long they are kept.
    pub rules: Rules,
}

/// Snapshots that Redis has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Keys that are of a wrong type: of their platforms nothing was kept.
    pub refused: Vec<String>,
}

/// A flush that Redis did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Keys that are of a wrong type. What belongs to them was left out, and they are as they were.
    pub refused: Vec<String>,
    /// The same of hashes of alerts, and of those to look at again that still are.
    pub refused_alerts: Vec<String>,
    /// Alerts that were noted.
    pub noted: Noted,
}

/// What looks at the rules of alerts came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// How many alerts were noted, by rule.
    pub rules: BTreeMap<String, u64>,
    /// How many were not, because of one that was not long before.
    pub silenced: u64,
    /// How many could not be kept for the topic and for the webhook: too many wait.
    pub lost: [u64; 2],
}

/// Most alerts of a partition that wait for a destination, a tenth of it where one takes more than 1,024 bytes: more are not
/// kept, and counted as lost.
pub const MOST_WAITING: u64 = 10_000;

/// Alerts that wait for a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Some of them, each with its field in the hash.
    pub alerts: Vec<(String, String)>,
    /// How many there are.
    pub all: u64,
    /// Where reading continues: 0 at the end.
    pub next: u64,
    /// Their key is of a wrong type: nothing is read, and it is as it was.
    pub is_refused: bool,
}

/// What compare calls found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// How long Redis took, without the way to it and back.
    pub took: Duration,
    /// What is there, for each call, in their order.
    pub pieces: Vec<Present>,
    /// `last_update` or `last_event` is gone.
    pub stamps_lost: bool,
}

/// What Redis has of the KOLs of one call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    /// The ranking or all slots of the platform are gone.
    pub whole_lost: bool,
    /// Keys of the platform that are of a wrong type.
    pub keys: Vec<String>,
    /// Members without slots of the piece of the ranking that was read; `None`: the ranking has no more members than there
    /// are slots.
    pub strange: Option<Vec<String>>,
    /// The KOLs, in the order of the call; none where the ranking is of another generation.
    pub kols: Vec<Found>,
}

/// Values of a hash with a zero byte between two of them, in the order in which they were read; empty where one of them is
/// not there.
pub type Values = Vec<u8>;

/// What Redis has of one KOL, all of it at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Its score in the ranking, if it is in it.
    pub score: Option<f64>,
    /// Its packed slots, of all partitions.
    pub slots: Option<Vec<u8>>,
    /// Its hash, as `schema::hash_fields` says; `None`: the key is of a wrong type.
    pub hash: Option<Values>,
    /// Its legacy hash, as `schema::LEGACY_FIELDS` says, empty where the platform has none; `None`: the key is of a wrong
    /// type.
    pub copy: Option<Values>,
}

/// Why Redis did not do what was requested.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SinkError {
    /// Another owner holds the fence: this one must stop.
    #[error("another owner holds the fence")]
    Fenced,
    /// Another cluster has taken the keys of the job: it must end.
    #[error(transparent)]
    TakenOver(KolError),
    /// Redis lost the fence record, and with it data.
    #[error("Redis lost data")]
    Lost,
    /// Redis cannot be reached or refuses: the same request may work later.
    #[error(transparent)]
    Unavailable(#[from] KolError),
}

/// Where Redis names creators of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// The ranking that is shown.
    Ranking,
    /// The one that was shown before this generation.
    Before,
    /// The slots beside the rankings.
    Slots,
}

impl Listing {
    /// The one to begin with.
    pub const FIRST: Self = Self::Ranking;

    /// The one after it.
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Ranking => Some(Self::Before),
            Self::Before => Some(Self::Slots),
            Self::Slots => None,
        }
    }
}

/// A piece of a listing.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// The listing to read.
    pub listing: Listing,
    /// Platform of the creators.
    pub platform: String,
    /// Keys of the hashes.
    pub keys: KeyTemplates,
    /// Where to continue; 0 at the beginning.
    pub cursor: u64,
    /// Number of the partition within its job.
    pub ordinal: u32,
    /// Generation of the job.
    pub generation: u64,
}

/// What a piece holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Where to continue; 0 after the last piece.
    pub cursor: u64,
    /// KOLs with a slot of the partition, or without any slot of this generation.
    pub kols: Vec<String>,
    /// The key of a wrong type because of which nothing more of the listing can be read.
    pub refused: Option<String>,
    /// How long Redis took.
    pub took: Duration,
}

/// A piece of all keys.
#[derive(Clone, Debug)]
pub struct HashesRequest {
    /// Where to continue.
    pub from: Cursor,
    /// Keys of the job.
    pub keys: KeyTemplates,
    /// Key of the partition's fence record: the keys are looked for where it is.
    pub fence: String,
    /// Generation of the job.
    pub generation: u64,
}

/// What a piece of all keys holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hashes {
    /// Where to continue; `None` after the last piece.
    pub next: Option<Cursor>,
    /// The KOLs, with their platforms, whose hashes are of an older generation, and that are in no ranking and have no
    /// slots.
    pub lone: Vec<(String, String)>,
    /// Why Redis does not let the keys be looked through, if so.
    pub refused: Option<Box<KolError>>,
    /// How long Redis took.
    pub took: Duration,
}
