//! Whether a key template gives two creators, two platforms or two partitions one key: `x{platform}{kol}` does,
//! for platform `a` with creator `bc` and for platform `ab` with creator `c`.
//!
//! A template is right if no text can be read as it in two ways. That is so where each placeholder ends with
//! something that cannot occur in it. Only a creator's name can hold `:`.

use super::pattern::{Part, pattern};
use super::place;
use super::reader::Problems;
use crate::job::{KeyTemplates, SinkSpec};

/// A longer one is refused for its length.
const LONGEST: usize = 1_024;

/// Notes each template that can give two things one key.
pub(super) fn check(sink: &SinkSpec, problems: &Problems) {
    let defaults = KeyTemplates::default();
    let all = place::templates(&sink.keys).into_iter();
    for ((name, template, placeholders), (_, default, _)) in all.zip(place::templates(&defaults)) {
        let is_written = name != "legacy_hash" || sink.legacy_hashes;
        let parts = pattern(template, placeholders, None);
        if is_written && parts.len() <= LONGEST && has_two_readings(&parts) {
            let what = format!(
                "`{template}` can give one key for different {}: write a `:` between two placeholders, for \
                 example `{default}`",
                placeholders.join(" and ")
            );
            problems.of_key(&format!("sink.keys.{name}"), what);
        }
    }
}

/// Whether some text can be read as this pattern in two ways. Two readings of one text advance side by side, byte
/// by byte; they differ once a byte belongs to another part for one than for the other.
fn has_two_readings(parts: &[Part]) -> bool {
    let end = parts.len();
    let place = |i: usize, j: usize, differ: bool| (i * (end + 1) + j) * 2 + usize::from(differ);
    let mut seen = vec![false; place(end, end, true) + 1];
    let mut open = vec![(0, 0, false)];
    while let Some((i, j, differ)) = open.pop() {
        if (i, j, differ) == (end, end, true) {
            return true;
        }
        if std::mem::replace(&mut seen[place(i, j, differ)], true) {
            continue;
        }
        let (one, other) = (parts.get(i), parts.get(j));
        if one.is_some_and(|part| part.is_placeholder()) {
            open.push((i + 1, j, differ));
        }
        if other.is_some_and(|part| part.is_placeholder()) {
            open.push((i, j + 1, differ));
        }
        if let (Some(one), Some(other)) = (one, other)
            && (one == other || one.takes(*other) || other.takes(*one))
        {
            let after = |at: usize, part: &Part| at + usize::from(!part.is_placeholder());
            open.push((after(i, one), after(j, other), differ || i != j));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::parse;

    fn problems(sink: &str) -> String {
        let spec = format!("name = \"kol\"\n[sink]\n{sink}");
        parse(&spec, "t").map_or_else(|e| e.to_string(), |_| String::new())
    }

    #[test]
    fn a_template_that_gives_two_creators_one_key_is_refused_with_a_remedy() {
        for (key, template) in [
            ("hash", "x{platform}{kol}"),
            ("hash", "x{kol}{platform}"),
            ("hash", "x{platform}-{kol}"),
            ("hash", "x{kol}-{platform}"),
            ("fence", "f:{job}:{topic}{partition}"),
            ("fence", "f:{partition}{topic}:{job}"),
            ("fence", "f:{job}{topic}:{partition}"),
            ("fence", "f:{job}-{topic}:{partition}"),
        ] {
            let said = problems(&format!("[sink.keys]\n{key} = \"{template}\""));
            let remedy = "write a `:` between two placeholders, for example `";
            for part in [&*format!("sink.keys.{key}"), template, remedy] {
                assert!(said.contains(part), "{template}: {said}");
            }
        }
    }

    #[test]
    fn a_template_that_can_be_read_in_one_way_only_is_accepted() {
        for (key, template) in [
            ("hash", "x:{platform}:{kol}"),
            ("hash", "x:{kol}:{platform}"),
            ("hash", "{platform}:x:{kol}:y"),
            ("hash", "x{platform}:{kol}:{platform}"),
            ("ranking", "r{platform}r"),
            ("fence", "f:{job}:{topic}-{partition}"),
            ("fence", "f:{partition}:{topic}:{job}"),
            ("fence", "f:{partition}/{topic}:{job}"),
        ] {
            let said = problems(&format!("[sink.keys]\n{key} = \"{template}\""));
            assert_eq!(said, "", "{template}");
        }
    }

    #[test]
    fn the_longest_template_is_decided_quickly() {
        let said = problems(&format!(
            "[sink.keys]\nhash = \"{}{{platform}}{{kol}}\"",
            "x".repeat(400)
        ));
        assert!(said.contains("can give one key"), "{said}");
    }

    /// In how many ways a text can be read, two at most.
    fn readings(parts: &[Part], text: &[u8]) -> usize {
        let all = match parts.split_first() {
            None => usize::from(text.is_empty()),
            Some((Part::Byte(byte), rest)) => match text.split_first() {
                Some((first, text)) if first == byte => readings(rest, text),
                _ => 0,
            },
            Some((part, rest)) => (0..=text.len())
                .take_while(|n| text[..*n].iter().all(|byte| part.takes(Part::Byte(*byte))))
                .map(|n| readings(rest, &text[n..]))
                .sum(),
        };
        all.min(2)
    }

    fn parts() -> impl Strategy<Value = Vec<Part>> {
        let part = prop::sample::select(vec![
            Part::Byte(b'a'),
            Part::Byte(b':'),
            Part::Byte(b'0'),
            Part::Digits,
            Part::Segment,
            Part::Text,
        ]);
        prop::collection::vec(part, 0..5)
    }

    proptest! {
        #[test]
        fn a_pattern_is_refused_exactly_when_some_text_has_two_readings(parts in parts()) {
            let texts = (0..=6_u32).flat_map(|n| (0..3_usize.pow(n)).map(move |number| {
                let byte = |i| b"a:0"[number / 3_usize.pow(i) % 3];
                (0..n).map(byte).collect::<Vec<_>>()
            }));
            let mut texts = texts.into_iter();
            let ambiguous = texts.any(|text| readings(&parts, &text) > 1);
            prop_assert_eq!(has_two_readings(&parts), ambiguous);
        }
    }
}
