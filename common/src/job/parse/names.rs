//! What names may be made of.

/// Whether a platform is written as events have it.
pub(super) fn is_platform(platform: &str) -> bool {
    !platform.is_empty()
        && platform.len() <= 64
        && platform == crate::event::platform(platform.into())
        && !platform.contains(':')
}

/// Whether a text is a name of at most so many bytes, for a job, a topic or a rule.
pub(super) fn is_name(text: &str, most: usize) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !text.is_empty()
        && text.len() <= most
        && text.bytes().all(allowed)
        && !matches!(text, "." | "..")
}
