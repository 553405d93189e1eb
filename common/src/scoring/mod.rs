//! Scoring: how a creator's events become a score (`docs/protocol/scoring.md`). Pure functions and
//! plain data; the executor keeps the state, the Lua function in Redis adds slots up by the same
//! rules, `kol-client explain` recomputes a score from its slots with this code.
//!
//! Words: a *pane* is a slide-long bucket of event time, numbered from the Unix epoch; pane `p`
//! covers `[p·slide, (p+1)·slide)`. A window end `T` is a pane number too: the window that ends at
//! `T` holds the panes `[T−K, T)`. Engagement `E` is counted in millionths (`_e6`), as integers.

mod decimals;
mod market;
mod merge;
mod params;
pub mod schema;
mod score;
mod slot;
mod spread;

pub use market::{Histogram, Market, MarketSum, velocity_e4};
pub use merge::{Sums, merge};
pub use params::Scoring;
pub use score::Terms;
pub use slot::{
    PackError, Packed, SLOTS_HEADER, Slot, SlotField, SlotLayout, pack_market, pack_slots,
    unpack_market, unpack_slots,
};
pub use spread::{CARRIED_ON, Share, carry_on, spread};
