//! The content of a state file, one record after the other (postcard's encoding). Records are appended to,
//! never changed: a new kind gets a new variant at the end, a changed one a new version of the file.

use std::borrow::Cow;

use serde::Deserialize;

/// One record of a state file: it replaces what an earlier one says of the same index.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub enum Record<'a> {
    /// What concerns the partition as a whole; the first record of every file.
    #[serde(borrow)]
    Head(Head<'a>),
    /// A KOL as it stands.
    #[serde(borrow)]
    Kol(KolRecord<'a>),
    /// No KOL has this index, or no longer.
    NoKol(u32),
    /// A reading as it stands.
    #[serde(borrow)]
    Reading(ReadingRecord<'a>),
    /// No reading has this index, or no longer.
    NoReading(u32),
    /// A reading of which some counters fell too far to be believed. Since version 2.
    #[serde(borrow)]
    FallenReading(FallenRecord<'a>),
    /// A KOL whose readings have rates that are carried on. Since version 4.
    #[serde(borrow)]
    CarriedKol(CarriedKolRecord<'a>),
    /// A reading whose rate is carried on. Since version 4.
    #[serde(borrow)]
    CarriedReading(CarriedRecord<'a>),
}

/// The partition as a whole.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Head<'a> {
    /// Newest event time, ms.
    pub clock: Option<u64>,
    /// Window end at which it scores, in slides.
    pub window_end: u64,
    /// Platforms by their number.
    #[serde(borrow)]
    pub platforms: Vec<Cow<'a, str>>,
    /// Histogram of the times between readings: bucket and count, empty ones left out.
    pub gaps: Vec<(u16, u64)>,
}

/// A KOL: its name and its slot.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct KolRecord<'a> {
    /// Its index in the partition's table of KOLs; used again once the KOL is gone.
    pub index: u32,
    /// Number of its platform.
    pub platform: u32,
    /// The creator's name, as events have it after cleaning.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Oldest and newest event time, ms.
    pub first: u64,
    /// Newest event time, ms.
    pub newest: u64,
    /// First pane of its ring.
    pub base: u64,
    /// Decayed sum of the engagement before the ring, in millionths.
    pub baseline_e6: f64,
    /// Decayed sum of the events before the ring.
    pub baseline_events: f64,
    /// Panes of the ring that are not empty.
    pub panes: Cow<'a, [Pane]>,
}

/// A pane of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Pane {
    /// Panes after the first of the ring.
    pub after_base: u32,
    /// Engagement gained in the pane, in millionths.
    pub engagement_e6: u64,
    /// Events that gained it.
    pub events: u32,
}

/// The last reading of a video or a profile.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct ReadingRecord<'a> {
    /// Its index in the partition's table of readings.
    pub index: u32,
    /// Index of its KOL.
    pub kol: u32,
    /// The video; `None` for the profile.
    #[serde(borrow)]
    pub video: Option<VideoId<'a>>,
    /// Event time, ms.
    pub time: u64,
    /// Likes, comments, shares and views of a video; followers (first place) of a profile.
    pub counters: [Option<u64>; 4],
}

/// A reading of which some counters fell too far to be believed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct FallenRecord<'a> {
    /// The reading, with the counters that are believed.
    #[serde(borrow)]
    pub reading: ReadingRecord<'a>,
    /// Bit i stands for counter i.
    pub fallen: u8,
}

/// A KOL whose readings have rates that are carried on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct CarriedKolRecord<'a> {
    /// The KOL with what it gained.
    #[serde(borrow)]
    pub kol: KolRecord<'a>,
    /// The pane from which on sums are kept of what is carried on.
    pub base: u64,
    /// Those that are not empty.
    pub panes: Cow<'a, [CarriedPane]>,
    /// Gains of readings of which a counter rose so far that its next reading decides.
    pub suspects: Cow<'a, [SuspectRecord]>,
}

/// What a reading gained of which counters rose so far that their next reading decides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct SuspectRecord {
    /// Index of the reading.
    pub reading: u32,
    /// All that it gained and that was not taken back.
    pub gain: u64,
    /// From when on that arose.
    pub since: u64,
    /// Time of the reading that brought it.
    pub time: u64,
    /// The counters, at least one.
    pub rises: Vec<RiseRecord>,
}

/// A counter that rose so far that its next reading decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct RiseRecord {
    /// Its place among the counters.
    pub counter: u8,
    /// What it gained.
    pub gain: u64,
    /// The value of the counter before.
    pub before: u64,
    /// The value that it rose to.
    pub top: u64,
}

/// What is carried on in a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct CarriedPane {
    /// Panes after the first.
    pub after_base: u32,
    /// Engagement that is carried into the pane, in millionths.
    pub engagement_e6: u64,
}

/// A reading whose rate is carried on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct CarriedRecord<'a> {
    /// The reading, with the counters that fell.
    #[serde(borrow)]
    pub reading: FallenRecord<'a>,
    /// What it gained.
    pub gain: u64,
    /// The milliseconds over which that arose.
    pub span: u64,
}

/// The id of a video.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub enum VideoId<'a> {
    /// A decimal number in its one usual spelling.
    Number(u64),
    /// Any other id, as events spell it.
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

impl Record<'_> {
    /// The index of the entry that it describes.
    pub fn index(&self) -> Option<u32> {
        match self {
            Self::Head(_) => None,
            Self::Kol(kol) => Some(kol.index),
            Self::Reading(reading) => Some(reading.index),
            Self::CarriedKol(record) => Some(record.kol.index),
            Self::FallenReading(record) => Some(record.reading.index),
            Self::CarriedReading(record) => Some(record.reading.reading.index),
            Self::NoKol(index) | Self::NoReading(index) => Some(*index),
        }
    }
}

/// The records of a chunk; `Err` once when it does not decode.
pub fn records(mut chunk: &[u8]) -> impl Iterator<Item = Result<Record<'_>, postcard::Error>> {
    std::iter::from_fn(move || {
        if chunk.is_empty() {
            return None;
        }
        match postcard::take_from_bytes(chunk) {
            Ok((record, rest)) => {
                chunk = rest;
                Some(Ok(record))
            }
            Err(error) => {
                chunk = &[];
                Some(Err(error))
            }
        }
    })
}
