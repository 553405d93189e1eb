//! Whether two key templates of a job can become one key. Then a creator, or a platform, that somebody gives the
//! right name takes the place of a ranking, and of everything that would have been written there.
//!
//! Templates are compared as patterns. Keys that the job writes beside them (slots, generations, owner records)
//! count as well. Whether one template alone gives two creators one key: see [`super::ambiguity`].

use super::pattern::{Part, pattern};
use super::place;
use super::reader::Problems;
use crate::job::{SinkSpec, pending_key};

/// A longer one is refused for its length.
const LONGEST: usize = 1_024;

/// Notes the first two templates that can become one key. `job` is the name of the job.
pub(super) fn check(sink: &SinkSpec, job: &str, problems: &Problems) {
    let all = written(sink, job);
    if all.iter().any(|family| family.pattern.len() > LONGEST) {
        return;
    }
    for (i, one) in all.iter().enumerate() {
        let meets = |other: &&Family| can_be_one(&one.pattern, &other.pattern);
        if let Some(other) = all[i + 1..].iter().find(meets) {
            let what = format!(
                "{} (`{}`) and {} (`{}`) can be one key, for a creator or a platform with such a name: let each \
                 begin with a text of its own, for example `{job}:ranking:` and `{job}:creator:`",
                one.name, one.template, other.name, other.template
            );
            return problems.of_key("sink.keys", what);
        }
    }
}

/// The keys that come from one template.
struct Family {
    /// What people know it by.
    name: &'static str,
    template: String,
    pattern: Vec<Part>,
}

/// Everything that the job writes, with what it writes beside it.
fn written(sink: &SinkSpec, job: &str) -> Vec<Family> {
    const PLATFORM: &[&str] = &["{platform}"];
    const PARTITION: &[&str] = &["{job}", "{topic}", "{partition}"];
    let keys = &sink.keys;
    let templates = place::templates(keys).into_iter();
    let templates = templates.filter(|(name, ..)| *name != "legacy_hash" || sink.legacy_hashes);
    let mut all: Vec<_> = templates
        .map(|(name, template, placeholders)| (name, template.to_owned(), placeholders))
        .collect();
    let [generation, next, before] = keys.flip_keys(PLATFORM[0]);
    all.extend([
        ("slots of a ranking", keys.slots_key(PLATFORM[0]), PLATFORM),
        (
            "history of a ranking",
            keys.history_key(PLATFORM[0]),
            PLATFORM,
        ),
        (
            "snapshots of a ranking",
            keys.snapshots_key(PLATFORM[0]),
            PLATFORM,
        ),
        ("generation of a ranking", generation, PLATFORM),
        ("next ranking", next, PLATFORM),
        ("ranking before", before, PLATFORM),
        ("platforms of the rankings", keys.platforms_key(), &[]),
        (
            "alerts of a partition",
            pending_key(&keys.fence, "topic"),
            PARTITION,
        ),
        (
            "what alerts know of a ranking",
            keys.alerts_key(PLATFORM[0]),
            PLATFORM,
        ),
    ]);
    let owners = sink.owner_keys(job).into_iter();
    let owners = owners.chain(sink.holder_keys(job));
    all.extend(owners.map(|key| ("owner record", key, &[][..])));
    let family = |(name, template, placeholders): (_, String, &[&str])| Family {
        pattern: pattern(&template, placeholders, Some(job)),
        name,
        template,
    };
    all.into_iter().map(family).collect()
}

/// Whether there is a text that both patterns describe. `reached[j]` says whether the part of `a` so far and the
/// first `j` parts of `b` can describe the same text. Where two placeholders meet, the empty text is in both.
fn can_be_one(a: &[Part], b: &[Part]) -> bool {
    let mut reached = vec![false; b.len() + 1];
    reached[0] = true;
    skip_empty(&mut reached, b);
    for part in a {
        let mut next = vec![false; b.len() + 1];
        for (j, from) in reached.into_iter().enumerate() {
            let is_byte = !part.is_placeholder();
            next[j] |= from && !is_byte;
            let Some(other) = b.get(j) else { break };
            if is_byte {
                next[j] |= from && other.takes(*part);
                next[j + 1] |= from && part == other;
            } else {
                next[j + 1] |= next[j] && part.takes(*other);
            }
        }
        skip_empty(&mut next, b);
        reached = next;
    }
    reached[b.len()]
}

