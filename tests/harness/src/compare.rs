//! Redis beside the fold.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::proto::JobStatus;
use kol_common::redis::ranking::{self, Members};
use kol_common::scoring::schema;

use kol_fold::{KolView, View};

/// Largest distance of two scores in the ranking.
const SCORE: f64 = 1e-9;
/// Fields that depend on when and by whom they were written.
const APART: [&str; 2] = [schema::UPDATED_AT, schema::GENERATION];

/// What Redis shows, by key.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Members and scores of the rankings.
    pub rankings: BTreeMap<String, BTreeMap<String, f64>>,
    /// Fields of the creators' hashes.
    pub hashes: BTreeMap<String, BTreeMap<String, String>>,
}

/// Every way in which rankings and hashes differ from the fold; empty when they are equal.
pub fn compare(redis: &mut redis::Connection, view: &View) -> Vec<String> {
    compare_below(redis, "", view)
}

/// The same where all keys begin with `prefix`, as under a hash tag.
pub fn compare_below(redis: &mut redis::Connection, prefix: &str, view: &View) -> Vec<String> {
    Shown::read(redis, prefix, view).differences(view)
}

/// How the market measure that `status` prints differs from the fold's, and the window end.
pub fn compare_market(status: &JobStatus, view: &View) -> Vec<String> {
    let mut differences = Vec::new();
    if status.window_end_ms != Some(view.window_end_ms) {
        let (is, want) = (status.window_end_ms, view.window_end_ms);
        differences.push(format!("window end is {is:?}, the fold has {want}"));
    }
    let shown: BTreeMap<_, _> = status
        .market
        .iter()
        .map(|m| (m.platform.as_str(), m.mean))
        .collect();
    for (platform, mean) in &view.market {
        let is = shown.get(platform.as_str()).copied().unwrap_or(0.0);
        if is != *mean {
            differences.push(format!("market of {platform} is {is}, the fold has {mean}"));
        }
    }
    differences
}

/// Keys below `prefix`, without it.
fn keys(redis: &mut redis::Connection, prefix: &str, pattern: &str) -> BTreeSet<String> {
    let pattern = format!("{prefix}{pattern}");
    let found: BTreeSet<String> = redis::cmd("KEYS").arg(pattern).query(redis).expect("KEYS");
    let found = found.iter().filter_map(|key| key.strip_prefix(prefix));
    found.map(str::to_owned).collect()
}

/// Hashes read at once.
const PIPELINE: usize = 1_000;

impl Shown {
    /// All of it; the fields only of those hashes that should be there.
    fn read(redis: &mut redis::Connection, prefix: &str, view: &View) -> Self {
        let mut shown = Self::default();
        for key in keys(redis, prefix, "ranking:*") {
            let members = ranking::members(&format!("{prefix}{key}"), 0, None);
            let members: Members = members.query(redis).expect("ZREVRANGE");
            shown.rankings.insert(key, members.into_iter().collect());
        }
        let there = keys(redis, prefix, "trending:*");
        shown.hashes = there.into_iter().map(|k| (k, BTreeMap::new())).collect();
        let wanted = view.kols.keys();
        let names: Vec<_> = wanted
            .map(|(platform, kol)| format!("trending:{platform}:{kol}"))
            .collect();
        for chunk in names.chunks(PIPELINE) {
            let mut pipeline = redis::pipe();
            for key in chunk {
                pipeline.cmd("HGETALL").arg(format!("{prefix}{key}"));
            }
            // As text: so do readers.
            let answers: Vec<BTreeMap<String, String>> = pipeline.query(redis).expect("HGETALL");
            shown.hashes.extend(chunk.iter().cloned().zip(answers));
        }
        shown
    }

    /// Every way in which it differs from the fold.
    pub fn differences(&self, view: &View) -> Vec<String> {
        let mut differences = Vec::new();
        self.compare_rankings(view, &mut differences);
        self.compare_hashes(view, &mut differences);
        differences
    }

    fn compare_rankings(&self, view: &View, differences: &mut Vec<String>) {
        let mut expected: BTreeMap<String, BTreeMap<&str, f64>> = BTreeMap::new();
        for ((platform, kol), shown) in &view.kols {
            let key = format!("ranking:{platform}:trending");
            expected.entry(key).or_default().insert(kol, shown.score);
        }
        for key in self.rankings.keys() {
            if !expected.contains_key(key) {
                differences.push(format!("{key} is in Redis, not in the fold"));
            }
        }
        let none = BTreeMap::new();
        for (key, scores) in expected {
            let shown = self.rankings.get(&key).unwrap_or(&none);
            for (kol, score) in &scores {
                match shown.get(*kol) {
                    Some(is) if (is - score).abs() <= SCORE => {}
                    is => differences.push(format!("{key} {kol}: {is:?}, the fold has {score}")),
                }
            }
            for kol in shown
                .keys()
                .filter(|kol| !scores.contains_key(kol.as_str()))
            {
                differences.push(format!("{key} {kol} is in Redis, not in the fold"));
            }
        }
    }

    fn compare_hashes(&self, view: &View, differences: &mut Vec<String>) {
        let mut names: BTreeSet<&str> = self.hashes.keys().map(String::as_str).collect();
        let none = BTreeMap::new();
        for ((platform, kol), expected) in &view.kols {
            let key = format!("trending:{platform}:{kol}");
            names.remove(key.as_str());
            let shown = self.hashes.get(&key).unwrap_or(&none);
            for difference in hash(shown, platform, kol, expected) {
                differences.push(format!("{key} {difference}"));
            }
        }
        let beyond = names.iter();
        differences.extend(beyond.map(|key| format!("{key} is in Redis, not in the fold")));
    }
}

fn hash(
    shown: &BTreeMap<String, String>,
    platform: &str,
    kol: &str,
    expected: &KolView,
) -> Vec<String> {
    let mut differences = Vec::new();
    let mut left: BTreeSet<&str> = shown.keys().map(String::as_str).collect();
    let mut check = |field: &'static str, want: String, holds: &dyn Fn(&str) -> bool| {
        left.remove(field);
        match shown.get(field) {
            Some(is) if holds(is) => {}
            is => differences.push(format!("{field}: {is:?}, the fold has {want}")),
        }
    };
    // The names are the product's; what they must show, the fold says by itself.
    for field in schema::fields(expected.profile) {
        let number = expected.numbers.iter().find(|(n, _)| *n == field.name);
        match (field.name, number) {
            (name, Some((_, number))) => check(name, number.text(), &|is| number.accepts(is)),
            ("trending_label", None) => {
                let labels = &expected.labels;
                check(field.name, format!("{labels:?}"), &|is| {
                    labels.contains(&is)
                });
            }
            ("window_end", None) => check(field.name, expected.window_end.clone(), &|is| {
                is == expected.window_end
            }),
            (name, None) => check(name, "no such field".to_owned(), &|_| false),
        }
    }
    check(schema::KOL_ID, kol.to_owned(), &|is| is == kol);
    check(schema::PLATFORM, platform.to_owned(), &|is| is == platform);
    let known = schema::fields(expected.profile);
    let of_fold = expected.numbers.iter().map(|(name, _)| *name);
    let missing = of_fold.filter(|name| !known.iter().any(|f| f.name == *name));
    let missing: Vec<_> = missing
        .map(|name| format!("{name} is only in the fold"))
        .collect();
    differences.extend(missing);
    let beyond = left.into_iter().filter(|field| !APART.contains(field));
    let beyond: Vec<_> = beyond
        .map(|f| format!("{f} is no field of the fold"))
        .collect();
    differences.extend(beyond);
    differences
}
