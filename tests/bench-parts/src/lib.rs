//! What each part of the per-event path costs, without Kafka and Redis: decoding, applying to the state, flushes. As plain
//! time, or as instructions that valgrind's callgrind counts, which do not depend on what else the machine does.
//!
//! | file | does |
//! |---|---|
//! | `crawl` | makes events like those of real crawls, as many and of as many creators as wanted |
//! | `records` | keeps them as a log hands them over |
//! | `parts` | runs the executor's own code on them, one part after the other |
//! | `count` | has callgrind count |
//! | `guard` | compares with the figures that are committed |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot continue should say where and end"
)]

pub mod count;
pub mod crawl;
pub mod guard;
pub mod parts;
mod records;
