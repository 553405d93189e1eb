//! The names of a partition's KOLs: each is interned once, and known by a dense index from then on.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use kol_common::Millis;
use kol_common::job::ScoringSpec;

use super::platforms::{PlatformIndex, Platforms};

/// Index of a KOL within its partition's state. Reused after the KOL was forgotten.
pub type KolIndex = u32;

/// The KOLs of one partition.
#[derive(Debug, Default)]
pub struct Kols {
    table: HashTable<KolIndex>,
    hasher: RandomState,
    names: Vec<Option<Name>>,
    free: Vec<KolIndex>,
    platforms: Platforms,
    text_bytes: usize,
}

#[derive(Debug)]
struct Name {
    platform: PlatformIndex,
    kol: Box<str>,
}

/// A KOL that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interned {
    /// Known before.
    Known(KolIndex),
    /// Seen for the first time, or for the first time since it was forgotten.
    New(KolIndex),
    /// It names one platform too many.
    TooManyPlatforms,
}

impl Kols {
    /// None yet.
    pub fn new(spec: &ScoringSpec) -> Self {
        Self {
            platforms: Platforms::new(spec),
            ..Self::default()
        }
    }

    /// The index of the KOL of an event that counts, made if need be. `clock` is the partition's.
    pub fn intern(&mut self, platform: &str, kol: &str, time: Millis, clock: Millis) -> Interned {
        let Some(platform) = self.platforms.admit(platform, time, clock) else {
            return Interned::TooManyPlatforms;
        };
        let hash = self.hasher.hash_one((platform, kol));
        if let Some(&index) = self.table.find(hash, |&i| self.is(i, platform, kol)) {
            return Interned::Known(index);
        }
        let name = Name {
            platform,
            kol: kol.into(),
        };
        self.text_bytes += kol.len();
        self.platforms.gained(platform);
        let index = if let Some(index) = self.free.pop() {
            self.names[index as usize] = Some(name);
            index
        } else {
            self.names.push(Some(name));
            self.names.len() as KolIndex - 1
        };
        let (names, hasher) = (&self.names, &self.hasher);
        self.table
            .insert_unique(hash, index, |&i| hash_of(hasher, names, i));
        Interned::New(index)
    }

    /// The index of a KOL that is known.
    pub fn find(&self, platform: &str, kol: &str) -> Option<KolIndex> {
        let platform = self.platforms.find(platform)?;
        let hash = self.hasher.hash_one((platform, kol));
        self.table
            .find(hash, |&i| self.is(i, platform, kol))
            .copied()
    }

    /// Platform number and name of a KOL; `None` for an index that is free.
    pub fn name(&self, index: KolIndex) -> Option<(PlatformIndex, &str)> {
        let name = self.names.get(index as usize)?.as_ref()?;
        Some((name.platform, &name.kol))
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
        let Some(name) = self.names[index as usize].take() else {
            return;
        };
        self.text_bytes -= name.kol.len();
        let hash = self.hasher.hash_one((name.platform, &*name.kol));
        if let Ok(entry) = self.table.find_entry(hash, |&i| i == index) {
            entry.remove();
        }
        self.free.push(index);
        self.platforms.lost(name.platform);
    }

    /// Puts a name, or nothing, at an index; `restored` makes the table whole afterwards.
    pub fn restore(&mut self, index: KolIndex, name: Option<(PlatformIndex, &str)>) {
        let at = index as usize;
        if at >= self.names.len() {
            self.names.resize_with(at + 1, || None);
        }
        let name = name.map(|(platform, kol)| Name {
            platform,
            kol: kol.into(),
        });
        self.names[at] = name;
    }

    /// All names were put in place. `newest` is the newest event of a KOL, `clock` the partition's.
    pub fn restored(
        &mut self,
        platforms: Vec<Box<str>>,
        newest: impl Fn(KolIndex) -> Millis,
        clock: Millis,
    ) {
        self.table = HashTable::with_capacity(self.names.len());
        self.text_bytes = 0;
        for index in 0..self.names.len() as KolIndex {
            let Some(name) = &self.names[index as usize] else {
                self.free.push(index);
                continue;
            };
            self.text_bytes += name.kol.len();
            let (names, hasher) = (&self.names, &self.hasher);
            let hash = |&i: &KolIndex| hash_of(hasher, names, i);
            self.table.insert_unique(hash(&index), index, hash);
        }
        let all = self.names.iter().zip(0..);
        let kols = all.filter_map(|(name, kol)| Some((name.as_ref()?.platform, newest(kol))));
        self.platforms.restored(platforms, kols, clock);
    }

    /// How many KOLs are known.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// One past the largest index in use.
    pub fn bound(&self) -> usize {
        self.names.len()
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        // An allocation has a word of the allocator, and is rounded up to two.
        self.text_bytes
            + self.platforms.bytes()
            + self.len() * 16
            + self.free.capacity() * size_of::<KolIndex>()
            + self.names.capacity() * size_of::<Option<Name>>()
            + self.table.capacity() * 5
    }

    fn is(&self, index: KolIndex, platform: PlatformIndex, kol: &str) -> bool {
        self.names[index as usize]
            .as_ref()
            .is_some_and(|n| n.platform == platform && &*n.kol == kol)
    }
}

fn hash_of(hasher: &RandomState, names: &[Option<Name>], index: KolIndex) -> u64 {
    names[index as usize]
        .as_ref()
        .map_or(0, |n| hasher.hash_one((n.platform, &*n.kol)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(kols: &mut Kols, platform: &str, kol: &str) -> Interned {
        kols.intern(platform, kol, Millis(0), Millis(0))
    }

    #[test]
    fn a_kol_keeps_its_index_until_it_is_forgotten() {
        let mut kols = Kols::default();
        assert_eq!(intern(&mut kols, "tiktok", "a"), Interned::New(0));
        assert_eq!(intern(&mut kols, "youtube", "a"), Interned::New(1));
        assert_eq!(intern(&mut kols, "tiktok", "a"), Interned::Known(0));
        assert_eq!(kols.name(1), Some((1, "a")));
        kols.forget(0);
        assert_eq!(kols.find("tiktok", "a"), None);
        assert_eq!(intern(&mut kols, "tiktok", "b"), Interned::New(0));
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
        restored.restored(names, |_| Millis(0), Millis(0));
        assert_eq!(restored.platforms().concat(), "youtube");
        intern(&mut restored, "tiktok", "a");
        assert_eq!(restored.platforms().concat(), "tiktokyoutube");
    }
}
