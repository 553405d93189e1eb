//! What an event may lack although it can be used.

use super::Event;

/// What a usable event lacks. [`Lack::as_str`] is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// It does not state a time.
    Time,
    /// It states a time that cannot be read.
    ReadableTime,
    /// No counter can be read.
    Counters,
}

impl Lack {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Time, Self::ReadableTime, Self::Counters];

    /// Whether `event` lacks it.
    pub fn is_of(self, event: &Event<'_>) -> bool {
        match self {
            Self::Time => event.event_time.is_none() && !event.time_unreadable,
            Self::ReadableTime => event.time_unreadable,
            Self::Counters => !event.has_counters(),
        }
    }

    /// Stable code, for counters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "event_time_missing",
            Self::ReadableTime => "event_time_unreadable",
            Self::Counters => "no_counters",
        }
    }

    /// What records with it do: "12 of 100 records …".
    pub fn what(self) -> &'static str {
        match self {
            Self::Time => "do not say when they were read: the Kafka timestamp counts",
            Self::ReadableTime => {
                "have an event_time that cannot be read: the Kafka timestamp counts instead"
            }
            Self::Counters => "have no counter that can be read",
        }
    }

    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::Time => "name the field: [source.fields] event_time = [\"…\"]",
            Self::ReadableTime => "write ISO 8601 or Unix time",
            Self::Counters => "name the fields: [source.fields] likes = [\"…\"]",
        }
    }
}
