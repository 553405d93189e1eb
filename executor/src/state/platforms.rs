//! The platforms of a partition's KOLs, each known by a number, and which ones are admitted
//! (`docs/protocol/scoring.md`, "Platforms").
//!
//! A platform is *present* until its newest event is `retire_after` older than the partition's clock. That follows
//! from the events that were counted alone, so a restored state admits what the one before would have.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use kol_common::Millis;
use kol_common::job::ScoringSpec;

use super::seed::Seeded;

/// Most platforms that are present in one partition, beside those that are always admitted: input is hostile, and
/// each platform is a ranking of its own.
pub const MAX_PLATFORMS: usize = 1_000;

/// Number of a platform within its partition's state. Reused after the platform was forgotten.
pub type PlatformIndex = u32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Platforms {
    /// By number; empty where a number is free.
    names: Vec<Box<str>>,
    /// The platforms, by their number.
    all: Vec<Platform>,
    table: HashTable<PlatformIndex>,
    hasher: Seeded,
    /// The lowest one is reused first, also after a restart.
    free: BTreeSet<PlatformIndex>,
    /// The platform of the event before: nearly always that of the next one, too.
    last: PlatformIndex,
    /// The default platform, and those that the spec names.
    always: Vec<Box<str>>,
    retire_after: Millis,
    /// All that are present, and perhaps some that no longer are; those that are always admitted are not counted.
    present: Vec<PlatformIndex>,
    /// Until then none of these retires: looking at each of them for every event that is not admitted would cost too
    /// much. The first may do so later.
    none_retires_before: Millis,
}

#[derive(Clone, Copy, Debug, Default)]
struct Platform {
    kols: u32,
    newest: Millis,
    is_always_admitted: bool,
    /// It is in the list of those that are present.
    is_listed: bool,
}

impl Platforms {
    pub(super) fn new(spec: &ScoringSpec) -> Self {
        Self {
            always: spec.always_admitted().map(Box::from).collect(),
            retire_after: spec.retire_after,
            ..Self::default()
        }
    }

    /// The number of the platform of an event that counts if the platform is admitted; `None` if it is not.
    pub(super) fn admit(
        &mut self,
        name: &str,
        time: Millis,
        clock: Millis,
    ) -> Option<PlatformIndex> {
        let known = self.find(name);
        let is_in = known.is_some_and(|number| {
            let platform = &self.all[number as usize];
            platform.is_always_admitted || self.is_present(platform, clock)
        });
        if !is_in && !self.is_always_admitted(name) && !self.has_room(clock) {
            return None;
        }
        let number = known.unwrap_or_else(|| self.add(name));
        self.last = number;
        let platform = &mut self.all[number as usize];
        platform.newest = platform.newest.max(time);
        if !platform.is_always_admitted && !platform.is_listed {
            self.list(number, clock);
        }
        Some(number)
    }

    /// The number of a platform that has, or may get, KOLs.
    pub(super) fn find(&self, name: &str) -> Option<PlatformIndex> {
        if self
            .names
            .get(self.last as usize)
            .is_some_and(|last| **last == *name)
        {
            return Some(self.last);
        }
        let is = |number: &PlatformIndex| *self.names[*number as usize] == *name;
        self.table.find(self.hasher.hash_one(name), is).copied()
    }

    /// The name of a number.
    pub(super) fn name(&self, number: PlatformIndex) -> &str {
        self.names.get(number as usize).map_or("", |name| &**name)
    }

    /// By number; empty where a number is free.
    pub(super) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// The names of those that may be present, and of those that are always admitted and have KOLs.
    pub(super) fn present(&self) -> Vec<Box<str>> {
        let all = self.names.iter().zip(&self.all);
        let present = all.filter(|(_, p)| p.is_listed || p.is_always_admitted && p.kols > 0);
        present.map(|(name, _)| name.clone()).collect()
    }

    /// There is one KOL more of a platform.
    pub(super) fn gained(&mut self, number: PlatformIndex) {
        self.all[number as usize].kols += 1;
    }

    /// There is one KOL less of a platform; with its last one it is forgotten.
    pub(super) fn lost(&mut self, number: PlatformIndex) {
        let platform = &mut self.all[number as usize];
        platform.kols -= 1;
        if platform.kols == 0 {
            self.forget(number);
        }
    }

