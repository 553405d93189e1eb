//! Redis beside the fold.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::proto::JobStatus;

use crate::fold::{KolView, View};

/// Largest distance of two scores in the ranking.
const SCORE: f64 = 1e-9;
/// Fields that depend on when and by whom they were written.
const APART: [&str; 4] = ["updated_at", "generation", "_slots", "_market"];

/// Every way in which rankings and hashes differ from the fold; empty when they are equal.
pub fn compare(redis: &mut redis::Connection, view: &View) -> Vec<String> {
    let mut differences = Vec::new();
    rankings(redis, view, &mut differences);
    hashes(redis, view, &mut differences);
    differences
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

fn keys(redis: &mut redis::Connection, pattern: &str) -> BTreeSet<String> {
    redis::cmd("KEYS").arg(pattern).query(redis).expect("KEYS")
}

fn rankings(redis: &mut redis::Connection, view: &View, differences: &mut Vec<String>) {
    let mut expected: BTreeMap<String, BTreeMap<&str, f64>> = BTreeMap::new();
    for ((platform, kol), shown) in &view.kols {
        let key = format!("ranking:{platform}:trending");
        expected.entry(key).or_default().insert(kol, shown.score);
    }
    for key in keys(redis, "ranking:*") {
        if !expected.contains_key(&key) {
            differences.push(format!("{key} is in Redis, not in the fold"));
        }
    }
    for (key, scores) in expected {
        let mut command = redis::cmd("ZRANGE");
        let command = command.arg(&key).arg(0).arg(-1).arg("WITHSCORES");
        let shown: Vec<(String, f64)> = command.query(redis).expect("ZRANGE");
        let shown: BTreeMap<String, f64> = shown.into_iter().collect();
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

fn hashes(redis: &mut redis::Connection, view: &View, differences: &mut Vec<String>) {
    let mut names = keys(redis, "trending:*");
    let kols: Vec<_> = view.kols.iter().collect();
    for chunk in kols.chunks(1_000) {
        let mut pipeline = redis::pipe();
        for ((platform, kol), _) in chunk {
            pipeline
                .cmd("HGETALL")
                .arg(format!("trending:{platform}:{kol}"));
        }
        // `_slots` is binary.
        let answers: Vec<BTreeMap<String, Vec<u8>>> = pipeline.query(redis).expect("HGETALL");
        for (((platform, kol), expected), shown) in chunk.iter().zip(answers) {
            let key = format!("trending:{platform}:{kol}");
            names.remove(&key);
            let shown = shown
                .into_iter()
                .map(|(field, bytes)| (field, String::from_utf8_lossy(&bytes).into_owned()))
                .collect();
            for difference in hash(&shown, platform, kol, expected) {
                differences.push(format!("{key} {difference}"));
            }
        }
    }
    differences.extend(
        names
            .iter()
            .map(|key| format!("{key} is in Redis, not in the fold")),
    );
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
    for (field, number) in &expected.numbers {
        check(field, number.text(), &|is| number.accepts(is));
    }
    let labels = &expected.labels;
    check("trending_label", format!("{labels:?}"), &|is| {
        labels.contains(&is)
    });
    check("window_end", expected.window_end.clone(), &|is| {
        is == expected.window_end
    });
    check("kol_id", kol.to_owned(), &|is| is == kol);
    check("platform", platform.to_owned(), &|is| is == platform);
    let beyond = left.into_iter().filter(|field| !APART.contains(field));
    let beyond: Vec<_> = beyond
        .map(|f| format!("{f} is no field of the fold"))
        .collect();
    differences.extend(beyond);
    differences
}
