//! What each key of a job spec is for, in one table ([`KEYS`]): the comments of a spec that is written out, the JSON Schema for editors
//! ([`schema`]) and the reference page ([`page`]) are made of it. The parser has its own list; a test compares all of them.

mod keys;
mod page;
mod schema;
#[cfg(test)]
mod tests;

pub use keys::KEYS;
pub use page::page;
pub use schema::schema;

/// A key of a spec.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The table that it stands in, dotted; empty for the spec itself.
    pub section: &'static str,
    /// Its name there; empty for a table whose keys are not listed.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is for, in sentences.
    pub about: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text at all.
    Text,
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Flag,
    /// A whole number from 0 on.
    Whole,
    /// A finite number.
    Number,
    /// A length of time, like `24h`.
    Duration,
    /// The same, or `off`.
    DurationOrOff,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Where a field stands in a record, or several such places.
    Path,
    /// A reference to a secret.
    Secret,
    /// Where to start to read.
    Offsets,
    /// Texts under names that are not listed here.
    Properties,
}

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
];

/// What the key of a table is for; nothing of a key that does not exist.
pub fn about(section: &str, name: &str) -> &'static str {
    let found = KEYS
        .iter()
        .find(|key| key.section == section && key.name == name);
    found.map_or("", |key| key.about)
}

/// What a table is for.
pub(crate) fn about_section(section: &str) -> &'static str {
    let found = SECTIONS.iter().find(|(name, _)| *name == section);
    found.map_or("", |(_, about)| about)
}

impl Key {
    /// Its dotted name in the spec.
    pub fn dotted(&self) -> String {
        let parts = [self.section, self.name]
            .into_iter()
            .filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(".")
    }
}
