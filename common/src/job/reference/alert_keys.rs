//! The keys of alerts, which the table of all keys ends with.

use super::kind::Kind::{Choice, Duration, Number, Secret, Text, Whole};
use super::kind::{Key, key};

/// In the order in which they are written.
pub(super) const ALERTS: [Key; 14] = [
    key(
        "alerts",
        "topic",
        Text,
        "Topic of the job's Kafka cluster that alerts are written to.",
    ),
    key(
        "alerts",
        "webhook",
        Text,
        "URL that alerts are posted to, as JSON: https, or http on this machine.",
    ),
    key(
        "alerts",
        "webhook_token",
        Secret,
        "What the webhook knows the job by, sent as a bearer token; needed with a webhook. It is posted only to hosts that are listed \
        beside the secret.",
    ),
    key(
        "alerts",
        "webhook_ca",
        Secret,
        "Certificates of those who may sign the webhook's, PEM; without them those that the host trusts.",
    ),
    key(
        "alerts.rules",
        "name",
        Text,
        "Unique in the job: letters, digits, -, _ and . of which there are at most 64.",
    ),
    key(
        "alerts.rules",
        "label",
        Choice(&["Normal", "Warm", "Hot", "Viral"]),
        "The creator's label is this one or a higher one.",
    ),
    key(
        "alerts.rules",
        "velocity_above",
        Number,
        "Engagement a minute is above this.",
    ),
    key(
        "alerts.rules",
        "growth_above",
        Number,
        "Velocity is above so many times the creator's own baseline: a spike.",
    ),
    key(
        "alerts.rules",
        "score_above",
        Number,
        "The score is above this.",
    ),
    key(
        "alerts.rules",
        "rank_at_most",
        Whole,
        "The place in the ranking is at most this, 1 to 1000.",
    ),
    key(
        "alerts.rules",
        "rank_rises",
        Whole,
        "So many places were gained, 1 to 1000, against the ranking as it is kept by sink.history.",
    ),
    key(
        "alerts.rules",
        "within",
        Duration,
        "Event time over which places are counted, from 1m to sink.history; only with rank_rises; 1h if it is left out.",
    ),
    key(
        "alerts.rules",
        "platform",
        Text,
        "The only platform that the rule is about, in lower case; without one it is about all.",
    ),
    key(
        "alerts.rules",
        "silence",
        Duration,
        "Event time in which the rule raises one alert about a creator, at most scoring.retire_after; 1h if it is left out.",
    ),
];
