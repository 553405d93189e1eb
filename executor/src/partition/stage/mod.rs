//! What becomes of the records that were read.
//!
//! A stage takes the records of a batch one by one, in the order of the log, and never waits: the actor hands its
//! `take` to the reader ([`Reader::read`](super::reader::Reader::read)), which knows nothing else of it.
//! Between two batches it says whether it has room for more.
//!
//! | file | does |
//! |---|---|
//! | `intake` | scores: decodes events and applies them to the state |
//! | `lacks` | what the newest events lack |
//! | `rekeyer` | sends events on instead of counting them, for the first stage of a job that re-keys |
//! | `letters` | dead letters, for records that cannot be used |

mod intake;
mod lacks;
mod letters;
mod rekeyer;

pub(super) use intake::Intake;
pub(super) use rekeyer::{Rekeyer, Taken};