    /// All platforms were put in place: those without KOLs are forgotten. `kols` are the platform and the newest
    /// event of each KOL. False: there are KOLs of other platforms.
    pub(super) fn restored(
        &mut self,
        names: Vec<Box<str>>,
        kols: impl Iterator<Item = (PlatformIndex, Millis)>,
        clock: Millis,
    ) -> bool {
        self.all = names.iter().map(|name| self.made(name)).collect();
        self.names = names;
        for (number, newest) in kols {
            let Some(platform) = self.all.get_mut(number as usize) else {
                return false;
            };
            platform.kols += 1;
            platform.newest = platform.newest.max(newest);
        }
        for number in 0..self.names.len() as PlatformIndex {
            self.enter(number);
            if self.all[number as usize].kols == 0 {
                self.forget(number);
            } else if !self.all[number as usize].is_always_admitted {
                self.list(number, clock);
            }
        }
        true
    }

    /// Memory held, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        let a_name = size_of::<Box<str>>() + size_of::<Platform>() + 32;
        self.names.capacity() * a_name + self.table.capacity() * 5
    }

    fn made(&self, name: &str) -> Platform {
        Platform {
            is_always_admitted: self.is_always_admitted(name),
            ..Platform::default()
        }
    }

    fn add(&mut self, name: &str) -> PlatformIndex {
        let platform = self.made(name);
        let number = if let Some(number) = self.free.pop_first() {
            self.names[number as usize] = name.into();
            self.all[number as usize] = platform;
            number
        } else {
            self.names.push(name.into());
            self.all.push(platform);
            self.names.len() as PlatformIndex - 1
        };
        self.enter(number);
        number
    }

    /// Enters a number into the table of names.
    fn enter(&mut self, number: PlatformIndex) {
        let (names, hasher) = (&self.names, &self.hasher);
        let hash = |number: &PlatformIndex| hasher.hash_one(&*names[*number as usize]);
        self.table.insert_unique(hash(&number), number, hash);
    }

    fn forget(&mut self, number: PlatformIndex) {
        let hash = self.hasher.hash_one(self.name(number));
        if let Ok(entry) = self.table.find_entry(hash, |&n| n == number) {
            entry.remove();
        }
        self.names[number as usize] = "".into();
        if std::mem::take(&mut self.all[number as usize]).is_listed {
            self.present.retain(|listed| *listed != number);
        }
        self.free.insert(number);
    }

    fn is_always_admitted(&self, name: &str) -> bool {
        self.always.iter().any(|always| **always == *name)
    }

    fn is_present(&self, platform: &Platform, clock: Millis) -> bool {
        clock.since(platform.newest) < self.retire_after
    }

    /// When a platform is no longer present, unless a newer event of it comes.
    fn retires(&self, platform: &Platform) -> Millis {
        Millis(platform.newest.0.saturating_add(self.retire_after.0))
    }

    /// Whether one more may be present.
    fn has_room(&mut self, clock: Millis) -> bool {
        if self.present.len() >= MAX_PLATFORMS && clock >= self.none_retires_before {
            self.release_retired(clock);
        }
        self.present.len() < MAX_PLATFORMS
    }

    /// Takes those that are no longer present off the list.
    fn release_retired(&mut self, clock: Millis) {
        let mut first = Millis(u64::MAX);
        let mut listed = std::mem::take(&mut self.present);
        listed.retain(|number| {
            let platform = self.all[*number as usize];
            let stays = self.is_present(&platform, clock);
            if stays {
                first = first.min(self.retires(&platform));
            }
            self.all[*number as usize].is_listed = stays;
            stays
        });
        self.present = listed;
        self.none_retires_before = first;
    }

    /// Lists a platform if it is present.
    fn list(&mut self, number: PlatformIndex, clock: Millis) {
        let platform = self.all[number as usize];
        if self.is_present(&platform, clock) {
            self.none_retires_before = self.none_retires_before.min(self.retires(&platform));
            self.all[number as usize].is_listed = true;
            self.present.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use kol_common::job::{Counters, Profile};

    use super::*;

    const HOUR: u64 = 3_600_000;
    const T0: u64 = 485_000 * HOUR;

    fn platforms(named: &[&str]) -> Platforms {
        let mut spec = ScoringSpec::defaults(Profile::Default, Counters::Delta);
        assert_eq!(spec.retire_after, Millis(HOUR));
        spec.platforms = named.iter().map(|name| (*name).to_owned()).collect();
        Platforms::new(&spec)
    }

    /// An event at this time that moves the clock, or not.
    fn event(platforms: &mut Platforms, name: &str, time: u64, clock: u64) -> bool {
        let number = platforms.admit(name, Millis(T0 + time), Millis(T0 + clock));
        if let Some(number) = number {
            platforms.gained(number);
        }
        number.is_some()
    }

    fn fill(platforms: &mut Platforms) {
        for i in 0..MAX_PLATFORMS {
            assert!(event(platforms, &format!("invented {i}"), 0, 0), "{i}");
        }
    }

    #[test]
    fn the_number_of_platforms_that_are_present_is_bounded() {
        let mut all = platforms(&[]);
        fill(&mut all);
        assert!(!event(&mut all, "one more", 0, 0));
        assert!(event(&mut all, "invented 7", 0, 0), "it is present");
    }

    #[test]
    fn invented_platforms_give_way_when_their_creators_retire() {
        let mut all = platforms(&[]);
        fill(&mut all);
        assert!(!event(&mut all, "youtube", HOUR - 1, HOUR - 1));
        assert!(event(&mut all, "invented 7", HOUR - 1, HOUR - 1));
        assert!(event(&mut all, "youtube", HOUR, HOUR));
        // All but two make room.
        for i in 0..MAX_PLATFORMS - 2 {
            assert!(event(&mut all, &format!("new {i}"), HOUR, HOUR), "{i}");
        }
        assert!(!event(&mut all, "one more", HOUR, HOUR));
        assert!(
            !event(&mut all, "invented 8", HOUR, HOUR),
            "it has to wait, too"
        );
    }

    #[test]
    fn platforms_that_are_not_admitted_are_not_looked_for_room_each_until_one_can_retire() {
        let mut all = platforms(&[]);
        fill(&mut all);
        assert!(!event(&mut all, "youtube", 0, 0));
        assert_eq!(all.none_retires_before, Millis(T0 + HOUR));
        // Newer events only delay it.
        for i in 0..MAX_PLATFORMS {
            assert!(event(&mut all, &format!("invented {i}"), 10, 10), "{i}");
        }
        assert_eq!(all.none_retires_before, Millis(T0 + HOUR));
        assert!(!event(&mut all, "youtube", HOUR, HOUR));
        assert_eq!(all.none_retires_before, Millis(T0 + HOUR + 10));
    }

    #[test]
    fn a_platform_that_came_with_an_old_event_retires_before_the_others_and_gives_way() {
        let mut all = platforms(&[]);
        fill(&mut all);
        for i in 1..MAX_PLATFORMS {
            assert!(event(
                &mut all,
                &format!("invented {i}"),
                HOUR / 2,
                HOUR / 2
            ));
        }
        assert!(!event(&mut all, "youtube", HOUR - 1, HOUR - 1));
        assert!(event(&mut all, "youtube", HOUR / 4, HOUR));
        assert!(!event(&mut all, "one more", HOUR, HOUR));
        assert!(event(
            &mut all,
            "one more",
            HOUR + HOUR / 4,
            HOUR + HOUR / 4
        ));
    }

    #[test]
    fn the_default_platform_and_those_that_the_spec_names_are_always_admitted() {
        for first in [true, false] {
            let mut all = platforms(&["youtube"]);
            let always = ["tiktok", "youtube"];
            for name in always.into_iter().filter(|_| first) {
                assert!(event(&mut all, name, 0, 0));
            }
            fill(&mut all);
            for name in always {
                assert!(event(&mut all, name, 0, 0), "{name}");
            }
            assert!(!event(&mut all, "one more", 0, 0));
        }
    }

    #[test]
    fn events_that_are_too_old_to_be_present_take_no_room() {
        let mut all = platforms(&[]);
        for i in 0..2 * MAX_PLATFORMS {
            assert!(event(&mut all, &format!("old {i}"), 0, HOUR), "{i}");
        }
        assert!(event(&mut all, "youtube", HOUR, HOUR));
    }

    #[test]
    fn a_platform_is_forgotten_with_its_last_kol_and_its_number_is_free() {
        let mut all = platforms(&[]);
        fill(&mut all);
        event(&mut all, "invented 7", 0, 0);
        let number = all.find("invented 7").unwrap();
        all.lost(number);
        assert_eq!(all.find("invented 7"), Some(number));
        all.lost(number);
        assert_eq!(all.find("invented 7"), None);
        assert!(event(&mut all, "youtube", 0, 0));
        assert_eq!(all.find("youtube"), Some(number));
        assert_eq!(
            (all.name(number), all.names().len()),
            ("youtube", MAX_PLATFORMS)
        );
    }

    #[test]
    fn restored_platforms_admit_what_they_did_before() {
        let mut all = platforms(&[]);
        fill(&mut all);
        let mut restored = platforms(&[]);
        let mut names = all.names().to_vec();
        names.push("without creators".into());
        let kols = (0..MAX_PLATFORMS as u32).map(|number| (number, Millis(T0)));
        assert!(restored.restored(names, kols, Millis(T0 + HOUR - 1)));
        for all in [&mut all, &mut restored] {
            assert_eq!(all.find("without creators"), None);
            assert!(!event(all, "youtube", HOUR - 1, HOUR - 1));
            assert!(event(all, "invented 7", HOUR - 1, HOUR - 1));
            assert!(event(all, "youtube", HOUR, HOUR));
        }
    }
}
