//! The tables of a spec.

/// Of these tables a spec has as many as it likes, each as `[[name]]`.
pub const LISTS: &[&str] = &["alerts.rules"];

/// All tables of a spec, in the order in which they are written, and what each is for.
pub const SECTIONS: &[(&str, &str)] = &[
    ("", "The job."),
    ("source", "Where events come from."),
    (
        "source.fields",
        "Where fields stand in a record, where neither the default names nor those of source.shape are right: a dotted path like \
         \"stats.diggCount\" or \"items[0].id\", or up to eight that are tried in their order. $. counts from the record as a whole, \
         also where it is exploded.",
    ),
    (
        "source.properties",
        "Properties of librdkafka. Those that choose what this system must choose are refused; secrets are references.",
    ),
    (
        "scoring",
        "How creators are scored: see docs/protocol/scoring.md.",
    ),
    (
        "scoring.weights",
        "raw = personal × growth + market × position + momentum × (1 + momentum).",
    ),
    (
        "scoring.floors",
        "Smallest divisors, so that a creator near zero does not grow without an end.",
    ),
    (
        "scoring.curve",
        "score = 100 / (1 + exp(−steepness × (raw − midpoint))).",
    ),
    ("scoring.momentum", "Bounds of the momentum."),
    (
        "scoring.labels",
        "Scores, rounded to two decimals, from which on a label is given; below normal it is Cold.",
    ),
    ("sink", "Where rankings go."),
    (
        "sink.tls",
        "Certificates for rediss…:// URLs, PEM, each a reference.",
    ),
    (
        "sink.sentinel",
        "The login at Sentinels, which is not that of the servers they watch.",
    ),
    (
        "sink.keys",
        "Templates of the Redis keys that the job writes: {platform}, {kol}, {job}, {topic} and {partition} are filled in.",
    ),
    ("checkpoint", "Where and how often state is made durable."),
    (
        "alerts",
        "Alerts about creators, and where they go: see docs/alerts.md. Without rules there are none.",
    ),
    (
        "alerts.rules",
        "A rule, with one condition: label, velocity_above, growth_above, score_above, rank_at_most or rank_rises. An alert is raised \
         when that becomes true of a creator.",
    ),
];
