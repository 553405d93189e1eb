//! Names of creators: what only looks the same is the same.

use icu_normalizer::ComposingNormalizerBorrowed;

/// Characters that show nothing: `Default_Ignorable_Code_Point` of Unicode 16, first and last of each range (UCD,
/// `DerivedCoreProperties.txt`).
const UNSEEN: [(char, char); 17] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

fn is_seen(c: char) -> bool {
    !UNSEEN
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&c))
}

/// A creator's name as it counts; may come out empty.
pub fn creator(written: &str, lower_case: bool) -> String {
    let visible: String = written.chars().filter(|c| is_seen(*c)).collect();
    let name = visible.trim();
    let name = name.strip_prefix('@').unwrap_or(name).trim();
    if lower_case {
        return composed(&name.to_lowercase());
    }
    composed(name)
}

/// The name of a platform: of what shows, without spaces around it, in lower case.
pub fn platform(written: &str) -> String {
    let visible: String = written.chars().filter(|c| is_seen(*c)).collect();
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
        assert_eq!(name("\u{2066}A\u{ad}nn\u{fe0f}\u{2069}"), "Ann");
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
