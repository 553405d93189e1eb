//! Rankings as they were shown: which snapshots are kept, and what one of them says. A job writes them, and
//! `kol-client serve` reads them.
//!
//! Beside each ranking lie a sorted set, with the name of each snapshot by its time in milliseconds, and a hash with the
//! snapshots by name. Times are those of events: a snapshot is of the moment at which the job clock passed a multiple of
//! the step. A snapshot is JSON: `{"window_end":"2025-07-01T09:00:00.000Z","creators":[["ann",84.13],["bob",71.28]]}`, the
//! highest score first. Where names are so long that it would have too many bytes, it has `"cut":true` and those of the first
//! that fit.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::event::parse_time;
use crate::time::Millis;

/// Creators of a snapshot, at most: the first of the ranking.
pub const PLACES: usize = 1_000;
/// Bytes of a snapshot, at most: of longer names it has fewer creators.
pub const MOST_BYTES: usize = 256 * 1024;
/// Snapshots of a ranking that are looked at; those that are kept are fewer.
pub const MOST: usize = 500;
/// The shortest and the longest time between two snapshots.
const LEAST_STEP: u64 = 60_000;
const MOST_STEP: u64 = 300_000;
const HOUR: u64 = 3_600_000;

/// What a snapshot is called: `2025-07-01T09:00:00.000Z/3`. Older ones are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The time of the ranking.
    pub at: Millis,
    /// Generation of the job that wrote it.
    pub generation: u64,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.at.iso(), self.generation)
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, generation) = text.split_once('/').ok_or(())?;
        Ok(Self {
            at: parse_time(at).ok_or(())?,
            generation: generation.parse().map_err(|_| ())?,
        })
    }
}

/// How often a ranking is kept as it is shown, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    step: u64,
    kept: u64,
}

/// By how much a snapshot may be older than the time over which places are compared: as far as snapshots are apart then, and
/// some more.
pub const fn slack(within: Millis) -> Millis {
    const MORE: u64 = 2 * MOST_STEP;
    Millis(if within.0 <= HOUR { MORE } else { HOUR + MORE })
}

impl Rules {
    /// Of a job whose window advances by `slide`, and whose rankings are to be known for as long as `history`. One more hour
    /// is kept, so that there is a snapshot that is at least as old as that.
    pub fn new(slide: Millis, history: Millis) -> Self {
        Self {
            step: slide.0.clamp(LEAST_STEP, MOST_STEP),
            kept: history.0.saturating_add(HOUR),
        }
    }

    /// The time of the snapshot that is due at this time of the job clock.
    pub fn due(self, clock: Millis) -> Millis {
        Millis(clock.0 - clock.0 % self.step)
    }

    /// When all that is kept expires once nothing is written any more.
    pub fn expiry(self) -> Millis {
        Millis(self.kept.saturating_add(HOUR))
    }

    /// What is dropped when a snapshot is written where these are kept; `None`: it is not written.
    ///
    /// 1. It is written once: where its generation has one of that time, or of a later one, that one stays.
    /// 2. Those of older generations stay, as what was shown then, unless they are of its time or later: a generation that
    ///    began again behind them shows something else then.
    /// 3. Each one of the last hour stays, and of each hour before the first.
    pub fn plan(self, kept: &[Name], new: Name) -> Option<Vec<Name>> {
        let is_over = |name: &Name| name.generation < new.generation && name.at >= new.at;
        if kept.iter().any(|name| name.at >= new.at && !is_over(name)) {
            return None;
        }
        let mut sorted = kept.to_vec();
        sorted.sort_unstable();
        let mut hours = BTreeSet::new();
        let mut stays = |name: &Name| {
            let age = new.at.since(name.at).0;
            let mut is_first = || hours.insert(name.at.0 / HOUR);
            !is_over(name) && age <= self.kept && (is_first() || age <= HOUR + self.step)
        };
        sorted.retain(|name| !stays(name));
        Some(sorted)
    }
}

/// What a snapshot says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Snapshot {
    /// Window end of the ranking, ISO 8601.
    pub window_end: String,
    /// Names and scores, with two decimals; the highest first.
    pub creators: Vec<(String, f64)>,
    /// Of the first of the ranking it has only those that fit.
    #[serde(default)]
    pub cut: bool,
}

