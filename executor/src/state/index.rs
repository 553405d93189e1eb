//! From the hash of a key to the index of its entry in a table. The keys are where the entries are.
//!
//! Entries lie in buckets of a cache line each, with a few bits of their hashes beside them. In which bucket one is
//! follows from its hash, so that it can be brought into the cache some time before it is looked at. One whose bucket is
//! full lies in the next that has room; each bucket that it passed counts it, and the others end a search.
//!
//! The index is made of parts, each of which grows on its own: a large one would hold reading up for hundreds of
//! milliseconds while it looks all its entries up to find their new places.

use super::prefetch::prefetch;

/// Parts of an index. A part is chosen by bits that say neither in which of its buckets an entry lies nor its tag.
const PARTS: usize = 64;
const PART_SHIFT: u32 = 40;
/// Places of a bucket, and how many of them are taken on average when a part grows.
const PLACES: usize = 12;
const MOST: usize = 10;

/// A growing part has the entries of the bucket after so many others brought into the cache.
const AHEAD: usize = 3;

/// Where the entries are, with their keys.
pub(super) trait Table {
    /// The hash of the key of an entry that is in the index.
    fn hash_of(&self, entry: u32) -> u64;

    /// Has an entry brought into the cache.
    fn prefetch(&self, entry: u32);
}

/// See the module.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[Part]>,
    len: usize,
    buckets: usize,
}

/// A power of two of buckets, or none.
#[derive(Debug, Default)]
struct Part {
    buckets: Box<[Bucket]>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// Of the entry in each place; [`FREE`] where there is none.
    tags: [u8; PLACES],
    /// Entries that would lie here if there had been room.
    passed: u32,
    entries: [u32; PLACES],
}

const FREE: u8 = 0;

impl Default for Index {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            len: 0,
            buckets: 0,
        }
    }
}

impl Index {
    /// The entry with this hash for which `is` says that it is the one.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts[part(hash)].find(hash, is)
    }

    /// The entry that is probably the one with this hash, without a look at it; `None` only if there is none.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Has the place of a hash brought into the cache.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        let part = &self.parts[part(hash)];
        if let Some(bucket) = part.buckets.get(part.home(hash)) {
            prefetch(bucket);
        }
    }

    /// Enters an entry that is not there into the index of a table.
    pub(super) fn insert(&mut self, hash: u64, entry: u32, table: &impl Table) {
        let part = &mut self.parts[part(hash)];
        if part.len == MOST * part.buckets.len() {
            let before = part.buckets.len();
            part.grow(table);
            self.buckets += part.buckets.len() - before;
        }
        part.insert(hash, entry);
        self.len += 1;
    }

    /// Takes an entry out, by its index: for a moment two may have one key.
    pub(super) fn remove(&mut self, hash: u64, entry: u32) {
        if self.parts[part(hash)].remove(hash, entry) {
            self.len -= 1;
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        PARTS * size_of::<Part>() + self.buckets * size_of::<Bucket>()
    }
}

impl Part {
    /// The bucket that an entry with this hash lies in, if there is room.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }

    /// The buckets that it may lie in, from that one on, each once.
    #[inline]
    fn way(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (home, count) = (self.home(hash), self.buckets.len());
        (0..count).map(move |after| (home + after) & (count - 1))
    }

    #[inline]
    fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        for at in self.way(hash) {
            let bucket = &self.buckets[at];
            let mut places = bucket.with(tag(hash));
            while let Some(place) = first(places) {
                let entry = bucket.entries[place];
                if is(entry) {
                    return Some(entry);
                }
                places &= places - 1;
            }
            if bucket.passed == 0 {
                return None;
            }
        }
        None
    }

    /// There is room.
    fn insert(&mut self, hash: u64, entry: u32) {
        for at in self.way(hash) {
            let bucket = &mut self.buckets[at];
            if let Some(place) = first(bucket.with(FREE)) {
                bucket.tags[place] = tag(hash);
                bucket.entries[place] = entry;
                self.len += 1;
                return;
            }
            bucket.passed += 1;
        }
    }

    /// Whether it was there.
    fn remove(&mut self, hash: u64, entry: u32) -> bool {
        for (steps, at) in self.way(hash).enumerate() {
            let bucket = &mut self.buckets[at];
            let is = |place: &usize| bucket.tags[*place] != FREE && bucket.entries[*place] == entry;
            if let Some(place) = (0..PLACES).find(is) {
                bucket.tags[place] = FREE;
                for passed in self.way(hash).take(steps) {
                    self.buckets[passed].passed -= 1;
                }
                self.len -= 1;
                return true;
            }
            if bucket.passed == 0 {
                return false;
            }
        }
        false
    }

    fn grow(&mut self, table: &impl Table) {
        let count = (2 * self.buckets.len()).max(1);
        let mut grown = Self {
            buckets: vec![Bucket::EMPTY; count].into(),
            len: 0,
        };
        for (number, bucket) in self.buckets.iter().enumerate() {
            if let Some(later) = self.buckets.get(number + AHEAD) {
                later.taken().for_each(|entry| table.prefetch(entry));
            }
            for entry in bucket.taken() {
                grown.insert(table.hash_of(entry), entry);
            }
        }
        *self = grown;
    }
}

impl Bucket {
    const EMPTY: Self = Self {
        tags: [FREE; PLACES],
        passed: 0,
        entries: [0; PLACES],
    };

    /// The entries that it has.
    fn taken(&self) -> impl Iterator<Item = u32> {
        let places = self.tags.iter().zip(self.entries);
        places.filter_map(|(tag, entry)| (*tag != FREE).then_some(entry))
    }

    /// A bit for each place with this tag.
    #[inline]
    fn with(&self, tag: u8) -> u32 {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.tags;
        let low = equal(u64::from_le_bytes([a, b, c, d, e, f, g, h]), tag);
        // Behind the last tag stands none.
        let high = equal(u64::from_le_bytes([i, j, k, l, 0, 0, 0, 0]), tag) & 0xf;
        low | high << 8
    }
}

/// A bit for each byte of a word that is this one.
#[inline]
fn equal(word: u64, byte: u8) -> u32 {
    const LOWEST: u64 = u64::from_le_bytes([0x01; 8]);
    const OTHERS: u64 = u64::from_le_bytes([0x7f; 8]);
    let differences = word ^ (LOWEST * u64::from(byte));
    // The highest bit of each byte that has any: nothing is carried over.
    let differ = ((differences & OTHERS) + OTHERS) | differences;
    let equal = (!differ >> 7) & LOWEST;
    // Byte i is moved to bit i of the highest byte.
    (equal.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

/// The lowest place of a set of them.
#[inline]
fn first(places: u32) -> Option<usize> {
    (places != 0).then(|| places.trailing_zeros() as usize)
}

#[inline]
fn part(hash: u64) -> usize {
    (hash >> PART_SHIFT) as usize % PARTS
}

/// Bits of a hash that are kept, never [`FREE`].
#[inline]
fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8 | 0x80
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
