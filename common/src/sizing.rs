//! What the system costs, as `make bench` measured it on a release build: for placement, which only compares, and for
//! `kol-client plan`. All figures stand in this file; each says which line of the benchmark prints it, or which lines it
//! is computed from, so that they can be read off again on another machine.

/// Where and when the figures below were measured.
pub const MEASURED_ON: &str =
    "2 virtual cores of an AMD EPYC that others used as well, a release build of 2026-11-26";

/// Processor time of an executor for an event: reading, decoding and state, ns. `drain` of generated events, cumulative: "ns an
/// event".
pub const EVENT_CPU_NS: u64 = 1_850;
/// Size of an event's record value in that run, bytes. `drain` of generated events: in its first line, less 14 of the key.
pub const EVENT_BYTES: u64 = 270;
/// Processor time of an executor for a creator that it sends to Redis, ns. Computed: what `steady` says of an event with its
/// merges, less [`EVENT_CPU_NS`], divided by its merges an event.
pub const MERGE_CPU_NS: u64 = 3_150;
/// Memory of an executor for a creator without its videos, bytes: one with something in each pane of its two windows of
/// 24 panes, and with what the executor keeps of what Redis has. One that is new takes less than half of it (`checkpoint`).
/// A test of the executor's state keeps this and the next one near what it takes.
pub const CREATOR_BYTES: u64 = 420;
/// Memory of an executor for a video, bytes. `checkpoint`: from "with its 20 videos" and "with one".
pub const VIDEO_BYTES: u64 = 64;
/// Time of Redis to merge a creator, ns. `merges`: "of Redis' time".
pub const MERGE_NS: u64 = 9_300;
/// Memory of Redis for a creator, bytes. `merges`: "memory of Redis".
pub const REDIS_CREATOR_BYTES: u64 = 750;
/// What an epoch writes for an event since the one before, bytes. `steady`: "an epoch".
pub const EPOCH_EVENT_BYTES: u64 = 42;

/// One of the figures.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What it is of.
    pub name: &'static str,
    /// The number, in `unit`.
    pub value: u64,
    /// The unit of `value`, as `kol-client plan` shows it.
    pub unit: &'static str,
    /// The part of `make bench` that prints it.
    pub bench: &'static str,
}

const fn figure(name: &'static str, value: u64, unit: &'static str, bench: &'static str) -> Figure {
    Figure {
        name,
        value,
        unit,
        bench,
    }
}

/// All of them.
pub const FIGURES: [Figure; 8] = [
    figure("executor, an event", EVENT_CPU_NS, "ns of a core", "drain"),
    figure("  of a record value of", EVENT_BYTES, "bytes", "drain"),
    figure(
        "executor, a merge",
        MERGE_CPU_NS,
        "ns of a core",
        "steady, drain",
    ),
    figure("executor, a creator", CREATOR_BYTES, "bytes", "checkpoint"),
    figure("executor, a video", VIDEO_BYTES, "bytes", "checkpoint"),
    figure("Redis, a merge", MERGE_NS, "ns of its core", "merges"),
    figure("Redis, a creator", REDIS_CREATOR_BYTES, "bytes", "merges"),
    figure("an epoch, an event", EPOCH_EVENT_BYTES, "bytes", "steady"),
];
