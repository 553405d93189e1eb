//! The KOLs of a partition: each has a dense index from when it is first seen, and its name and its slot lie together,
//! so that an event of it looks at one place.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::ops::Range;

use compact_str::CompactString;
use kol_common::Millis;
use kol_common::job::ScoringSpec;
use kol_common::scoring::Scoring;

use super::consumers::{KolIndex, Waiting};
use super::index::{Index, Table};
use super::panes::{PaneRules, Panes};
use super::platforms::{PlatformIndex, Platforms};
use super::prefetch::prefetch;
use super::rates::Carried;
use super::reading::MISSING;
use super::rises::Suspects;
use super::seed::Seeded;
use super::slab::Slab;

/// The KOLs of one partition.
#[derive(Debug, Default)]
pub struct Kols {
    index: Index,
    hasher: Seeded,
    list: Slab<Kol>,
    free: Vec<KolIndex>,
    platforms: Platforms,
    /// Bytes of the heap that names and panes take, about.
    heap: usize,
}

#[derive(Debug)]
struct Kol {
    /// Short ones lie here.
    name: CompactString,
    slot: Slot,
    /// [`FREE`] where the index is.
    platform: PlatformIndex,
}

const FREE: PlatformIndex = PlatformIndex::MAX;

/// The share that this partition has of a KOL.
#[derive(Debug)]
pub(super) struct Slot {
    /// Oldest event time, ms.
    pub(super) first: u64,
    /// Newest event time, ms.
    pub(super) newest: u64,
    /// Its velocity in the market sums, in 1/10000; [`MISSING`] when it is not part of them.
    pub(super) market_e4: u64,
    pub(super) panes: Panes,
    /// What is carried on of its newest readings, if anything is.
    pub(super) carried: Option<Box<Carried>>,
    /// Consumers that have not taken its newest change.
    pub(super) waiting: Waiting,
}

impl Slot {
    /// Without any event.
    fn empty() -> Self {
        Self {
            first: u64::MAX,
            newest: 0,
            market_e4: MISSING,
            panes: Panes::default(),
            carried: None,
            waiting: Waiting::NOWHERE,
        }
    }

    /// Whether it never had an event.
    pub(super) fn is_silent(&self) -> bool {
        self.newest == 0 && self.first == u64::MAX
    }

    /// Bytes of the heap that its panes take, about.
    pub(super) fn heap(&self) -> usize {
        self.heap_if::<true>()
    }

    /// The same, where it is known whether anything is carried on.
    #[inline]
    pub(super) fn heap_if<const CARRIES_ON: bool>(&self) -> usize {
        let carried = self.carried.as_ref().filter(|_| CARRIES_ON);
        self.panes.heap() + carried.map_or(0, |carried| carried.heap())
    }

    /// Its panes with all that it gained: some of that may lie beside them.
    pub(super) fn all_panes(&self, rules: &PaneRules) -> Cow<'_, Panes> {
        let suspects = self.carried.as_ref().map(|carried| &carried.suspects);
        let mut all = Cow::Borrowed(&self.panes);
        for gained in suspects.into_iter().flat_map(Suspects::gained) {
            all.to_mut().spread(rules, gained);
        }
        all
    }

    /// What is carried on in a range of panes, in millionths.
    pub(super) fn carried_in(&self, scoring: &Scoring, panes: Range<u64>) -> u64 {
        let carried = self.carried.as_ref();
        carried.map_or(0, |carried| carried.sum(scoring, panes))
    }
}

impl Kol {
    fn free() -> Self {
        Self {
            name: CompactString::const_new(""),
            slot: Slot::empty(),
            platform: FREE,
        }
    }

    fn heap(&self) -> usize {
        // An allocation has a word of the allocator, and is rounded up to two.
        let name = if self.name.is_heap_allocated() {
            (self.name.capacity() + 8).next_multiple_of(16)
        } else {
            0
        };
        name + self.slot.heap()
    }
}

impl Table for (&Slab<Kol>, &Seeded) {
    fn hash_of(&self, index: KolIndex) -> u64 {
        let kol = &self.0[index];
        self.1.hash_one((kol.platform, &*kol.name))
    }

    fn prefetch(&self, index: KolIndex) {
        prefetch(&self.0[index]);
    }
}

impl Kols {
    /// Without a KOL, with the platforms that the spec names.
    pub fn new(spec: &ScoringSpec) -> Self {
        Self {
            platforms: Platforms::new(spec),
            ..Self::default()
        }
    }

    /// The platform of an event that counts; `None`: it is one too many. `clock` is the partition's.
    pub fn admit(&mut self, platform: &str, time: Millis, clock: Millis) -> Option<PlatformIndex> {
        self.platforms.admit(platform, time, clock)
    }