impl Snapshot {
    /// From a field of the hash; `None` where it is none.
    pub fn read(text: &[u8]) -> Option<Self> {
        let mut snapshot: Self = serde_json::from_slice(text).ok()?;
        snapshot.creators.truncate(PLACES);
        Some(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * HOUR;
    const BEGIN: u64 = 500_000 * HOUR;

    fn rules() -> Rules {
        Rules::new(Millis(60_000), Millis(DAY))
    }

    fn name(at: u64, generation: u64) -> Name {
        Name {
            at: Millis(at),
            generation,
        }
    }

    /// What is kept after this snapshot.
    fn add(kept: &mut Vec<Name>, new: Name) {
        let Some(dropped) = rules().plan(kept, new) else {
            return;
        };
        kept.retain(|name| !dropped.contains(name));
        kept.push(new);
    }

    #[test]
    fn each_snapshot_of_the_last_hour_stays_and_of_each_hour_of_the_day_before_the_first() {
        let mut kept = Vec::new();
        for minute in 0..3_000 {
            add(&mut kept, name(BEGIN + minute * 60_000, 1));
        }
        let newest = BEGIN + 2_999 * 60_000;
        let of_hour: Vec<u64> = (0..=61).map(|m| newest - m * 60_000).collect();
        for at in &of_hour {
            assert!(kept.contains(&name(*at, 1)), "{at}");
        }
        let older = kept.iter().filter(|n| !of_hour.contains(&n.at.0));
        let older: Vec<u64> = older.map(|n| n.at.0).collect();
        assert!(older.iter().all(|at| at % HOUR == 0), "{older:?}");
        assert_eq!(older.len(), 24, "{older:?}");
        assert!(
            older[0] <= newest - DAY,
            "one is as old as the oldest that is compared with"
        );
        assert!(kept.len() < MOST);
    }

    #[test]
    fn the_longest_history_of_the_shortest_step_is_looked_at_as_a_whole() {
        let rules = Rules::new(Millis(1), Millis(7 * DAY));
        let most = (rules.kept / HOUR + 1) + (HOUR + rules.step) / rules.step + 1;
        assert!(most < MOST as u64, "{most}");
    }

    #[test]
    fn a_snapshot_is_written_once_and_none_before_one_of_its_generation() {
        let kept = [name(BEGIN, 2), name(BEGIN + 60_000, 2)];
        for (at, generation) in [(0, 2), (60_000, 2), (60_000, 1), (0, 1)] {
            let planned = rules().plan(&kept, name(BEGIN + at, generation));
            assert_eq!(planned, None, "{at} {generation}");
        }
        let next = rules().plan(&kept, name(BEGIN + 120_000, 2));
        assert_eq!(next, Some(vec![]));
    }

    #[test]
    fn an_older_generation_stays_as_what_was_shown_unless_the_new_one_begins_behind_it() {
        let kept = [60_000, 120_000, 180_000].map(|at| name(BEGIN + at, 1));
        let dropped = rules().plan(&kept, name(BEGIN + 120_000, 2));
        assert_eq!(dropped, Some(kept[1..].to_vec()));
        let dropped = rules().plan(&kept, name(BEGIN + 240_000, 2));
        assert_eq!(dropped, Some(vec![]));
    }

    #[test]
    fn a_clock_that_leaps_leaves_nothing_that_is_too_old() {
        let kept = [name(BEGIN, 1), name(BEGIN + 2 * DAY, 1)];
        let dropped = rules().plan(&kept, name(BEGIN + 2 * DAY + HOUR, 1));
        assert_eq!(dropped, Some(vec![kept[0]]));
    }

    #[test]
    fn a_snapshot_is_due_at_each_step_which_follows_the_slide_within_bounds() {
        for (slide, step) in [(1_000, 60_000), (120_000, 120_000), (HOUR, 300_000)] {
            let rules = Rules::new(Millis(slide), Millis(DAY));
            assert_eq!(rules.due(Millis(BEGIN + step - 1)), Millis(BEGIN));
            assert_eq!(rules.due(Millis(BEGIN + step)), Millis(BEGIN + step));
        }
    }

    #[test]
    fn names_are_read_as_they_are_written_and_their_order_is_that_of_time() {
        let name = name(1_751_360_400_000, 12);
        assert_eq!(name.to_string(), "2025-07-01T09:00:00.000Z/12");
        assert_eq!(name.to_string().parse(), Ok(name));
        for text in [
            "",
            "2025-07-01T09:00:00.000Z",
            "x/1",
            "2025-07-01T09:00:00.000Z/x",
        ] {
            assert_eq!(text.parse::<Name>(), Err(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_snapshot_is_not_read() {
        let read = |text: &str| Snapshot::read(text.as_bytes());
        let known = read(r#"{"window_end":"x","creators":[["a\u0022",84.13],["b",1]]}"#).unwrap();
        assert_eq!(
            known.creators,
            [("a\"".to_owned(), 84.13), ("b".to_owned(), 1.0)]
        );
        assert!(!known.cut);
        for text in ["", "{}", "[]", r#"{"window_end":"x","creators":[["a"]]}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn rules_of_alerts_name_no_more_places_and_no_shorter_times_than_snapshots_have() {
        let is_right = |places: usize, within: u64| {
            let spec = format!(
                "name = \"j\"\n[alerts]\ntopic = \"a\"\n[[alerts.rules]]\nname = \"up\"\n\
                 rank_rises = {places}\nwithin = \"{within}ms\"\n"
            );
            crate::job::parse(&spec, "j").is_ok()
        };
        assert!(is_right(PLACES, LEAST_STEP));
        assert!(!is_right(PLACES + 1, LEAST_STEP) && !is_right(PLACES, LEAST_STEP - 1));
    }
}
