//! The shipped Lua scripts against the Rust scoring: they run in a Lua of the version that Redis
//! embeds, over a table that stands in for the database, or in Redis itself.
//!
//! | file | shows |
//! |---|---|
//! | `database` | the table, and calls of the scripts over it |
//! | `structs` | the library for packed numbers and texts |
//! | `formula` | Lua and Rust score alike |
//! | `server` | a Redis, and the calls of a partition |
//! | `slots` | what a merge does with slots |
//! | `flip` | from one generation to the next |
//! | `fence` | who may write |
//! | `flushes` | what counts as done |
//! | `refusals` | keys of a wrong type |
//! | `history` | what a snapshot of a ranking has |
//! | `comparison` | what a comparison finds |
//! | `alerts` | when an alert is noted |
//! | `ranks` | the same of rules about ranks |
//! | `forgotten` | hashes that nothing names |
//! | `rights` | which rights the Redis user needs |

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

mod alerts;
mod comparison;
mod database;
mod fence;
mod flip;
mod flushes;
mod forgotten;
mod formula;
mod history;
mod ranks;
mod refusals;
mod rights;
mod server;
mod slots;
// Redis as the simulation has it reads packed numbers and texts by the same library.
#[path = "../../../tests/sim/src/redis/structs.rs"]
mod structs;
