//! Key templates as patterns: what can stand at each place of a key. A creator's name is any text; a platform, a
//! topic and the name of a job are any text without `:`; the number of a partition is digits.

/// What can stand at a place of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Byte(u8),
    /// Any number of digits.
    Digits,
    /// Any text without `:`.
    Segment,
    /// Any text, also with `:` in it.
    Text,
}

impl Part {
    /// Whether it stands for a text that may be of any length.
    pub(super) fn is_placeholder(self) -> bool {
        !matches!(self, Self::Byte(_))
    }

    /// Whether a placeholder can hold what stands at a place: a byte, or another placeholder that is empty.
    pub(super) fn takes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Byte(_), _) => false,
            (Self::Digits, Self::Byte(byte)) => byte.is_ascii_digit(),
            (Self::Segment, Self::Byte(byte)) => byte != b':',
            (Self::Digits | Self::Segment | Self::Text, _) => true,
        }
    }
}

/// A template as a pattern: of the keys of one job, or of a job with any name.
pub(super) fn pattern(template: &str, placeholders: &[&str], job: Option<&str>) -> Vec<Part> {
    let mut parts = Vec::with_capacity(template.len());
    let mut rest = template.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let starts = |p: &&&str| rest.starts_with(p.as_bytes());
        let Some(placeholder) = placeholders.iter().find(starts) else {
            parts.push(Part::Byte(*first));
            rest = after;
            continue;
        };
        match (*placeholder, job) {
            ("{job}", Some(job)) => parts.extend(job.bytes().map(Part::Byte)),
            ("{kol}", _) => parts.push(Part::Text),
            ("{partition}", _) => parts.push(Part::Digits),
            _ => parts.push(Part::Segment),
        }
        rest = &rest[placeholder.len()..];
    }
    parts
}
