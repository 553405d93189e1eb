//! One spelling for one creator, and for one platform.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// Whether letters of usernames keep their case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsernameCase {
    /// `Ann` and `ann` are two creators.
    #[default]
    Keep,
    /// They are one, `ann`.
    Lower,
}

/// The name of a creator: in Unicode NFC, without characters that show nothing, a leading `@`, and spaces
/// around it and behind that. Allocates only where the name changes inside.
pub(super) fn creator(name: Cow<'_, str>, case: UsernameCase) -> Cow<'_, str> {
    let name = if name.is_ascii() {
        name
    } else {
        composed(name)
    };
    let name = stripped(name);
    match case {
        UsernameCase::Keep => name,
        UsernameCase::Lower => lower(name),
    }
}

/// The name of a platform: in Unicode NFC and lower case, without characters that show nothing and spaces around it.
pub(crate) fn platform(name: Cow<'_, str>) -> Cow<'_, str> {
    let name = if name.is_ascii() {
        name
    } else {
        composed(name)
    };
    lower(within(name, str::trim))
}

/// Whether it is as it should be, letters of either case apart; nearly all are. There may be others.
#[inline]
pub(super) fn is_plain_creator(name: &str) -> bool {
    // At the ends no blank, and nothing that is stripped; in ASCII nothing else is changed.
    match name.as_bytes() {
        [first, .., last] => {
            *first > b' ' && *first != b'@' && *last > b' ' && is_ascii(name.as_bytes())
        }
        _ => false,
    }
}

/// The same as the method, faster for short texts.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) if text.len() <= 16 => {
            let both = u64::from_le_bytes(*first) | u64::from_le_bytes(*last);
            both & u64::from_le_bytes([0x80; 8]) == 0
        }
        _ => text.is_ascii(),
    }
}

/// Whether it is as it should be; nearly all are. There may be others.
#[inline]
pub(super) fn is_plain_platform(name: &str) -> bool {
    const IS_PLAIN: [bool; 256] = {
        let mut is_plain = [false; 256];
        let mut byte = 0;
        while byte < is_plain.len() {
            is_plain[byte] = matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
            byte += 1;
        }
        is_plain
    };
    name.bytes().all(|byte| IS_PLAIN[usize::from(byte)])
}

/// In lower case.
pub(super) fn lower(name: Cow<'_, str>) -> Cow<'_, str> {
    let is_lower = name
        .bytes()
        .all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_lower {
        name
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

fn stripped(name: Cow<'_, str>) -> Cow<'_, str> {
    within(name, |name| {
        let name = name.trim();
        name.strip_prefix('@').map_or(name, str::trim_start)
    })
}

/// A part of a name; copied only where it is a part of a copy.
fn within<'a>(name: Cow<'a, str>, part: impl Fn(&str) -> &str) -> Cow<'a, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(part(name)),
        Cow::Owned(name) if part(&name).len() == name.len() => Cow::Owned(name),
        Cow::Owned(name) => Cow::Owned(part(&name).to_owned()),
    }
}

/// Characters that show nothing (Unicode's `Default_Ignorable_Code_Point`) go first: one between a letter and its accent would keep them apart.
fn composed(name: Cow<'_, str>) -> Cow<'_, str> {
    let unseen = const { CodePointSetData::new::<DefaultIgnorableCodePoint>() };
    let name = if name.contains(|c| unseen.contains(c)) {
        Cow::Owned(name.chars().filter(|c| !unseen.contains(*c)).collect())
    } else {
        name
    };
    let nfc = const { ComposingNormalizerBorrowed::new_nfc() };
    match nfc.normalize(&name) {
        Cow::Borrowed(_) => name,
        Cow::Owned(other) => Cow::Owned(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_look_the_same_are_one_creator() {
        for (text, name) in [
            ("ann", "ann"),
            (" @a_b ", "a_b"),
            ("@ Ann", "Ann"),
            (" @\u{a0}caf\u{e9} ", "caf\u{e9}"),
            ("@@a", "@a"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("caf\u{e9}", "caf\u{e9}"),
            ("e\u{200B}\u{301}", "\u{e9}"),
            ("\u{FEFF}@an\u{200D}n\u{2060}", "ann"),
            ("\u{a0}ann\u{3000}", "ann"),
            // As pasted from chats: marks of direction around the name, and others that show nothing.
            ("\u{202a}@ann\u{202c}", "ann"),
            ("\u{2066}a\u{ad}n\u{2063}n\u{fe0f}\u{180e}\u{2069}", "ann"),
            ("\u{3164}", ""),
            ("\u{200B} @ ", ""),
            ("Chị", "Chị"),
            ("Ann", "Ann"),
        ] {
            assert_eq!(creator(text.into(), UsernameCase::Keep), name, "{text:?}");
        }
        assert_eq!(creator("ÉVA".into(), UsernameCase::Lower), "éva");
        assert_eq!(creator("@Ann".into(), UsernameCase::Lower), "ann");
    }

    #[test]
    fn spellings_that_look_the_same_are_one_platform() {
        for text in [
            "youtube",
            "YouTube ",
            "\u{FEFF}you\u{200B}tube",
            "\u{a0}YOUTUBE\n",
        ] {
            assert_eq!(platform(text.into()), "youtube", "{text:?}");
        }
        assert_eq!(platform("cafe\u{301}".into()), "caf\u{e9}");
        assert_eq!(platform("@x".into()), "@x", "no name of a creator");
        assert_eq!(platform(" \u{200B}".into()), "");
        assert!(matches!(
            platform(" tiktok".into()),
            Cow::Borrowed("tiktok")
        ));
    }

    #[test]
    fn a_composed_name_is_not_copied() {
        let name = creator("  @Nguyễn ".into(), UsernameCase::Keep);
        assert!(matches!(name, Cow::Borrowed("Nguyễn")), "{name:?}");
    }
}
