//! The sections of a job spec, typed, with their defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rekey::RekeySpec;
use crate::event::{Explode, Field, FieldPath, FieldPaths, Shape, UsernameCase};
use crate::time::Millis;

/// The Kafka topics of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {
    /// Brokers to begin with, as `host:port,host:port`.
    pub bootstrap: String,
    /// Topic names; at least one, none twice.
    pub topics: Vec<String>,
    /// Consumer group under which offsets are published for lag tools; never used for ownership.
    pub group_id: String,
    /// Where a job without state starts.
    pub starting_offsets: StartingOffsets,
    /// What to do when records are gone from the log before they were read.
    pub on_data_loss: OnDataLoss,
    /// Events a second and partition; 0 = as fast as possible.
    pub max_rate_per_partition: u64,
    /// Topic for records that cannot be used; without one they are only counted.
    pub dead_letter: Option<String>,
    /// Also dead-letter late events.
    pub dead_letter_late: bool,
    /// How far ahead of the present an event may be; one further ahead is rejected.
    #[serde(default = "super::defaults::max_ahead")]
    pub max_ahead: Millis,
    /// A ready table of field names.
    #[serde(default)]
    pub shape: Option<Shape>,
    /// Where fields stand that neither the shape nor the default names find.
    #[serde(default)]
    pub fields: FieldPaths,
    /// How a record holds several events; `None` = it holds one.
    #[serde(default)]
    pub explode: Option<Explode>,
    /// Whether letters of usernames keep their case.
    #[serde(default)]
    pub username_case: UsernameCase,
    /// A stage that keys the records by creator before they are scored. Not written while there is none: earlier versions
    /// do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rekey: Option<RekeySpec>,
    /// librdkafka properties from the allow-list; values may be secret references.
    pub properties: BTreeMap<String, String>,
}

/// Where a job without state starts to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartingOffsets {
    /// The oldest record that is still there.
    Earliest,
    /// Only what arrives after the submission.
    Latest,
    /// The first record at or after this time.
    Timestamp(Millis),
    /// An offset for each partition number of the first topic; partitions not named start at the oldest.
    Partitions(BTreeMap<u32, u64>),
}

/// What to do when records are gone from the log before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDataLoss {
    /// Count them, say so and resume behind the gap.
    Continue,
    /// End the job with an error.
    Fail,
}

/// The formula by which creators are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Gains, personal baseline, market mean and momentum.
    Default,
    /// Growth over one's own baseline on a logarithmic scale, with the newest rates carried on, against the market's median.
    Rising,
    /// What the old Spark job computed: it exists to prove parity.
    SparkCompat,
}

/// What the counters in events mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counters {
    /// Lifetime totals of a video: the gain is the difference of two readings.
    Cumulative,
    /// New engagement since the event before.
    Delta,
}

/// Every constant of the score. Units: times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoringSpec {
    /// The formula by which creators are scored.
    pub profile: Profile,
    /// What the counters in events mean.
    pub counters: Counters,
    /// Length of a window: a multiple of `slide`.
    pub window: Millis,
    /// Length of a pane.
    pub slide: Millis,
    /// How far behind its partition's clock an event may be.
    pub lateness: Millis,
    /// Silence after which the job clock advances by itself; `None` = never.
    pub idle_timeout: Option<Millis>,
    /// Half-life of the personal baseline.
    pub half_life: Millis,
    /// A reading longer than this after the last one is a baseline again.
    pub entity_ttl: Millis,
    /// Silence after which a creator leaves the ranking.
    pub retire_after: Millis,
    /// Platform of events that name none; lower case.
    pub default_platform: String,
    /// Platforms that are admitted however many others there are; lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Weights of the three terms of the raw score.
    pub weights: Weights,
    /// Smallest divisors of velocity, so that a small one gives no huge ratio.
    pub floors: Floors,
    /// The logistic curve from raw score to score.
    pub curve: Curve,
    /// Clamp of the momentum.
    pub momentum: MomentumClamp,
    /// Score thresholds of the labels.
    pub labels: Labels,
}

/// `raw = personal · v/max(b, floor) + market · v/max(m, floor) + momentum · (1 + μ)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Of the growth over one's own baseline (0.5).
    pub personal: f64,
    /// Of the position in the market (0.3).
    pub market: f64,
    /// Of the momentum (0.2).
    pub momentum: f64,
}

/// Smallest divisors, so that a creator at zero does not grow infinitely.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// Of the baseline (1).
    pub baseline: f64,
    /// Of the market mean (1).
    pub market: f64,
    /// Of the velocity one window ago (1).
    pub velocity: f64,
}

/// `score = 100 / (1 + exp(−steepness · (raw − midpoint)))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// How steep the curve is at its midpoint; 0.8 by default.
    pub steepness: f64,
    /// Raw score that becomes 50 (2).
    pub midpoint: f64,
}

/// Bounds of the momentum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MomentumClamp {
    /// Smallest momentum, at most `max`; −1 by default.
    pub min: f64,
    /// Largest momentum; 5 by default.
    pub max: f64,
}

/// Scores, rounded to two decimals, from which on a label is given; below `normal` it is `Cold`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// From here on `Viral`; 80 by default.
    pub viral: f64,
    /// From here on `Hot`; 60 by default.
    pub hot: f64,
    /// From here on `Warm`; 40 by default.
    pub warm: f64,
    /// From here on `Normal`; 25 by default.
    pub normal: f64,
}

