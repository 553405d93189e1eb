//! A key of a spec, and what it may be.

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
    /// The stage that re-keys the input: a flag or a table.
    Rekey,
    /// Texts under names that are not listed here.
    Properties,
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

/// A key of a table.
pub(super) const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    about: &'static str,
) -> Key {
    Key {
        section,
        name,
        kind,
        about,
    }
}
