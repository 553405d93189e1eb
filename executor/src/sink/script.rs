//! The Lua scripts that run in Redis.

use std::sync::LazyLock;

use redis::Script;

use super::merge_call;

/// Claims a partition: see `lua/claim.lua`.
pub static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(CLAIM_SOURCE));
/// Begins a flush: see `lua/begin.lua`.
pub static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(BEGIN_SOURCE));
/// Merges slots: see `lua/merge.lua`.
pub static MERGE: LazyLock<Script> = LazyLock::new(|| Script::new(&MERGE_SOURCE));
/// Ends a flush: see `lua/done.lua`.
pub static DONE: LazyLock<Script> = LazyLock::new(|| Script::new(DONE_SOURCE));

/// Source of the claim script.
pub const CLAIM_SOURCE: &str = include_str!("lua/claim.lua");
/// Source of the begin script.
pub const BEGIN_SOURCE: &str = include_str!("lua/begin.lua");
/// Source of the merge script: the names of keys, arguments, slots and fields, then `lua/merge.lua`.
pub static MERGE_SOURCE: LazyLock<String> =
    LazyLock::new(|| merge_call::preamble() + include_str!("lua/merge.lua"));
/// Source of the done script.
pub const DONE_SOURCE: &str = include_str!("lua/done.lua");

/// All four, to load after Redis lost them.
pub fn all() -> [&'static Script; 4] {
    [&CLAIM, &BEGIN, &MERGE, &DONE]
}