/// Placeholders of `b` may be empty.
fn skip_empty(reached: &mut [bool], b: &[Part]) {
    for (j, part) in b.iter().enumerate() {
        reached[j + 1] |= reached[j] && part.is_placeholder();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::parse::tests::problems_of_sink as problems;

    #[test]
    fn templates_that_a_name_can_make_one_key_are_refused_with_both_named() {
        for (keys, both) in [
            // A creator `top`.
            (
                "ranking = \"kol:{platform}:top\"\nhash = \"kol:{platform}:{kol}\"",
                [
                    "ranking (`kol:{platform}:top`)",
                    "hash (`kol:{platform}:{kol}`)",
                ],
            ),
            // A platform `last_update`.
            (
                "ranking = \"kol:{platform}\"\nlast_update = \"kol:last_update\"",
                ["ranking (`", "last_update (`"],
            ),
            // A platform `fence`, and a creator `kol:topic:0`.
            (
                "hash = \"streaming:{platform}:{kol}\"",
                ["hash (`", "`streaming:fence:{job}:{topic}:{partition}`"],
            ),
            (
                "hash = \"streaming:ranking:{platform}:{kol}\"",
                ["hash (`", "slots of a ranking (`"],
            ),
            (
                "last_update = \"streaming:ranking:x:trending:before\"",
                ["last_update (`", "ranking before (`"],
            ),
            (
                "last_update = \"streaming:ranking:x:trending:history\"",
                ["last_update (`", "history of a ranking (`"],
            ),
            (
                "last_event = \"streaming:ranking:x:trending:snapshots\"",
                ["last_event (`", "snapshots of a ranking (`"],
            ),
            (
                "last_event = \"streaming:ranking:*:trending:platforms\"",
                ["last_event (`", "platforms of the rankings (`"],
            ),
            (
                "last_event = \"streaming:streaming:last_update:owner\"",
                ["last_event (`", "owner record (`"],
            ),
            (
                "last_update = \"x\"\nlast_event = \"x\"",
                ["last_update", "last_event"],
            ),
        ] {
            let said = problems(&format!("[sink.keys]\n{keys}"));
            for part in both {
                assert!(said.contains(part), "{keys}: {said}");
            }
        }
    }

    #[test]
    fn templates_that_no_name_can_make_one_key_are_accepted() {
        for keys in [
            "",
            "ranking = \"r:{platform}\"",
            "ranking = \"kol:{platform}:top\"\nhash = \"kol:{platform}:kol:{kol}\"",
            "ranking = \"{kols}:ranking:{platform}:trending\"\nhash = \"{kols}:trending:{platform}:{kol}\"\n\
             fence = \"{kols}:streaming:fence:{job}:{topic}:{partition}\"\n\
             last_update = \"{kols}:streaming:last_update\"\nlast_event = \"{kols}:streaming:last_event\"",
            "ranking = \"3:r:{platform}\"\nhash = \"3:h:{platform}:{kol}\"\nlast_update = \"3:u\"",
        ] {
            assert_eq!(problems(&format!("[sink.keys]\n{keys}")), "", "{keys}");
        }
    }

    #[test]
    fn legacy_hashes_count_only_where_they_are_written() {
        let keys = "[sink.keys]\nlegacy_hash = \"trending:{kol}\"";
        assert_eq!(problems(keys), "");
        let said = problems(&format!("legacy_hashes = true\n{keys}"));
        assert!(
            said.contains("hash (`trending:{platform}:{kol}`) and legacy_hash"),
            "{said}"
        );
    }

    /// Tries all ways to fill the placeholders.
    fn describes(pattern: &[Part], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((Part::Byte(byte), rest)) => {
                text.first() == Some(byte) && describes(rest, &text[1..])
            }
            Some((part, rest)) => (0..=text.len())
                .take_while(|n| text[..*n].iter().all(|byte| part.takes(Part::Byte(*byte))))
                .any(|n| describes(rest, &text[n..])),
        }
    }

    fn parts() -> impl Strategy<Value = Vec<Part>> {
        let part = prop::sample::select(vec![
            Part::Byte(b'a'),
            Part::Byte(b':'),
            Part::Segment,
            Part::Text,
        ]);
        prop::collection::vec(part, 0..5)
    }

    proptest! {
        #[test]
        fn two_patterns_can_be_one_key_exactly_when_some_text_is_described_by_both(
            a in parts(), b in parts()
        ) {
            // Of two patterns that short, the shortest common text is not longer.
            let texts = (0..=8_u32).flat_map(|n| (0..1_u32 << n).map(move |bits| {
                let byte = |i| if bits >> i & 1 == 1 { b'a' } else { b':' };
                (0..n).map(byte).collect::<Vec<_>>()
            }));
            let mut texts = texts.into_iter();
            let common = texts.any(|text| describes(&a, &text) && describes(&b, &text));
            prop_assert_eq!(can_be_one(&a, &b), common);
        }
    }
}
