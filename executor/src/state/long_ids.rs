//! Ids of videos that do not fit the key of a reading: each is kept once, and counted by the readings that use it.

use std::hash::BuildHasher as _;

use compact_str::CompactString;
use hashbrown::HashTable;

use super::seed::Seeded;
use super::slab::Slab;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LongIds {
    index: HashTable<u32>,
    hasher: Seeded,
    texts: Slab<Text>,
    free: Vec<u32>,
    /// Bytes of the heap that the texts take, about.
    heap: usize,
}

#[derive(Debug)]
struct Text {
    text: CompactString,
    uses: u32,
}

impl LongIds {
    /// The number of an id that is held.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        let is = |number: &u32| *self.texts[*number].text == *id;
        self.index.find(self.hasher.hash_one(id), is).copied()
    }

    /// The id with this number.
    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number).map_or("", |held| &held.text)
    }

    /// Holds an id once more; answers its number.
    pub(super) fn hold(&mut self, id: &str) -> u32 {
        if let Some(number) = self.find(id) {
            self.texts[number].uses += 1;
            return number;
        }
        let text = Text {
            text: id.into(),
            uses: 1,
        };
        self.heap += heap(&text.text);
        let number = match self.free.pop() {
            Some(number) => {
                self.texts[number] = text;
                number
            }
            None => self.texts.push(text),
        };
        let (texts, hasher) = (&self.texts, &self.hasher);
        let hash = |number: &u32| hasher.hash_one(&*texts[*number].text);
        self.index.insert_unique(hash(&number), number, hash);
        number
    }

    /// Holds an id once less.
    pub(super) fn release(&mut self, number: u32) {
        let held = &mut self.texts[number];
        held.uses -= 1;
        if held.uses > 0 {
            return;
        }
        let hash = self.hasher.hash_one(&*held.text);
        if let Ok(found) = self.index.find_entry(hash, |n| *n == number) {
            found.remove();
        }
        self.heap -= heap(&held.text);
        held.text = CompactString::const_new("");
        self.free.push(number);
    }

    /// Memory held, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.heap
            + self.texts.bytes()
            + self.index.allocation_size()
            + self.free.capacity() * size_of::<u32>()
    }
}

fn heap(text: &CompactString) -> usize {
    // An allocation has a word of the allocator, and is rounded up to two.
    match text.is_heap_allocated() {
        true => (text.capacity() + 8).next_multiple_of(16),
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_held_until_nobody_uses_it_and_its_number_is_free_then() {
        let mut ids = LongIds::default();
        let long = "an id of a video that is longer than others";
        assert_eq!((ids.hold(long), ids.hold("b"), ids.hold(long)), (0, 1, 0));
        assert_eq!((ids.find(long), ids.text(0), ids.heap), (Some(0), long, 64));
        ids.release(0);
        assert_eq!(ids.find(long), Some(0));
        ids.release(0);
        assert_eq!((ids.find(long), ids.text(0), ids.heap), (None, "", 0));
        assert_eq!((ids.hold("c"), ids.find("b")), (0, Some(1)));
        assert_eq!(ids.texts.len(), 2);
    }
}