    /// By what [`Kols::lookup`] finds a KOL.
    pub fn hash(&self, platform: PlatformIndex, name: &str) -> u64 {
        self.hasher.hash_one((platform, name))
    }

    /// The index of a KOL that is known.
    #[inline]
    pub fn lookup(&self, hash: u64, platform: PlatformIndex, name: &str) -> Option<KolIndex> {
        self.index.find(hash, |kol| self.is(kol, platform, name))
    }

    /// See [`Index::prefetch`].
    #[inline]
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.index.prefetch(hash);
    }

    /// See [`Index::guess`].
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<KolIndex> {
        self.index.guess(hash)
    }

    /// Whether an index is that of a KOL.
    #[inline]
    pub(super) fn is(&self, kol: KolIndex, platform: PlatformIndex, name: &str) -> bool {
        let kol = &self.list[kol];
        kol.platform == platform && *kol.name == *name
    }

    /// Adds a KOL that `lookup` did not find.
    pub fn insert(&mut self, hash: u64, platform: PlatformIndex, name: &str) -> KolIndex {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.list.push(Kol::free()),
        };
        self.platforms.gained(platform);
        self.set(index, platform, name);
        self.enter(hash, index);
        index
    }

    /// The index of a KOL that is known.
    pub fn find(&self, platform: &str, name: &str) -> Option<KolIndex> {
        let platform = self.platforms.find(platform)?;
        self.lookup(self.hash(platform, name), platform, name)
    }

    /// Platform number and name of a KOL; `None` for an index that is free.
    pub fn name(&self, index: KolIndex) -> Option<(PlatformIndex, &str)> {
        let kol = self.list.get(index)?;
        (kol.platform != FREE).then(|| (kol.platform, &*kol.name))
    }

    /// The slot of an index; an empty one where the index is free.
    pub(super) fn slot(&self, index: KolIndex) -> Option<&Slot> {
        Some(&self.list.get(index)?.slot)
    }

    /// Platform and slot of a KOL; `None` for an index that is free.
    pub(super) fn slot_of(&mut self, index: KolIndex) -> Option<(PlatformIndex, &mut Slot)> {
        let kol = &mut self.list[index];
        (kol.platform != FREE).then_some((kol.platform, &mut kol.slot))
    }

    /// The slot of an index below the bound. Whoever changes its panes says what they take: [`Kols::resized`].
    #[inline]
    pub(super) fn slot_mut(&mut self, index: KolIndex) -> &mut Slot {
        &mut self.list[index].slot
    }

    /// Puts other panes into a slot.
    pub(super) fn set_panes(
        &mut self,
        index: KolIndex,
        panes: Panes,
        carried: Option<Box<Carried>>,
    ) {
        let slot = &mut self.list[index].slot;
        let before = slot.heap();
        (slot.panes, slot.carried) = (panes, carried);
        let after = slot.heap();
        self.resized(before, after);
    }

    /// The panes of a slot took so many bytes of the heap, and take so many now.
    #[inline]
    pub(super) fn resized(&mut self, before: usize, after: usize) {
        self.heap = self.heap + after - before;
    }

    /// Has a KOL brought into the cache, up to what it takes of the heap.
    #[inline]
    pub(super) fn prefetch(&self, index: KolIndex) {
        prefetch(&self.list[index]);
    }

    /// Has the panes of a KOL that is in the cache brought there, too.
    #[inline]
    pub(super) fn prefetch_panes(&self, index: KolIndex) {
        self.list[index].slot.panes.prefetch();
    }

    /// The name of a platform number.
    pub fn platform_name(&self, platform: PlatformIndex) -> &str {
        self.platforms.name(platform)
    }

    /// All platforms, by number; empty where a number is free.
    pub fn platforms(&self) -> &[Box<str>] {
        self.platforms.names()
    }

    /// Those that may be present, and those that are always admitted and have KOLs.
    pub fn present_platforms(&self) -> Vec<Box<str>> {
        self.platforms.present()
    }

    /// Forgets a KOL, and with its last KOL a platform; their index and number may be given to others.
    pub fn forget(&mut self, index: KolIndex) {
        if let Some(platform) = self.clear(index) {
            self.platforms.lost(platform);
        }
    }

    /// Puts a name, or nothing, at an index, with a slot that is empty. The platforms' names come last, with
    /// [`Kols::restored`].
    pub fn restore(&mut self, index: KolIndex, name: Option<(PlatformIndex, &str)>) {
        let first = self.list.len() as KolIndex;
        self.list.extend_to(index as usize + 1, Kol::free);
        // Free until a record says otherwise.
        self.free.extend(first..=index);
        self.clear(index);
        let Some((platform, name)) = name else {
            return;
        };
        self.set(index, platform, name);
        self.enter(self.hash(platform, name), index);
    }

    /// The records of a file were put in place: indexes that were free in between and no longer are, are not.
    pub fn settle(&mut self) {
        self.free.sort_unstable();
        self.free.dedup();
        self.free.retain(|index| self.list[*index].platform == FREE);
    }

    /// All names were put in place, and these are the platforms. `clock` is the partition's. False: there are KOLs of
    /// other platforms.
    pub fn restored(&mut self, platforms: Vec<Box<str>>, clock: Millis) -> bool {
        let all = self.list.iter().filter(|kol| kol.platform != FREE);
        let kols = all.map(|kol| (kol.platform, Millis(kol.slot.newest)));
        self.platforms.restored(platforms, kols, clock)
    }

    /// How many KOLs are known.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// One past the largest index in use.
    pub fn bound(&self) -> usize {
        self.list.len()
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.heap
            + self.list.bytes()
            + self.index.bytes()
            + self.platforms.bytes()
            + self.free.capacity() * size_of::<KolIndex>()
    }

    /// Puts a name at an index that is free.
    fn set(&mut self, index: KolIndex, platform: PlatformIndex, name: &str) {
        let kol = &mut self.list[index];
        kol.platform = platform;
        kol.name = name.into();
        self.heap += kol.heap();
    }

    fn enter(&mut self, hash: u64, index: KolIndex) {
        let table = (&self.list, &self.hasher);
        self.index.insert(hash, index, &table);
    }

    /// Makes an index free; answers the platform of the KOL that it had.
    fn clear(&mut self, index: KolIndex) -> Option<PlatformIndex> {
        let (platform, name) = self.name(index)?;
        let hash = self.hash(platform, name);
        self.index.remove(hash, index);
        let kol = std::mem::replace(&mut self.list[index], Kol::free());
        self.heap -= kol.heap();
        self.free.push(index);
        Some(platform)
    }
}

