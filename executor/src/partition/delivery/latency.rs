//! How long it takes from an event that was read until Redis has what came of it.

use std::sync::LazyLock;

use kol_common::metrics::Family;
use prometheus::{Histogram, HistogramVec};

/// One value for each flush that Redis confirmed, of the change in it that had waited longest.
pub const EVENT_TO_REDIS: Family = Family::histogram(
    "kol_event_to_redis_seconds",
    "From an event that was read until Redis confirmed what came of it: the longest of each flush.",
);

static SECONDS: LazyLock<HistogramVec> = LazyLock::new(|| EVENT_TO_REDIS.histograms(&["job_name"]));

/// That of a job.
pub fn of(job: &str) -> Histogram {
    SECONDS.with_label_values(&[job])
}

/// No job of this name has partitions here any more: what was measured of it is gone.
pub fn forget(job: &str) {
    let _never_there = SECONDS.remove_label_values(&[job]);
}
