use std::collections::BTreeMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use proptest::prelude::*;

use super::*;

/// Entries with these hashes.
impl<F: Fn(u32) -> u64> Table for F {
    fn hash_of(&self, entry: u32) -> u64 {
        self(entry)
    }

    fn prefetch(&self, _entry: u32) {}
}

#[test]
fn entries_are_found_until_they_are_taken_out_and_its_parts_are_of_like_size() {
    let (hasher, mut index) = (RandomState::default(), Index::default());
    let hash = |entry: u32| hasher.hash_one(u64::from(entry) << 20);
    for entry in 0..64_000 {
        index.insert(hash(entry), entry, &hash);
    }
    let find = |index: &Index, entry: u32| index.find(hash(entry), |i| i == entry);
    assert!((0..64_000).all(|entry| find(&index, entry) == Some(entry)));
    assert_eq!(find(&index, 64_000), None);
    let sizes: Vec<_> = index.parts.iter().map(|part| part.len).collect();
    assert!(sizes.iter().all(|s| (800..1_200).contains(s)), "{sizes:?}");
    let buckets: usize = index.parts.iter().map(|part| part.buckets.len()).sum();
    assert_eq!(index.bytes(), 64 * 24 + buckets * 64);
    assert!(index.bytes() < 64_000 * 13, "{} bytes", index.bytes());
    index.remove(hash(7), 8);
    index.remove(hash(7), 7);
    assert_eq!((find(&index, 7), index.len()), (None, 63_999));
}

#[test]
fn a_bucket_fills_a_cache_line() {
    assert_eq!((size_of::<Bucket>(), align_of::<Bucket>()), (64, 64));
}

#[test]
fn a_search_ends_where_every_bucket_was_passed() {
    let mut index = Index::default();
    // All of one part: the lowest bit says which of two buckets.
    for entry in 0..20 {
        index.insert(entry, entry as u32, &|entry| u64::from(entry));
    }
    let part = &mut index.parts[0];
    assert_eq!(part.buckets.len(), 2);
    part.buckets.iter_mut().for_each(|bucket| bucket.passed = 1);
    assert_eq!(index.find(1, |_| false), None);
    index.remove(1, 99);
    assert_eq!(index.len(), 20);
}

proptest! {
    #[test]
    fn bytes_that_are_equal_are_found_and_no_others(tags in any::<[u8; PLACES]>(), same in any::<[bool; PLACES]>(), tag: u8) {
        let tags = std::array::from_fn(|i| if same[i] { tag } else { tags[i] });
        let bucket = Bucket { tags, ..Bucket::EMPTY };
        for (place, own) in tags.into_iter().enumerate() {
            prop_assert_eq!(bucket.with(tag) >> place & 1 == 1, own == tag);
        }
        prop_assert_eq!(bucket.with(tag) >> PLACES, 0);
    }

    #[test]
    fn an_index_whose_keys_collide_has_what_a_map_has(
        // Few hashes, so that buckets overflow: entries with one hash differ.
        steps in prop::collection::vec((any::<bool>(), 0..300_u32), 0..600),
        spread in 0..8_u64,
    ) {
        let hash = |entry: u32| (u64::from(entry) % (1 << spread)) | u64::from(entry % 3) << 57;
        let (mut index, mut model) = (Index::default(), BTreeMap::new());
        for (inserts, entry) in steps {
            match model.remove(&entry) {
                None if inserts => {
                    index.insert(hash(entry), entry, &hash);
                    model.insert(entry, ());
                }
                was => {
                    index.remove(hash(entry), entry);
                    prop_assert_eq!(index.find(hash(entry), |e| e == entry), None, "{:?}", was);
                }
            }
            prop_assert_eq!(index.len(), model.len());
        }
        for entry in 0..300 {
            let found = index.find(hash(entry), |e| e == entry);
            prop_assert_eq!(found, model.get(&entry).map(|()| entry));
            let any = model.keys().any(|other| hash(*other) == hash(entry));
            prop_assert!(!any || index.guess(hash(entry)).is_some());
        }
        let passed = |part: &Part| part.buckets.iter().map(|bucket| bucket.passed).sum::<u32>();
        for entry in model.keys() {
            index.remove(hash(*entry), *entry);
        }
        prop_assert_eq!(index.parts.iter().map(passed).sum::<u32>(), 0);
    }
}
