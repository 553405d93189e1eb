//! Creators' events, from bytes to numbers (`docs/protocol/scoring.md`, "Decoding").
//!
//! Decoding is tolerant and counted: a field that cannot be read is missing, which is not zero; a
//! record that cannot be used at all is rejected with a reason.

mod decode;
mod number;
mod time;

use std::borrow::Cow;
use std::fmt;

pub use decode::Decoder;
pub use number::{MAX_COUNTER, read_counter_text};
pub use time::parse_time;

use crate::Millis;

/// Largest record value that is looked at, bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// Longest username and video id, bytes.
pub const MAX_ID: usize = 1_024;
/// Longest platform name, bytes.
pub const MAX_PLATFORM: usize = 64;

/// One event of a creator: a reading of a video, or of the profile when there is no video id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Lower case.
    pub platform: Cow<'a, str>,
    /// The creator's name, without spaces around it and without a leading `@`; never empty.
    pub kol: Cow<'a, str>,
    /// `None` for a reading of the profile.
    pub video_id: Option<Cow<'a, str>>,
    /// As the event states it; `None` if missing or unreadable.
    pub event_time: Option<Millis>,
    /// When the video was made, if that is known.
    pub published: Option<Millis>,
    /// Likes; `None` = missing.
    pub likes: Option<u64>,
    /// Comments.
    pub comments: Option<u64>,
    /// Shares.
    pub shares: Option<u64>,
    /// Views.
    pub views: Option<u64>,
    /// Followers of the profile.
    pub followers: Option<u64>,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// The record has no value.
    Tombstone,
    /// The value is longer than [`MAX_VALUE`].
    TooLarge,
    /// The value is not UTF-8.
    InvalidUtf8,
    /// The value is not JSON.
    NotJson,
    /// The value is JSON, but not an object.
    NotAnObject,
    /// There is no username.
    NoUsername,
    /// Username, video id or platform are longer than any real one.
    IdTooLong,
    /// Neither the event nor Kafka says when it happened.
    NoTime,
}

impl Reject {
    /// Stable code, for headers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::TooLarge => "too_large",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::NoUsername => "no_username",
            Self::IdTooLong => "id_too_long",
            Self::NoTime => "no_time",
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When an event happened: its own word, unless that is missing or lies after the Kafka timestamp,
/// so that one producer's wrong clock cannot move everyone's window.
///
/// # Errors
/// `NoTime` when neither is known.
pub fn effective_time(
    event_time: Option<Millis>,
    kafka_timestamp: Option<Millis>,
) -> Result<Millis, Reject> {
    match (event_time, kafka_timestamp) {
        (Some(event), Some(kafka)) => Ok(event.min(kafka)),
        (Some(time), None) | (None, Some(time)) => Ok(time),
        (None, None) => Err(Reject::NoTime),
    }
}

#[cfg(test)]
mod tests;
