//! Which keys of Redis are of a wrong type, and which creators are left out because of that. They do not hold
//! up anything else; the comparison with what Redis has finds out when a key is right again.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::KolError;
use kol_common::redis::{KEY_TYPE, KEY_TYPE_HELP};

use crate::state::{KolIndex, PlatformIndex};

/// Keys that are remembered: the message counts creators, and names one or some that creators share.
const NAMED: usize = 100;
/// Keys that a message names, at most.
const SHOWN: usize = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Creators that are left out, and for some of them the key.
    kols: BTreeMap<KolIndex, Option<String>>,
    named: usize,
    /// By platform number, keys that all creators of a platform share.
    platforms: BTreeMap<PlatformIndex, BTreeSet<String>>,
    /// Keys that belong to no platform.
    others: BTreeSet<String>,
    /// Hashes of alerts. No comparison looks at them.
    alerts: BTreeSet<String>,
}

impl Refusals {
    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        let shared = self.others.is_empty() && self.alerts.is_empty();
        self.kols.is_empty() && self.platforms.is_empty() && shared
    }

    /// How many creators are left out.
    pub fn creators(&self) -> usize {
        self.kols.len()
    }

    /// A creator's key is of a wrong type.
    pub fn refused(&mut self, kol: KolIndex, key: impl FnOnce() -> String) {
        if self.kols.contains_key(&kol) {
            return;
        }
        let key = (self.named < NAMED).then(key);
        self.named += usize::from(key.is_some());
        self.kols.insert(kol, key);
    }

    /// A creator was written, or is no longer this partition's.
    pub fn well(&mut self, kol: KolIndex) {
        if let Some(Some(_)) = self.kols.remove(&kol) {
            self.named -= 1;
        }
    }

    /// The platform's keys that are of a wrong type now.
    pub fn platform(&mut self, platform: PlatformIndex, keys: impl IntoIterator<Item = String>) {
        let keys: BTreeSet<String> = keys.into_iter().take(NAMED).collect();
        if keys.is_empty() {
            self.platforms.remove(&platform);
        } else {
            self.platforms.insert(platform, keys);
        }
    }

    /// Keys of a flush that belong to no creator.
    pub fn others(&mut self, keys: BTreeSet<String>) {
        self.others = keys;
    }

    /// A flush without merges was answered with these keys: it says nothing of others than `looked_at`.
    pub fn rechecked(&mut self, keys: &[String], looked_at: impl Fn(&str) -> bool) {
        self.others.retain(|key| !looked_at(key));
        self.others.extend(keys.iter().cloned());
    }

    /// A flush was answered, which looked at all hashes of `alerts`, with these of a wrong type.
    pub fn set_alerts(&mut self, keys: &[String]) {
        self.alerts = keys.iter().cloned().collect();
    }

    /// Hashes of alerts that are of a wrong type: each flush looks at them.
    pub fn alerts(&self) -> impl Iterator<Item = &String> {
        self.alerts.iter()
    }

    /// Whether there are keys that a flush without merges looks at.
    pub fn need_recheck(&self, looked_at: impl Fn(&str) -> bool) -> bool {
        !self.alerts.is_empty() || self.others.iter().any(|key| looked_at(key))
    }

    /// What an operator reads; `more` are keys because of which an older ranking is still shown, or a listing was
    /// not read.
    pub fn problem<'k>(&'k self, more: impl Iterator<Item = &'k String>) -> Option<KolError> {
        let shared = self.platforms.values().flatten();
        let shared = shared.chain(&self.others).chain(&self.alerts);
        let shared: BTreeSet<&str> = shared.chain(more).map(String::as_str).collect();
        let creators = self.kols.len();
        let left_out = match (shared.is_empty(), creators) {
            (true, 0) => return None,
            (true, n) => format!("{n} creators are left out"),
            (false, 0) => "what belongs into it is left out".to_owned(),
            (false, n) => format!("what belongs into it is left out, and {n} creators are"),
        };
        let own = self.kols.values().flatten().map(String::as_str);
        let own = own.take(usize::from(shared.is_empty()));
        let keys: Vec<&str> = shared.iter().copied().chain(own).collect();
        let shown = keys[..keys.len().min(SHOWN)].join(", ");
        let subject = match keys.len() {
            0 => "a Redis key has".to_owned(),
            1 => format!("the Redis key {shown} has"),
            2..=SHOWN => format!("each of the Redis keys {shown} has"),
            n => format!("each of {n} Redis keys ({shown}, …) has"),
        };
        let what = format!(
            "{subject} a type that the job did not give it: {left_out}; everything else is written"
        );
        Some(KolError::external(KEY_TYPE, what).help(KEY_TYPE_HELP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(refusals: &Refusals) -> Option<KolError> {
        refusals.problem(std::iter::empty())
    }

    #[test]
    fn every_key_that_creators_share_is_named_as_long_as_it_is_spoiled() {
        let keys = ["last_event", "ranking:tiktok:trending", "slots"].map(str::to_owned);
        let mut refusals = Refusals::default();
        refusals.others([keys[0].clone()].into());
        refusals.platform(0, [keys[1].clone()]);
        let text = refusals.problem(std::iter::once(&keys[2])).unwrap();
        let text = text.to_string();
        assert!(text.contains(&keys.join(", ")), "{text}");
        refusals.others(BTreeSet::new());
        let text = problem(&refusals).unwrap().to_string();
        assert!(text.contains("key ranking:tiktok:trending has"), "{text}");
    }

    #[test]
    fn a_flush_without_merges_says_nothing_of_the_keys_that_merges_meet() {
        let mut refusals = Refusals::default();
        let of_flush = |key: &str| key == "last_event";
        refusals.others(["last_event".to_owned(), "ranking".to_owned()].into());
        assert!(refusals.need_recheck(of_flush));
        refusals.rechecked(&["last_event".to_owned()], of_flush);
        assert!(refusals.need_recheck(of_flush), "still");
        refusals.rechecked(&[], of_flush);
        assert!(!refusals.need_recheck(of_flush));
        let text = problem(&refusals).unwrap().to_string();
        assert!(text.contains("the Redis key ranking has"), "{text}");
    }

    #[test]
    fn a_problem_counts_the_creators_names_a_key_and_goes_when_all_are_written() {
        let mut refusals = Refusals::default();
        assert_eq!(problem(&refusals), None);
        refusals.refused(3, || "trending:tiktok:a".into());
        refusals.refused(3, || unreachable!("known"));
        refusals.refused(4, || "trending:tiktok:b".into());
        let text = problem(&refusals).unwrap().to_string();
        assert!(
            text.contains("trending:tiktok:a") && text.contains("2 creators"),
            "{text}"
        );
        refusals.platform(0, ["ranking:tiktok:trending".to_owned()]);
        let text = problem(&refusals).unwrap().to_string();
        assert!(text.contains("ranking:tiktok:trending"), "{text}");
        refusals.platform(0, []);
        refusals.well(3);
        let text = problem(&refusals).unwrap().to_string();
        assert!(
            text.contains("trending:tiktok:b") && text.contains("1 creators"),
            "{text}"
        );
        refusals.well(4);
        assert!(refusals.are_none() && problem(&refusals).is_none());
    }

    #[test]
    fn any_number_of_wrong_keys_takes_little_memory() {
        let mut refusals = Refusals::default();
        for kol in 0..1_000 {
            refusals.refused(kol, || format!("trending:tiktok:{kol}"));
        }
        assert_eq!((refusals.creators(), refusals.named), (1_000, NAMED));
        for kol in 0..1_000 {
            refusals.well(kol);
        }
        assert_eq!(refusals.named, 0);
    }
}
