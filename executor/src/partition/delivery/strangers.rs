//! Members of rankings that nobody sent: a machine without I/O.
//!
//! 1. Whoever is in a ranking of this generation has slots beside it, which the same merge wrote. So where a ranking has
//!    more members than there are slots, somebody put one in, or Redis lost slots. Then each comparison also looks at a
//!    piece of the ranking, round and round.
//! 2. Who has no slots and is not known here is taken out once it was seen for [`PATIENCE`]: until then the partition that
//!    it may be of has found its slots lost, and has sent them again. It is taken out by a merge, which leaves alone
//!    whoever has slots by then.
//! 3. Partitions with larger numbers wait longer, so that usually one of them does it, and says so.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::state::PlatformIndex;

/// Members in a piece.
pub const PIECE: usize = 256;
/// How long a member without slots is left alone: longer than a round of comparisons; and how much longer by each
/// partition than by the one before, as far as the last of these.
const PATIENCE: Duration = Duration::from_secs(75);
const LATER: Duration = Duration::from_secs(2);
const LAST: u32 = 30;
/// Members that are remembered, and for how long after they were seen last.
const MOST: usize = 1_000;
const FORGOTTEN: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub struct Strangers {
    patience: Duration,
    /// Where the next piece of a platform's ranking begins.
    places: BTreeMap<PlatformIndex, u64>,
    /// Where the first one does: not at the same place for all partitions.
    first: u64,
    /// Members without slots, by their platform: since when, and when they were seen last.
    suspects: BTreeMap<(PlatformIndex, String), (Instant, Instant)>,
}

impl Strangers {
    /// None, as the partition with this number in its job.
    pub fn new(ordinal: u32) -> Self {
        Self {
            patience: PATIENCE + LATER * ordinal.min(LAST),
            places: BTreeMap::new(),
            // The golden ratio spreads any number of partitions.
            first: u64::from(ordinal.wrapping_mul(0x9e37_79b1)),
            suspects: BTreeMap::new(),
        }
    }

    /// Where the next piece of a ranking begins; the ranking counts as a ring.
    pub fn place(&self, platform: PlatformIndex) -> u64 {
        self.places.get(&platform).copied().unwrap_or(self.first)
    }

    /// A piece of a ranking was read: these members of it have no slots. `None`: it has no more members than there are
    /// slots. Those that must be taken out now.
    pub fn seen(
        &mut self,
        now: Instant,
        platform: PlatformIndex,
        without_slots: Option<&[String]>,
        is_known: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let Some(members) = without_slots else {
            self.suspects.retain(|(of, _), _| *of != platform);
            self.places.remove(&platform);
            return Vec::new();
        };
        let place = self.place(platform).wrapping_add(PIECE as u64);
        self.places.insert(platform, place);
        let mut out = Vec::new();
        for member in members.iter().filter(|member| !is_known(member)) {
            let key = (platform, member.clone());
            let Some((since, last)) = self.suspects.get_mut(&key) else {
                self.suspect(now, key);
                continue;
            };
            *last = now;
            if now >= *since + self.patience {
                self.suspects.remove(&key);
                out.push(key.1);
            }
        }
        out
    }

    fn suspect(&mut self, now: Instant, key: (PlatformIndex, String)) {
        if self.suspects.len() >= MOST {
            self.suspects.retain(|_, (_, last)| now < *last + FORGOTTEN);
        }
        if self.suspects.len() < MOST {
            self.suspects.insert(key, (now, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(strangers: &mut Strangers, now: Instant, members: &[&str]) -> Vec<String> {
        let members: Vec<String> = members.iter().map(|m| (*m).to_owned()).collect();
        strangers.seen(now, 0, Some(&members), |kol| kol == "known")
    }

    #[test]
    fn whoever_has_no_slots_for_longer_than_a_round_is_taken_out_unless_the_state_knows_it() {
        let (begun, none) = (Instant::now(), Vec::<String>::new());
        let mut strangers = Strangers::new(0);
        let members = ["known", "a", "b"];
        assert_eq!(seen(&mut strangers, begun, &members), none);
        let early = begun + PATIENCE - Duration::from_millis(1);
        assert_eq!(seen(&mut strangers, early, &members), none);
        // Its slots are there again.
        let late = begun + PATIENCE;
        assert_eq!(seen(&mut strangers, late, &["known", "a"]), ["a"]);
        assert_eq!(
            seen(&mut strangers, late, &["a"]),
            none,
            "if it is there again, it waits again"
        );
    }

    #[test]
    fn a_ranking_without_strangers_ends_all_suspicion() {
        let begun = Instant::now();
        let mut strangers = Strangers::new(0);
        seen(&mut strangers, begun, &["a"]);
        strangers.seen(begun, 1, None, |_| false);
        assert_eq!(strangers.suspects.len(), 1, "it was another platform");
        strangers.seen(begun, 0, None, |_| false);
        assert!(seen(&mut strangers, begun + PATIENCE, &["a"]).is_empty());
    }

    #[test]
    fn pieces_go_through_the_ranking_from_another_place_in_each_partition() {
        let now = Instant::now();
        let mut all: Vec<_> = (0..16)
            .map(|o| Strangers::new(o).place(0) % 100_000)
            .collect();
        all.sort_unstable();
        let gaps = all.windows(2).map(|two| two[1] - two[0]);
        assert!(gaps.max().unwrap() < 20_000, "{all:?}");
        let mut strangers = Strangers::new(3);
        let first = strangers.place(0);
        seen(&mut strangers, now, &[]);
        assert_eq!(
            (strangers.place(0), strangers.place(1)),
            (first + PIECE as u64, first)
        );
    }

    #[test]
    fn the_first_partition_takes_a_stranger_out_before_the_others() {
        let begun = Instant::now();
        for (ordinal, extra) in [(0, 0), (1, 2), (30, 60), (900, 60)] {
            let mut strangers = Strangers::new(ordinal);
            seen(&mut strangers, begun, &["a"]);
            let due = begun + PATIENCE + Duration::from_secs(extra);
            let early = due - Duration::from_millis(1);
            assert!(seen(&mut strangers, early, &["a"]).is_empty());
            assert_eq!(seen(&mut strangers, due, &["a"]), ["a"], "{ordinal}");
        }
    }

    #[test]
    fn any_number_of_strangers_takes_little_memory_and_those_that_are_gone_make_room() {
        let begun = Instant::now();
        let mut strangers = Strangers::new(0);
        for n in 0..2 * MOST {
            seen(&mut strangers, begun, &[&format!("s{n}")]);
        }
        assert_eq!(strangers.suspects.len(), MOST);
        seen(&mut strangers, begun + FORGOTTEN, &["new"]);
        assert_eq!(strangers.suspects.len(), 1);
    }
}
