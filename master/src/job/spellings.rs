//! Creators whose names differ only by case: they may be one that is spelled in two ways, and whose gain is lost. Each
//! partition reports a few of its creators, the same ones as the others where it has them.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::proto::PartitionReport;

/// Pairs that are named.
const NAMED: usize = 3;

/// What to tell a person, if there are such creators among those that the partitions report.
pub fn differ_by_case<'a>(reports: impl Iterator<Item = &'a PartitionReport>) -> Option<String> {
    let mut seen: BTreeMap<(u64, &str), BTreeSet<&str>> = BTreeMap::new();
    for spelling in reports.flat_map(|report| &report.spellings) {
        let names = seen.entry((spelling.id, &spelling.platform)).or_default();
        names.insert(&spelling.kol);
    }
    let pairs: Vec<_> = seen
        .into_iter()
        .filter(|(_, names)| names.len() > 1)
        .collect();
    let named = pairs.iter().take(NAMED).map(|((_, platform), names)| {
        // Quoted with escapes: others wrote these.
        let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
        format!("{} on {platform:?}", names.join(" and "))
    });
    let named: Vec<_> = named.collect();
    (!named.is_empty()).then(|| {
        format!(
            "creators differ only by case: {}; if these are one creator each, its gains are counted apart: set \
             [source] username_case = \"lower\"",
            named.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use kol_common::proto::Spelling;

    use super::*;

    fn report(spellings: &[(u64, &str)]) -> PartitionReport {
        let spelling = |(id, kol): &(u64, &str)| Spelling {
            id: *id,
            platform: "youtube".into(),
            kol: (*kol).into(),
        };
        PartitionReport {
            spellings: spellings.iter().map(spelling).collect(),
            ..PartitionReport::default()
        }
    }

    #[test]
    fn creators_that_differ_only_by_case_are_named_with_the_key_that_makes_them_one() {
        // In one partition, and in two; one that two partitions have is no pair.
        let reports = [
            report(&[(1, "Ann"), (1, "ann"), (2, "bo"), (3, "cy")]),
            report(&[(2, "BO\u{1b}"), (3, "cy")]),
        ];
        let text = differ_by_case(reports.iter()).unwrap();
        for part in [
            r#""Ann" and "ann" on "youtube""#,
            r#""BO\u{1b}" and "bo" on "youtube""#,
            r#"username_case = "lower""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("cy"), "{text}");
        assert_eq!(differ_by_case(reports[1..].iter()), None);
    }
}
