//! The names of a partition's KOLs: each is interned once, and known by a dense index from then on.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Most platforms one partition may have creators of, beside the default platform: input is hostile, and each
/// platform is a ranking of its own.
pub const MAX_PLATFORMS: usize = 1_000;

/// Index of a KOL within its partition's state. Reused after the KOL was forgotten.
pub type KolIndex = u32;

/// The KOLs of one partition.
#[derive(Debug, Default)]
pub struct Kols {
    table: HashTable<KolIndex>,
    hasher: RandomState,
    names: Vec<Option<Name>>,
    /// The platform that is always admitted.
    default_platform: Box<str>,
    free: Vec<KolIndex>,
    /// Empty where no KOL is of the platform any more: the number is free.
    platforms: Vec<Box<str>>,
    /// How many KOLs there are of each.
    kols_of: Vec<u32>,
    text_bytes: usize,
}

#[derive(Debug)]
struct Name {
    platform: u16,
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
    pub fn new(default_platform: &str) -> Self {
        Self {
            default_platform: default_platform.into(),
            ..Self::default()
        }
    }

    /// The index of a KOL, made if need be.
    pub fn intern(&mut self, platform: &str, kol: &str) -> Interned {
        let Some(platform) = self.platform(platform) else {
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
        self.kols_of[usize::from(platform)] += 1;
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
        let platform = self.platforms.iter().position(|p| &**p == platform)? as u16;
        let hash = self.hasher.hash_one((platform, kol));
        self.table
            .find(hash, |&i| self.is(i, platform, kol))
            .copied()
    }

    /// Platform number and name of a KOL; `None` for an index that is free.
    pub fn name(&self, index: KolIndex) -> Option<(u16, &str)> {
        let name = self.names.get(index as usize)?.as_ref()?;
        Some((name.platform, &name.kol))
    }

    /// The name of a platform number.
    pub fn platform_name(&self, platform: u16) -> &str {
        self.platforms
            .get(usize::from(platform))
            .map_or("", |p| &**p)
    }

    /// All platforms, by number; empty where a number is free.
    pub fn platforms(&self) -> &[Box<str>] {
        &self.platforms
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
        let platform = usize::from(name.platform);
        self.kols_of[platform] -= 1;
        if self.kols_of[platform] == 0 {
            self.platforms[platform] = "".into();
        }
    }

    /// Puts a name, or nothing, at an index. The platforms' names come last, with [`Kols::restored`].
    pub fn restore(&mut self, index: KolIndex, name: Option<(u16, &str)>) {
        let at = index as usize;
        if at >= self.names.len() {
            // Free until a record says otherwise.
            self.free.extend(self.names.len() as KolIndex..=index);
            self.names.resize_with(at + 1, || None);
        }
        if let Some(before) = self.names[at].take() {
            let hash = self.hasher.hash_one((before.platform, &*before.kol));
            // By its index: for a moment two may have one name.
            if let Ok(entry) = self.table.find_entry(hash, |&i| i == index) {
                entry.remove();
            }
            self.text_bytes -= before.kol.len();
            self.kols_of[usize::from(before.platform)] -= 1;
            self.free.push(index);
        }
        let Some((platform, kol)) = name else {
            return;
        };
        if usize::from(platform) >= self.kols_of.len() {
            self.kols_of.resize(usize::from(platform) + 1, 0);
        }
        self.kols_of[usize::from(platform)] += 1;
        self.text_bytes += kol.len();
        self.names[at] = Some(Name {
            platform,
            kol: kol.into(),
        });
        let (names, hasher) = (&self.names, &self.hasher);
        let hash = |&i: &KolIndex| hash_of(hasher, names, i);
        self.table.insert_unique(hash(&index), index, hash);
    }

    /// The records of a file were put in place: indexes that were free in between and no longer are, are not.
    pub fn settle(&mut self) {
        self.free.sort_unstable();
        self.free.dedup();
        self.free
            .retain(|index| self.names[*index as usize].is_none());
    }

    /// All names were put in place, and these are the platforms. False: there are KOLs of others.
    pub fn restored(&mut self, platforms: Vec<Box<str>>) -> bool {
        let others = self.kols_of.iter().skip(platforms.len());
        if others.sum::<u32>() > 0 {
            return false;
        }
        self.kols_of.resize(platforms.len(), 0);
        self.platforms = platforms;
        for (name, kols) in self.platforms.iter_mut().zip(&self.kols_of) {
            if *kols == 0 {
                *name = "".into();
            }
        }
        true
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
            + self.len() * 16
            + self.free.capacity() * size_of::<KolIndex>()
            + self.names.capacity() * size_of::<Option<Name>>()
            + self.table.capacity() * 5
    }

    /// The number of a platform of which there is, or will be, a KOL.
    fn platform(&mut self, platform: &str) -> Option<u16> {
        // A job has a handful of platforms: looking along the list is faster than hashing.
        if let Some(number) = self.platforms.iter().position(|p| &**p == platform) {
            return Some(number as u16);
        }
        if platform != &*self.default_platform && self.others() >= MAX_PLATFORMS {
            return None;
        }
        if let Some(number) = self.kols_of.iter().position(|kols| *kols == 0) {
            self.platforms[number] = platform.into();
            return Some(number as u16);
        }
        self.platforms.push(platform.into());
        self.kols_of.push(0);
        Some(self.platforms.len() as u16 - 1)
    }

    /// How many platforms have KOLs, the default platform aside.
    fn others(&self) -> usize {
        let all = self.platforms.iter().zip(&self.kols_of);
        all.filter(|(name, kols)| **kols > 0 && **name != self.default_platform)
            .count()
    }

    fn is(&self, index: KolIndex, platform: u16, kol: &str) -> bool {
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

    #[test]
    fn a_kol_keeps_its_index_until_it_is_forgotten() {
        let mut kols = Kols::default();
        assert_eq!(kols.intern("tiktok", "a"), Interned::New(0));
        assert_eq!(kols.intern("youtube", "a"), Interned::New(1));
        assert_eq!(kols.intern("tiktok", "a"), Interned::Known(0));
        assert_eq!(kols.name(1), Some((1, "a")));
        kols.forget(0);
        assert_eq!(kols.find("tiktok", "a"), None);
        assert_eq!(kols.intern("tiktok", "b"), Interned::New(0));
        assert_eq!(kols.len(), 2);
    }

    #[test]
    fn the_number_of_platforms_is_bounded() {
        let mut kols = Kols::default();
        for i in 0..MAX_PLATFORMS {
            kols.intern(&format!("p{i}"), "a");
        }
        assert_eq!(kols.intern("one more", "a"), Interned::TooManyPlatforms);
        assert!(matches!(kols.intern("p7", "b"), Interned::New(_)));
    }

    #[test]
    fn the_default_platform_is_admitted_however_many_others_there_are() {
        for first in [true, false] {
            let mut kols = Kols::new("tiktok");
            if first {
                kols.intern("tiktok", "a");
            }
            for i in 0..MAX_PLATFORMS {
                let interned = kols.intern(&format!("p{i}"), "a");
                assert!(matches!(interned, Interned::New(_)), "p{i}");
            }
            assert_eq!(kols.intern("one more", "a"), Interned::TooManyPlatforms);
            assert!(matches!(kols.intern("tiktok", "b"), Interned::New(_)));
            assert_eq!(kols.intern("one more", "a"), Interned::TooManyPlatforms);
        }
    }

    #[test]
    fn a_platform_is_forgotten_with_its_last_kol_and_makes_room_for_another() {
        let mut kols = Kols::default();
        for i in 0..MAX_PLATFORMS {
            kols.intern(&format!("invented {i}"), "a");
        }
        kols.intern("invented 7", "b");
        kols.forget(7);
        assert_eq!(kols.intern("tiktok", "a"), Interned::TooManyPlatforms);
        kols.forget(MAX_PLATFORMS as KolIndex);
        assert_eq!(kols.find("invented 7", "b"), None);
        let Interned::New(index) = kols.intern("tiktok", "a") else {
            panic!("there is room for one");
        };
        let (number, _) = kols.name(index).unwrap();
        assert_eq!(kols.platform_name(number), "tiktok");
        assert_eq!(kols.platforms().len(), MAX_PLATFORMS);
        // What a checkpoint of before has without a creator is free as well.
        let mut restored = Kols::default();
        restored.restore(0, Some((1, "a")));
        assert!(restored.restored(vec!["invented".into(), "youtube".into()]));
        assert_eq!(restored.platforms().concat(), "youtube");
        restored.intern("tiktok", "a");
        assert_eq!(restored.platforms().concat(), "tiktokyoutube");
    }
}