/// Names a KOL as an event does.
#[cfg(test)]
pub(super) fn intern(kols: &mut Kols, platform: &str, name: &str) -> KolIndex {
    let Some(platform) = kols.admit(platform, Millis(0), Millis(0)) else {
        panic!("one platform too many");
    };
    let hash = kols.hash(platform, name);
    match kols.lookup(hash, platform, name) {
        Some(kol) => kol,
        None => kols.insert(hash, platform, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kol_keeps_its_index_until_it_is_forgotten() {
        let mut kols = Kols::default();
        assert_eq!(intern(&mut kols, "tiktok", "a"), 0);
        assert_eq!(intern(&mut kols, "youtube", "a"), 1);
        assert_eq!(intern(&mut kols, "tiktok", "a"), 0);
        assert_eq!(kols.name(1), Some((1, "a")));
        kols.forget(0);
        assert_eq!(kols.find("tiktok", "a"), None);
        assert_eq!(intern(&mut kols, "tiktok", "b"), 0);
        assert_eq!(kols.len(), 2);
    }

    #[test]
    fn a_platform_is_forgotten_with_its_last_kol_also_where_a_checkpoint_has_it() {
        let mut kols = Kols::default();
        intern(&mut kols, "tiktok", "a");
        intern(&mut kols, "tiktok", "b");
        kols.forget(0);
        assert_eq!(kols.platforms().concat(), "tiktok");
        kols.forget(1);
        assert_eq!(kols.platforms().concat(), "");
        let mut restored = Kols::default();
        restored.restore(0, Some((1, "a")));
        let names = vec!["invented".into(), "youtube".into()];
        assert!(restored.restored(names, Millis(0)));
        assert_eq!(restored.platforms().concat(), "youtube");
        intern(&mut restored, "tiktok", "a");
        assert_eq!(restored.platforms().concat(), "tiktokyoutube");
    }

    #[test]
    fn a_creator_fills_less_than_two_cache_lines_and_what_it_takes_beside_is_counted() {
        assert!(size_of::<Kol>() <= 120, "{}", size_of::<Kol>());
        let mut kols = Kols::default();
        let empty = kols.heap;
        intern(&mut kols, "tiktok", "twenty_four_bytes_long_a");
        assert_eq!(kols.heap, empty, "the name lies with the rest");
        let long = intern(&mut kols, "tiktok", "a_name_of_more_than_24_bytes");
        assert_eq!(kols.heap, empty + 48);
        kols.forget(long);
        assert_eq!(kols.heap, empty);
    }

    #[test]
    fn a_creator_of_a_platform_that_no_file_names_is_not_restored() {
        let mut restored = Kols::default();
        restored.restore(0, Some((1, "a")));
        let names = vec!["tiktok".into()];
        assert!(!restored.restored(names, Millis(0)));
    }
}