/// The Redis of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkSpec {
    /// See [`RedisUrl`](super::RedisUrl). A password only as a reference in `password`.
    pub url: String,
    /// Reference to the password.
    pub password: Option<SecretRef>,
    /// Whom to trust, and what to show, over TLS.
    #[serde(default)]
    pub tls: SinkTls,
    /// The login at Sentinels, which is not that of the servers they watch.
    #[serde(default)]
    pub sentinel: SentinelLogin,
    /// How often changed scores are sent.
    pub flush_interval: Millis,
    /// From which age on a change that Redis does not have is a problem. Not written while it is the default: the
    /// version before does not know it.
    #[serde(
        default = "super::defaults::max_staleness",
        skip_serializing_if = "super::defaults::is_max_staleness"
    )]
    pub max_staleness: Millis,
    /// Expiry of hashes; `None` = they leave at retirement only.
    pub ttl: Option<Millis>,
    /// How far back rankings are kept as they were shown; `None` = not at all. Not written while it is the default: the
    /// version before does not know it.
    #[serde(
        default = "super::defaults::history",
        skip_serializing_if = "super::defaults::is_history"
    )]
    pub history: Option<Millis>,
    /// Also write `streaming_scores:{kol}` for the default platform.
    pub legacy_hashes: bool,
    /// When the rankings of a new generation take the place of those that are shown.
    #[serde(default)]
    pub flip: Flip,
    /// Templates of the Redis keys that the job writes.
    pub keys: KeyTemplates,
}

/// Certificates for `rediss…://` URLs, PEM, each a reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkTls {
    /// Certificates of those who may sign the server's; `None` = the public authorities that Mozilla
    /// trusts.
    pub ca: Option<SecretRef>,
    /// This client's certificate, with `key`.
    pub cert: Option<SecretRef>,
    /// Its private key.
    pub key: Option<SecretRef>,
}

/// A login at Sentinels; without both they have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentinelLogin {
    /// ACL user; `None` = the default user.
    pub username: Option<String>,
    /// Reference to the password.
    pub password: Option<SecretRef>,
}

/// When the rankings of a new generation take the place of those that are shown: never a mixture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flip {
    /// At its first word: they grow while it catches up.
    AtOnce,
    /// When it has read what was in the log when it began, and Redis has all of it.
    #[default]
    WhenCaughtUp,
}

/// Templates of Redis keys. `{platform}`, `{kol}`, `{job}`, `{topic}`, `{partition}` are filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTemplates {
    /// Sorted set of a platform's creators by score; `ranking:{platform}:trending` by default.
    pub ranking: String,
    /// Hash of a creator; `trending:{platform}:{kol}` by default.
    pub hash: String,
    /// Hash of a creator for readers of the old job; `streaming_scores:{kol}` by default.
    pub legacy_hash: String,
    /// Fence record of a partition; `streaming:fence:{job}:{topic}:{partition}` by default.
    pub fence: String,
    /// Wall time of the newest flush; `streaming:last_update` by default.
    pub last_update: String,
    /// Newest event time of the job, as of the newest flush; `streaming:last_event` by default.
    pub last_event: String,
}

/// Where and how often state is made durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointSpec {
    /// `file:///…` below the master's checkpoint root. Empty in a spec that does not name one: the
    /// master then fills in that root.
    pub location: String,
    /// Time between two barriers.
    pub interval: Millis,
    /// How long an epoch may take.
    pub timeout: Millis,
    /// Least time between the end of an epoch and the next barrier.
    pub min_pause: Millis,
    /// Epochs that fail in a row before the job says loudly that something is wrong.
    pub max_failures: u64,
    /// Committed epochs that are kept in any case: the newest.
    pub retain: u64,
    /// Of each of the last so many minutes one epoch is kept, too. Not written while it is the default: the version before
    /// does not know it.
    #[serde(skip_serializing_if = "super::defaults::is_retain_minutes")]
    pub retain_minutes: u64,
    /// The same of hours.
    #[serde(skip_serializing_if = "super::defaults::is_retain_hours")]
    pub retain_hours: u64,
}

/// Where a secret is kept: it is read where it is used, and never travels or prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(pub String);

/// Length of one second, minute, hour and day.
/// Longest time that the profile `rising` carries a rate on, ms.
pub const CARRIED_ON: u64 = 48 * 3_600_000;
/// Most panes in a window: a week of minutes. Each KOL keeps two windows of panes.
pub(super) const MAX_PANES: u64 = 10_080;

impl ScoringSpec {
    /// Whether its times can be divided by, and its windows kept in memory.
    pub(super) fn is_computable(&self) -> bool {
        let panes = self.window.0.checked_div(self.slide.0);
        panes.is_some_and(|panes| panes <= MAX_PANES) && self.window.0 > 0 && self.half_life.0 > 0
    }

    /// Platforms that count however many others there are: the default one first.
    pub fn always_admitted(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(&self.default_platform).chain(&self.platforms);
        all.map(String::as_str)
    }
}

impl KafkaSource {
    /// Where a field is looked for, in this order: as `fields` says, else as `shape` says, else under
    /// its default names.
    pub fn paths(&self, field: Field) -> Vec<FieldPath> {
        if let Some(paths) = self.fields.get(&field) {
            return paths.clone();
        }
        let of_shape = self.shape.map_or(&[][..], |shape| shape.paths(field));
        let paths = if of_shape.is_empty() {
            field.default_paths()
        } else {
            of_shape
        };
        paths.iter().filter_map(|path| path.parse().ok()).collect()
    }
}
