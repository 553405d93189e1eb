//! What is counted of alerts.

use std::sync::LazyLock;

use kol_common::alerts::Kind;
use kol_common::job::JobSpec;
use kol_common::metrics::Family;
use prometheus::IntCounterVec;

use crate::sink::Noted;

const NOTED: Family = Family::counter(
    "kol_alerts_total",
    "Alerts that were raised: a rule became true of a creator.",
);
const SILENCED: Family = Family::counter(
    "kol_alerts_silenced_total",
    "Alerts that were not raised, because the same was a short while ago.",
);
const DELIVERED: Family = Family::counter(
    "kol_alerts_delivered_total",
    "Alerts that a destination has taken.",
);
const FAILED: Family = Family::counter(
    "kol_alerts_failed_total",
    "Attempts to deliver an alert that failed.",
);
const LOST: Family = Family::counter(
    "kol_alerts_lost_total",
    "Alerts that a destination will not get: too many waited, or it refuses them for good.",
);

/// All of them.
pub const COUNTED: [Family; 5] = [NOTED, SILENCED, DELIVERED, FAILED, LOST];

static BY_RULE: LazyLock<IntCounterVec> = LazyLock::new(|| NOTED.counters(&["job_name", "rule"]));
static QUIET: LazyLock<IntCounterVec> = LazyLock::new(|| SILENCED.counters(&["job_name"]));
static ARRIVED: LazyLock<IntCounterVec> = LazyLock::new(|| DELIVERED.counters(&["job_name", "to"]));
static REFUSED: LazyLock<IntCounterVec> = LazyLock::new(|| FAILED.counters(&["job_name", "to"]));
static GONE: LazyLock<IntCounterVec> = LazyLock::new(|| LOST.counters(&["job_name", "to"]));

/// The destination of a job is there, so that the first alert that is lost is seen as a change of its counter.
pub(super) fn begin(job: &str, to: Kind) {
    for counters in [&ARRIVED, &REFUSED, &GONE] {
        counters.with_label_values(&[job, to.as_str()]).inc_by(0);
    }
}

/// A flush noted these.
pub(super) fn noted(job: &str, noted: &Noted) {
    for (rule, count) in &noted.rules {
        BY_RULE.with_label_values(&[job, rule]).inc_by(*count);
    }
    if noted.silenced > 0 {
        QUIET.with_label_values(&[job]).inc_by(noted.silenced);
    }
}

/// An alert was taken.
pub(super) fn delivered(job: &str, to: Kind) {
    ARRIVED.with_label_values(&[job, to.as_str()]).inc();
}

/// An attempt failed.
pub(super) fn failed(job: &str, to: Kind) {
    REFUSED.with_label_values(&[job, to.as_str()]).inc();
}

/// So many will not be delivered.
pub(super) fn lost(job: &str, to: Kind, count: u64) {
    GONE.with_label_values(&[job, to.as_str()]).inc_by(count);
}

/// No job of this name has partitions here any more: what was counted of it is gone.
pub fn forget(spec: &JobSpec) {
    let job = spec.name.as_str();
    for rule in &spec.alerts.rules {
        let _never_there = BY_RULE.remove_label_values(&[job, &rule.name]);
    }
    let _never_there = QUIET.remove_label_values(&[job]);
    for to in [Kind::Topic, Kind::Webhook] {
        for counters in [&ARRIVED, &REFUSED, &GONE] {
            let _never_there = counters.remove_label_values(&[job, to.as_str()]);
        }
    }
}
