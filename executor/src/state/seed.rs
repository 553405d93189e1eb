//! How keys are hashed. Names come from outside, so the seed is another one in each table: nobody can choose names that
//! collide. It comes from the world, because the memory that tables take depends on it a little: the simulation's runs
//! are alike to the byte.

use std::hash::BuildHasher;

use foldhash::fast::{FixedState, FoldHasher};
use kol_common::world;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Seeded(FixedState);

impl Default for Seeded {
    fn default() -> Self {
        let (high, low) = world::random_id().as_u64_pair();
        Self(FixedState::with_seed(high ^ low.rotate_left(32)))
    }
}

impl BuildHasher for Seeded {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}
