//! Creators' events, from bytes to numbers (`docs/protocol/scoring.md`, "Decoding").
//!
//! Decoding is tolerant and counted: a field that cannot be read is missing, which is not zero; a
//! record that cannot be used at all is rejected with a reason.
//!
//! | file | does |
//! |---|---|
//! | `decode` | from a record to its events |
//! | `explode` | several events in one record |
//! | `fields`, `shapes`, `plan` | which names mean which field, and the tree of them that the passes follow |
//! | `flat` | the pass over the text that nearly all records take |
//! | `scan`, `scalar` | the pass over the JSON that all others take, whatever they are |
//! | `digits` | digits, eight at a time |
//! | `number`, `time`, `names` | counters, times, names of creators as people and programs write them |
//! | `clock` | when an event happened, as far as clocks can be believed |
//! | `lack` | what an event that can be used may lack |
//! | `reject`, `looks`, `repair` | what cannot be used, what it looks like, what can be read all the same |
//! | `probe` | one field at one place, for people who look for the right names |

mod clock;
mod decode;
mod digits;
mod explode;
mod fields;
mod flat;
mod lack;
mod looks;
mod names;
mod number;
mod plan;
mod probe;
mod reject;
mod repair;
mod scalar;
mod scan;
mod shapes;
mod time;

use std::borrow::Cow;

pub use clock::effective_time;
pub use decode::{Decoder, Layout};
pub use explode::{Explode, elements, lines, part};
pub use fields::{Field, FieldPath, FieldPaths, MAX_ALTERNATIVES};
pub use lack::Lack;
pub use names::UsernameCase;
pub(crate) use names::platform;
pub use number::{MAX_COUNTER, read_counter_text};
pub use probe::{read_at, readable};
pub use reject::Reject;
pub use shapes::Shape;
pub use time::parse_time;

use crate::Millis;

/// Largest record value that is looked at, bytes.
pub const MAX_VALUE: usize = 1 << 20;
/// Longest username and video id, bytes.
pub const MAX_ID: usize = 1_024;
/// Longest username, video id and platform as they are written, bytes: what is longer is not looked at.
const MAX_WRITTEN: usize = 4 * MAX_ID;
/// Longest platform name, bytes.
pub const MAX_PLATFORM: usize = 64;

/// One event of a creator: a reading of a video, or of the profile when there is no video id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Lower case, without what does not show, never empty.
    pub platform: Cow<'a, str>,
    /// The creator's name, as `source.username_case` has it, never empty.
    pub kol: Cow<'a, str>,
    /// `None` for a reading of the profile.
    pub video_id: Option<Cow<'a, str>>,
    /// As the event states it; `None` if missing or unreadable.
    pub event_time: Option<Millis>,
    /// It states a time that cannot be read.
    pub time_unreadable: bool,
    /// When the video was made, if that is known.
    pub published: Option<Millis>,
    /// Likes; `None` = missing.
    pub likes: Option<u64>,
    /// Comments; `None` = missing.
    pub comments: Option<u64>,
    /// Shares; `None` = missing.
    pub shares: Option<u64>,
    /// Views; `None` = missing. Not part of the engagement.
    pub views: Option<u64>,
    /// Followers of the profile.
    pub followers: Option<u64>,
}

impl Event<'_> {
    /// The same, independent of the record.
    pub fn into_owned(self) -> Event<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Event {
            platform: owned(self.platform),
            kol: owned(self.kol),
            video_id: self.video_id.map(owned),
            event_time: self.event_time,
            time_unreadable: self.time_unreadable,
            published: self.published,
            likes: self.likes,
            comments: self.comments,
            shares: self.shares,
            views: self.views,
            followers: self.followers,
        }
    }

    /// Whether it has a counter at all.
    pub fn has_counters(&self) -> bool {
        let all = [
            self.likes,
            self.comments,
            self.shares,
            self.views,
            self.followers,
        ];
        all.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests;
