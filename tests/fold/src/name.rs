//! Names of creators: what only looks the same is the same.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Characters without width: blanks, joiners, marks of direction, and the byte order mark.
const ZERO_WIDTH: [char; 7] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{feff}',
];

/// A creator's name as it counts; may come out empty.
pub fn creator(written: &str, lower_case: bool) -> String {
    let visible: String = written
        .chars()
        .filter(|c| !ZERO_WIDTH.contains(c))
        .collect();
    let name = visible.trim();
    let name = name.strip_prefix('@').unwrap_or(name).trim();
    if lower_case {
        return composed(&name.to_lowercase());
    }
    composed(name)
}

/// The name of a platform: of what shows, without spaces around it, in lower case.
pub fn platform(written: &str) -> String {
    let visible: String = written
        .chars()
        .filter(|c| !ZERO_WIDTH.contains(c))
        .collect();
    composed(visible.trim()).to_lowercase()
}

/// The text in Unicode's normal form C.
fn composed(text: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfc();
    normalizer.normalize(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        let name = |text: &str| creator(text, false);
        for written in [
            "caf\u{e9}",
            "cafe\u{301}",
            " @caf\u{e9} ",
            "ca\u{200b}fe\u{301}",
            "\u{feff}@ café",
        ] {
            assert_eq!(name(written), "café", "{written:?}");
        }
        assert_eq!(name("e\u{200d}\u{301}"), "\u{e9}");
        assert_eq!(name("\u{200f}\u{2060}Ann\u{200c}\u{200e}"), "Ann");
        assert_eq!(name("@@Ann"), "@Ann");
        assert_eq!(name(" @\u{200b} "), "");
        assert_ne!(name("Ann"), name("ann"));
    }

    #[test]
    fn case_is_folded_when_the_spec_says_so() {
        assert_eq!(creator("@ÉLAN", true), "élan");
        assert_eq!(creator("E\u{301}lan", true), creator("élan", true));
    }
}
