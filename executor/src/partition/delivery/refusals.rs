//! Which keys of Redis are of a wrong type, and which creators are left out because of that. They do not hold
//! up anything else; the comparison with what Redis has finds out when a key is right again.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::KolError;

use crate::state::KolIndex;

/// Keys that are remembered: the message names one, and counts creators.
const NAMED: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Creators that are left out, and for some of them the key.
    kols: BTreeMap<KolIndex, Option<String>>,
    named: usize,
    /// By platform number, keys that all creators of a platform share.
    platforms: BTreeMap<u16, BTreeSet<String>>,
    /// Keys that belong to no platform.
    others: BTreeSet<String>,
}

impl Refusals {
    /// Whether there are none.
    pub fn are_none(&self) -> bool {
        self.kols.is_empty() && self.platforms.is_empty() && self.others.is_empty()
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
    pub fn platform(&mut self, platform: u16, keys: impl IntoIterator<Item = String>) {
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

    /// What an operator reads; `flip` is a key because of which an older ranking is still shown.
    pub fn problem(&self, flip: Option<&String>) -> Option<KolError> {
        let shared = self.platforms.values().flatten().chain(&self.others);
        let shared = shared.chain(flip).next();
        let own = || self.kols.values().flatten().next();
        let key = shared.or_else(own);
        if self.are_none() && flip.is_none() {
            return None;
        }
        let what = format!(
            "{} has a type that the job did not give it{}; everything else is written",
            key.map_or_else(
                || "a Redis key".to_owned(),
                |key| format!("the Redis key {key}")
            ),
            match (shared.is_some(), self.kols.len()) {
                (true, 0) => ": what belongs into it is left out".to_owned(),
                (true, n) => format!(": what belongs into it is left out, and {n} creators are"),
                (false, n) => format!(": {n} creators are left out"),
            }
        );
        Some(KolError::external("SINK_KEY_TYPE", what).help(
            "Look at the key (TYPE), then delete or rename it: what was left out comes back within a minute. \
             Or give the job other keys ([sink.keys] in its spec).",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_counts_the_creators_names_a_key_and_goes_when_all_are_written() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.problem(None), None);
        refusals.refused(3, || "trending:tiktok:a".into());
        refusals.refused(3, || unreachable!("known"));
        refusals.refused(4, || "trending:tiktok:b".into());
        let text = refusals.problem(None).unwrap().to_string();
        assert!(
            text.contains("trending:tiktok:a") && text.contains("2 creators"),
            "{text}"
        );
        refusals.platform(0, ["ranking:tiktok:trending".to_owned()]);
        let text = refusals.problem(None).unwrap().to_string();
        assert!(text.contains("ranking:tiktok:trending"), "{text}");
        refusals.platform(0, []);
        refusals.well(3);
        let text = refusals.problem(None).unwrap().to_string();
        assert!(
            text.contains("trending:tiktok:b") && text.contains("1 creators"),
            "{text}"
        );
        refusals.well(4);
        assert!(refusals.are_none() && refusals.problem(None).is_none());
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
