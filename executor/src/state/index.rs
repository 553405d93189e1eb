//! From the hash of a key to the index of its entry in a table. The keys are where the entries are.
//!
//! It is made of parts, each of which grows on its own: a large one would hold reading up for hundreds of milliseconds
//! while it looks all its entries up to find their new places.

use hashbrown::HashTable;

/// Parts of an index. A part is chosen by bits that its table looks at neither for a place nor for a tag.
const PARTS: usize = 64;
const PART_SHIFT: u32 = 40;

/// See the module.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[HashTable<u32>]>,
    len: usize,
    bytes: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| HashTable::new()).collect(),
            len: 0,
            bytes: PARTS * size_of::<HashTable<u32>>(),
        }
    }
}

impl Index {
    /// The entry with this hash for which `is` says that it is the one.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts[part(hash)].find(hash, |&i| is(i)).copied()
    }

    /// The entry that is probably the one with this hash, without a look at it; `None` only if there is none.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Enters an entry that is not there. `hash_of` is the hash of any entry that is.
    pub(super) fn insert(&mut self, hash: u64, entry: u32, hash_of: impl Fn(u32) -> u64) {
        let table = &mut self.parts[part(hash)];
        let before = table.allocation_size();
        table.insert_unique(hash, entry, |&i| hash_of(i));
        self.bytes = self.bytes + table.allocation_size() - before;
        self.len += 1;
    }

    /// Takes an entry out, by its index: for a moment two may have one key.
    pub(super) fn remove(&mut self, hash: u64, entry: u32) {
        if let Ok(found) = self.parts[part(hash)].find_entry(hash, |&i| i == entry) {
            found.remove();
            self.len -= 1;
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn part(hash: u64) -> usize {
    (hash >> PART_SHIFT) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher as _;

    use foldhash::fast::RandomState;

    use super::*;

    #[test]
    fn entries_are_found_until_they_are_taken_out_and_its_parts_are_of_like_size() {
        let (hasher, mut index) = (RandomState::default(), Index::default());
        let hash = |entry: u32| hasher.hash_one(u64::from(entry) << 20);
        for entry in 0..64_000 {
            index.insert(hash(entry), entry, hash);
        }
        let find = |index: &Index, entry: u32| index.find(hash(entry), |i| i == entry);
        assert!((0..64_000).all(|entry| find(&index, entry) == Some(entry)));
        assert_eq!(find(&index, 64_000), None);
        let sizes: Vec<_> = index.parts.iter().map(HashTable::len).collect();
        assert!(sizes.iter().all(|s| (800..1_200).contains(s)), "{sizes:?}");
        let bytes = index.parts.iter().map(HashTable::allocation_size);
        assert_eq!(index.bytes(), 64 * 32 + bytes.sum::<usize>());
        index.remove(hash(7), 8);
        index.remove(hash(7), 7);
        assert_eq!((find(&index, 7), index.len()), (None, 63_999));
    }
}
