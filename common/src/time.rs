//! Time as the system counts it: milliseconds since the Unix epoch.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time, or a length of time, in milliseconds. Event times are never before 1970.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// `self − earlier`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// As a `Duration`, for timers.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// ISO 8601 in UTC with milliseconds, always of the same length: `2025-07-01T08:29:25.000Z`.
    pub fn iso(self) -> String {
        i64::try_from(self.0)
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .map_or_else(|| format!("{}ms", self.0), |t| format!("{t:.3}"))
    }
}

impl From<Duration> for Millis {
    fn from(value: Duration) -> Self {
        Self(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Millis {
    /// As a length of time: `24h`, `5m`, `100ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.duration()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_with_three_digits_whatever_its_milliseconds_are() {
        assert_eq!(Millis(1_751_358_565_000).iso(), "2025-07-01T08:29:25.000Z");
        assert_eq!(Millis(1_751_358_565_020).iso(), "2025-07-01T08:29:25.020Z");
    }
}
