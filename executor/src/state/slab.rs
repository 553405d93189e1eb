//! A table of entries by a dense index that grows without moving them: a large state is not copied to grow, and has no
//! room for twice of what it holds.

use std::ops::{Index, IndexMut};

/// Entries of a piece. Only the first piece grows by doubling, so that a small state is small.
const PIECE: usize = 512;

/// See the module.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pieces: Vec<Vec<T>>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// How many entries there are: one past the largest index.
    pub(super) fn len(&self) -> usize {
        self.pieces
            .last()
            .map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    /// Appends an entry; answers its index.
    pub(super) fn push(&mut self, entry: T) -> u32 {
        let index = self.len();
        if index.is_multiple_of(PIECE) {
            let room = if index == 0 { 0 } else { PIECE };
            self.pieces.push(Vec::with_capacity(room));
        }
        if let Some(last) = self.pieces.last_mut() {
            last.push(entry);
        }
        index as u32
    }

    /// Appends entries until there are `len` of them.
    pub(super) fn extend_to(&mut self, len: usize, entry: impl Fn() -> T) {
        while self.len() < len {
            self.push(entry());
        }
    }

    /// The entry at an index, if there is one.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        self.pieces.get(index / PIECE)?.get(index % PIECE)
    }

    /// All entries, by their index.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// Memory held, in bytes, without what the entries themselves point to.
    pub(super) fn bytes(&self) -> usize {
        let entries = match self.pieces.as_slice() {
            [] => 0,
            [first] => first.capacity(),
            all => all.len() * PIECE,
        };
        entries * size_of::<T>() + self.pieces.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.pieces[index as usize / PIECE][index as usize % PIECE]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.pieces[index as usize / PIECE][index as usize % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_at_their_index_and_take_no_more_than_one_piece_too_much() {
        let mut slab = Slab::default();
        for number in 0..2_000_u64 {
            assert_eq!(slab.len() as u64, number);
            assert_eq!(u64::from(slab.push(number * 7)), number);
            let most = (number as usize + 1).next_multiple_of(PIECE) * 8;
            assert!(slab.bytes() <= most + 8 * size_of::<Vec<u64>>());
        }
        slab[1_500] += 1;
        assert_eq!((slab[0], slab[1_500], slab[1_999]), (0, 10_501, 13_993));
        assert_eq!(slab.get(2_000), None);
        slab.extend_to(2_100, || 9);
        assert_eq!(slab.iter().sum::<u64>(), 1_999 * 1_000 * 7 + 1 + 900);
        let mut small = Slab::default();
        small.push(1_u64);
        assert!(small.bytes() < 200, "{} bytes", small.bytes());
    }
}
