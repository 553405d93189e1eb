//! The table of all keys.

use super::kind::Kind::{
    Choice, Duration, DurationOrOff, Flag, Number, Offsets, Path, Properties, Secret, Text, Texts,
    Whole,
};
use super::kind::{Key, Kind};

const fn key(section: &'static str, name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key {
        section,
        name,
        kind,
        about,
    }
}

/// All keys, in the order in which they are written.
pub const KEYS: &[Key] = &[
    key(
        "",
        "name",
        Text,
        "Unique among the jobs that are not over: letters, digits, -, _ and .",
    ),
    key(
        "source",
        "bootstrap",
        Text,
        "Kafka brokers to begin with, as host:port,host:port.",
    ),
    key(
        "source",
        "topics",
        Texts,
        "Topics that are read; at least one, none twice.",
    ),
    key(
        "source",
        "group_id",
        Text,
        "Consumer group under which offsets are published for lag tools. It never decides who reads what.",
    ),
    key(
        "source",
        "starting_offsets",
        Offsets,
        "Where a job without state starts: \"earliest\", \"latest\", { timestamp = \"2025-07-01T08:00:00Z\" }, or \
        { partitions = { \"0\" = 123 } } for partitions of the first topic; others start at the oldest record.",
    ),
    key(
        "source",
        "on_data_loss",
        Choice(&["continue", "fail"]),
        "When records are gone from the log before they were read: count them, say so and \
        resume behind the gap, or end the job.",
    ),
    key(
        "source",
        "max_rate_per_partition",
        Whole,
        "Events a second and partition; 0: as fast as possible.",
    ),
    key(
        "source",
        "dead_letter",
        Text,
        "Topic for records that cannot be used; without one they are only counted.",
    ),
    key(
        "source",
        "dead_letter_late",
        Flag,
        "Also write late events there.",
    ),
    key(
        "source",
        "max_ahead",
        Duration,
        "How far ahead of the present an event may be; one further ahead is rejected.",
    ),
    key(
        "source",
        "shape",
        Choice(&[
            "tiktok-api",
            "tiktok-apify",
            "instagram-apify",
            "youtube-api",
            "yt-dlp",
            "youtube-trending",
        ]),
        "A ready table of field names, which also says the platform of records that name none.",
    ),
    key(
        "source",
        "explode",
        Text,
        "How a record holds several events: \"lines\", or the path of an array in it.",
    ),
    key(
        "source",
        "username_case",
        Choice(&["keep", "lower"]),
        "Whether letters of usernames keep their case, or Ann and ann are one creator.",
    ),
    key(
        "source.fields",
        "username",
        Path,
        "The creator's name; without it a record cannot be used.",
    ),
    key(
        "source.fields",
        "platform",
        Path,
        "The platform; scoring.default_platform where a record has none.",
    ),
    key(
        "source.fields",
        "video_id",
        Path,
        "The video; a record without it is about the creator alone.",
    ),
    key(
        "source.fields",
        "event_time",
        Path,
        "When the record was read.",
    ),
    key(
        "source.fields",
        "published_at",
        Path,
        "When the video was published.",
    ),
    key("source.fields", "likes", Path, "Likes of the video."),
    key("source.fields", "comments", Path, "Comments of the video."),
    key("source.fields", "shares", Path, "Shares of the video."),
    key("source.fields", "views", Path, "Views of the video."),
    key(
        "source.fields",
        "followers",
        Path,
        "Followers of the creator.",
    ),
    key(
        "source.properties",
        "",
        Properties,
        "Each is passed to librdkafka as it is.",
    ),
    key(
        "scoring",
        "profile",
        Choice(&["default", "spark-compat"]),
        "The formula; spark-compat is what the old Spark job computed, for comparison.",
    ),
    key(
        "scoring",
        "counters",
        Choice(&["cumulative", "delta"]),
        "What counters in events mean: lifetime totals of a video, or what is new since the \
        event before. The other defaults of this table follow it.",
    ),
    key(
        "scoring",
        "window",
        Duration,
        "Length of a window: a multiple of slide (1day; 5m of delta).",
    ),
    key(
        "scoring",
        "slide",
        Duration,
        "How often the window advances (1h; 1m of delta).",
    ),
    key(
        "scoring",
        "lateness",
        Duration,
        "How far behind its partition's clock an event may be (7days; 5m of delta).",
    ),
    key(
        "scoring",
        "idle_timeout",
        DurationOrOff,
        "Silence after which the job clock advances by itself (off; 1m of delta).",
    ),
    key(
        "scoring",
        "half_life",
        Duration,
        "Half-life of the personal baseline.",
    ),
    key(
        "scoring",
        "entity_ttl",
        Duration,
        "A reading longer than this after the last one is a baseline again.",
    ),
    key(
        "scoring",
        "retire_after",
        Duration,
        "Silence after which a creator leaves the ranking; three windows, and at least an hour.",
    ),
    key(
        "scoring",
        "default_platform",
        Text,
        "Platform of records that name none, lower case; that of source.shape, if there is one.",
    ),
    key(
        "scoring",
        "platforms",
        Texts,
        "Platforms that are admitted however many others there are, lower case.",
    ),
    key(
        "scoring.weights",
        "personal",
        Number,
        "Of the growth over the creator's own baseline.",
    ),
    key(
        "scoring.weights",
        "market",
        Number,
        "Of the position in the market.",
    ),
    key("scoring.weights", "momentum", Number, "Of the momentum."),
    key("scoring.floors", "baseline", Number, "Of the baseline."),
    key("scoring.floors", "market", Number, "Of the market mean."),
    key(
        "scoring.floors",
        "velocity",
        Number,
        "Of the velocity one window ago.",
    ),
    key(
        "scoring.curve",
        "steepness",
        Number,
        "How steep the curve is at its midpoint.",
    ),
    key(
        "scoring.curve",
        "midpoint",
        Number,
        "Raw score that becomes 50.",
    ),
    key("scoring.momentum", "min", Number, "Smallest momentum."),
    key("scoring.momentum", "max", Number, "Largest momentum."),
    key("scoring.labels", "viral", Number, "From here on Viral."),
    key("scoring.labels", "hot", Number, "From here on Hot."),
    key("scoring.labels", "warm", Number, "From here on Warm."),
    key("scoring.labels", "normal", Number, "From here on Normal."),
    key(
        "sink",
        "url",
        Text,
        "The Redis: redis://[USER@]HOST:PORT/DB, redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB or redis+cluster://HOST:PORT,HOST:PORT; \
        rediss in place of redis is over TLS.",
    ),
    key(
        "sink",
        "password",
        Secret,
        "Its password: env:KOL_SECRET_NAME or file:NAME.",
    ),
    key(
        "sink",
        "flush_interval",
        Duration,
        "How often changed scores are sent.",
    ),
    key(
        "sink",
        "max_staleness",
        Duration,
        "From which age on a change that Redis does not have is a problem.",
    ),
    key(
        "sink",
        "ttl",
        DurationOrOff,
        "Expiry of the hashes of creators; off: they leave when the creator retires.",
    ),
    key(
        "sink",
        "history",
        DurationOrOff,
        "How far back rankings are kept as they were shown, for changes of ranks: one hour to seven days.",
    ),
    key(
        "sink",
        "legacy_hashes",
        Flag,
        "Also write the hashes of the old job, for the default platform.",
    ),
    key(
        "sink",
        "flip",
        Choice(&["when-caught-up", "at-once"]),
        "When the rankings of a new generation take the place of those that are shown: when it has \
        read what was in the log, or at its first word.",
    ),
    key(
        "sink.tls",
        "ca",
        Secret,
        "Certificates of those who may sign the server's; without it the public authorities.",
    ),
    key(
        "sink.tls",
        "cert",
        Secret,
        "This client's certificate, with key.",
    ),
    key("sink.tls", "key", Secret, "Its private key."),
    key(
        "sink.sentinel",
        "username",
        Text,
        "ACL user; without it the default user.",
    ),
    key("sink.sentinel", "password", Secret, "Its password."),
    key(
        "sink.keys",
        "ranking",
        Text,
        "Sorted set of a platform's creators by score.",
    ),
    key("sink.keys", "hash", Text, "Hash of a creator."),
    key(
        "sink.keys",
        "legacy_hash",
        Text,
        "Hash of a creator for readers of the old job.",
    ),
    key(
        "sink.keys",
        "fence",
        Text,
        "Record of who may write what a partition has.",
    ),
    key(
        "sink.keys",
        "last_update",
        Text,
        "Wall time of the newest flush.",
    ),
    key(
        "sink.keys",
        "last_event",
        Text,
        "Newest event time of the job, as of the newest flush.",
    ),
    key(
        "checkpoint",
        "location",
        Text,
        "file:///PATH or s3://BUCKET/PATH below kol-master's --checkpoint-root, which it is when left out.",
    ),
    key(
        "checkpoint",
        "interval",
        Duration,
        "Time between two barriers.",
    ),
    key(
        "checkpoint",
        "timeout",
        Duration,
        "How long an epoch may take.",
    ),
    key(
        "checkpoint",
        "min_pause",
        Duration,
        "Least time between the end of an epoch and the next barrier.",
    ),
    key(
        "checkpoint",
        "max_failures",
        Whole,
        "Epochs that fail in a row before the job says that something is wrong.",
    ),
    key(
        "checkpoint",
        "retain",
        Whole,
        "Committed epochs that are kept in any case, 1 to 1000: the newest.",
    ),
    key(
        "checkpoint",
        "retain_minutes",
        Whole,
        "Of each of the last so many minutes one epoch is kept as well, as far as all of them take at most sixteen times \
        what the newest takes, or 256 MiB; 0: none.",
    ),
    key(
        "checkpoint",
        "retain_hours",
        Whole,
        "The same of each of the last so many hours.",
    ),
];
