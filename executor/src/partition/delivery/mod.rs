//! What is sent to Redis, and what has arrived there.
//!
//! | file | does |
//! |---|---|
//! | `outbox` | the part that the actor holds: starts what is due, acts on the sink's answers |
//! | `outcome` | what the actor says to it, and what it answers |
//! | `shown` | the last record that Redis was shown the effect of |
//! | `flush` | when a flush may begin, and what Redis has confirmed: a machine |
//! | `early` | whom readers see first |
//! | `latency` | how long it takes from an event until Redis has what came of it |
//! | `staleness` | how old the oldest change is that Redis does not have |
//! | `fill` | fills flushes with what changed and what must be rescored |
//! | `ledger` | what Redis was sent of each KOL |
//! | `line` | since when KOLs wait, and when everything that waited has arrived |
//! | `comparison` | which slice of what was sent is compared with what Redis has, and when |
//! | `readback` | whether what Redis has of a creator reads as it was sent |
//! | `refusals` | keys of a wrong type, and who is left out because of them |
//! | `rankings` | which rankings there are, and whether they may be shown |
//! | `orphans` | KOLs that Redis has and the state does not |
//! | `hashes` | hashes in Redis that only an older generation knew and that nothing names |
//! | `history` | when the rankings are kept as they are shown |
//! | `strangers` | members of rankings that nobody sent |
//! | `problems` | what is wrong with Redis, by the kind of operation |
//! | `requests` | the request to the sink that is under way |
//! | `turn` | the partition's turn to flush |
//! | `room` | memory for the flush under way |
//! | `encode` | from slots to merge calls |
//! | `telling` | the alerts of the partition on their way |
//! | `watch` | the calls that look at the rules of alerts |

mod comparison;
mod early;
pub mod encode;
mod fill;
mod flush;
mod hashes;
mod history;
pub mod latency;
mod ledger;
mod line;
mod orphans;
mod outbox;
mod outcome;
mod problems;
mod rankings;
pub mod readback;
mod refusals;
mod repairs;
mod requests;
mod room;
mod shown;
mod staleness;
mod strangers;
mod telling;
mod turn;
mod upkeep;
pub mod watch;

pub(super) use fill::{Calls, Fill};
pub(super) use outbox::Outbox;
pub(super) use outcome::{Arrived, News, Outcome, Reached, Scope};
pub(super) use problems::fenced;
pub(super) use requests::Answer;
