//! Memory for the flush under way.

use super::encode::KOLS_A_CALL;
use crate::memory::{Memory, Share};

/// What a KOL takes in a flush, in bytes, about: its arguments, and the command that they are packed into.
const KOL_BYTES: u64 = 1_536;
/// No partition takes all the room, and a flush of fewer KOLs than the least waits for more.
const MOST_KOLS: u64 = 16_384;
const LEAST_KOLS: u64 = KOLS_A_CALL as u64;

/// See the module.
#[derive(Debug)]
pub struct Room {
    memory: Memory,
    /// Of the flush under way.
    held: Option<Share>,
}

/// Memory for a flush that is being filled; given back when it is dropped.
#[derive(Debug)]
pub struct Reserved(Share);

impl Room {
    pub fn new(memory: Memory) -> Self {
        Self { memory, held: None }
    }

    /// For as many of `due` KOLs as there is room for; `None` when there is too little.
    pub fn reserve(&self, due: usize) -> Option<Reserved> {
        let wanted = (due as u64).clamp(LEAST_KOLS, MOST_KOLS) * KOL_BYTES;
        let least = LEAST_KOLS * KOL_BYTES;
        self.memory.take(least, wanted).map(Reserved)
    }

    /// A flush of so many KOLs begins.
    pub fn hold(&mut self, mut reserved: Reserved, kols: usize) {
        reserved.0.set((kols as u64).max(1) * KOL_BYTES);
        self.held = Some(reserved.0);
    }

    /// The flush is over.
    pub fn release(&mut self) {
        self.held = None;
    }
}

impl Reserved {
    /// How many KOLs there is room for.
    pub fn kols(&self) -> usize {
        (self.0.bytes() / KOL_BYTES) as usize
    }
}
