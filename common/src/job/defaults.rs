//! What holds where a spec leaves a key out.

use std::collections::BTreeMap;

use super::spec::{
    CheckpointSpec, Counters, Curve, Flip, Floors, KafkaSource, KeyTemplates, Labels,
    MomentumClamp, OnDataLoss, Profile, ScoringSpec, SentinelLogin, SinkSpec, SinkTls,
    StartingOffsets, Weights,
};
use crate::event::{FieldPaths, UsernameCase};
use crate::time::Millis;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// An epoch a minute of an hour, and an epoch an hour of a day.
const RETAIN_MINUTES: u64 = 60;
const RETAIN_HOURS: u64 = 24;

impl ScoringSpec {
    /// The defaults of `docs/protocol/scoring.md`: they follow the counters, because public crawls read a
    /// video once a day or so and a five-minute window would hold nothing.
    pub fn defaults(profile: Profile, counters: Counters) -> Self {
        let cumulative = counters == Counters::Cumulative;
        let (window, slide) = if cumulative {
            (DAY, HOUR)
        } else {
            (5 * MINUTE, MINUTE)
        };
        Self {
            profile,
            counters,
            window: Millis(window),
            slide: Millis(slide),
            lateness: Millis(if cumulative { 7 * DAY } else { 5 * MINUTE }),
            idle_timeout: (!cumulative).then_some(Millis(MINUTE)),
            half_life: Millis(7 * DAY),
            entity_ttl: Millis(30 * DAY),
            retire_after: Self::default_retire_after(Millis(window)),
            default_platform: "tiktok".into(),
            platforms: Vec::new(),
            weights: Weights {
                personal: 0.5,
                market: 0.3,
                momentum: 0.2,
            },
            floors: Floors {
                baseline: 1.0,
                market: 1.0,
                velocity: 1.0,
            },
            curve: Curve {
                steepness: 0.8,
                midpoint: 2.0,
            },
            momentum: MomentumClamp {
                min: -1.0,
                max: 5.0,
            },
            labels: Labels {
                viral: 80.0,
                hot: 60.0,
                warm: 40.0,
                normal: 25.0,
            },
        }
    }

    /// Three windows, and at least an hour.
    pub fn default_retire_after(window: Millis) -> Millis {
        Millis((3 * window.0).max(HOUR))
    }
}

pub(super) fn max_ahead() -> Millis {
    Millis(10 * MINUTE)
}

pub(super) fn max_staleness() -> Millis {
    Millis(30 * SECOND)
}

pub(super) fn is_max_staleness(most: &Millis) -> bool {
    *most == max_staleness()
}

pub(super) fn history() -> Option<Millis> {
    Some(Millis(DAY))
}

pub(super) fn is_history(reach: &Option<Millis>) -> bool {
    *reach == history()
}

pub(super) fn is_retain_minutes(minutes: &u64) -> bool {
    *minutes == RETAIN_MINUTES
}

pub(super) fn is_retain_hours(hours: &u64) -> bool {
    *hours == RETAIN_HOURS
}

impl Default for KafkaSource {
    fn default() -> Self {
        Self {
            bootstrap: "localhost:9092".into(),
            topics: vec!["kol.videos.raw".into()],
            group_id: "kol-streaming-consumer".into(),
            starting_offsets: StartingOffsets::Latest,
            on_data_loss: OnDataLoss::Continue,
            max_rate_per_partition: 0,
            dead_letter: None,
            dead_letter_late: false,
            max_ahead: max_ahead(),
            shape: None,
            fields: FieldPaths::new(),
            explode: None,
            username_case: UsernameCase::default(),
            rekey: None,
            properties: BTreeMap::new(),
        }
    }
}

impl Default for SinkSpec {
    fn default() -> Self {
        Self {
            url: "redis://localhost:6379/0".into(),
            password: None,
            tls: SinkTls::default(),
            sentinel: SentinelLogin::default(),
            flush_interval: Millis(100),
            max_staleness: max_staleness(),
            ttl: None,
            history: history(),
            legacy_hashes: false,
            flip: Flip::default(),
            keys: KeyTemplates::default(),
        }
    }
}

impl Default for KeyTemplates {
    fn default() -> Self {
        Self {
            ranking: "ranking:{platform}:trending".into(),
            hash: "trending:{platform}:{kol}".into(),
            legacy_hash: "streaming_scores:{kol}".into(),
            fence: "streaming:fence:{job}:{topic}:{partition}".into(),
            last_update: "streaming:last_update".into(),
            last_event: "streaming:last_event".into(),
        }
    }
}

impl Default for CheckpointSpec {
    fn default() -> Self {
        Self {
            location: String::new(),
            interval: Millis(SECOND),
            timeout: Millis(MINUTE),
            min_pause: Millis(0),
            max_failures: 3,
            retain: 3,
            retain_minutes: RETAIN_MINUTES,
            retain_hours: RETAIN_HOURS,
        }
    }
}
