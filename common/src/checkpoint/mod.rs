//! State files: what they hold ([`record`]), how they are written so that damage is noticed
//! ([`frame`]), where they are kept ([`location`], [`Stores`], [`store`], [`s3`]), what says which of them belong
//! together ([`snapshot`]), what says that a place is the right one ([`marker`]), and no copy of it ([`stamp`]).
//!
//! A partition's state is a base file and the files of what changed after it. Records name what they
//! describe by its index in the partition's dense tables, so the newest record of an index wins, and
//! reading the files in order gives the state back with the same indexes.

mod encoding;
pub mod frame;
pub mod location;
pub mod marker;
pub mod record;
pub mod s3;
pub mod snapshot;
pub mod stamp;
pub mod store;
mod stores;

pub use location::Location;
pub use record::{
    CarriedKolRecord, CarriedPane, CarriedRecord, FallenRecord, Head, KolRecord, Pane,
    ReadingRecord, Record, RiseRecord, SuspectRecord, VideoId,
};
pub use store::{ABSENT, DAMAGED, LOST, NO_ROOM, Store, UNAVAILABLE, Upload};
pub use stores::{Backend, Stores};

#[cfg(test)]
mod tests;
