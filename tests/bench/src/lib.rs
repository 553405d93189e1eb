//! `make bench`: what the system does on this machine, beside references that are measured in the same rounds. Machines
//! are noisy: compare ratios, not seconds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot continue should say where and end"
)]

mod alerts;
mod bare;
mod checkpoint;
mod drain;
mod figures;
mod flood;
mod growth;
mod hostile;
mod idle;
mod input;
mod latency;
mod loaded;
mod machine;
mod merges;
mod pages;
mod plots;
mod probes;
mod serve;
mod spark;
mod steady;

use std::time::Duration;

pub use alerts::alerts;
pub use checkpoint::checkpoint;
pub use drain::drain;
pub use figures::Report;
pub use flood::flood;
pub use growth::growth;
pub use hostile::hostile;
pub use idle::idle;
pub use latency::latency;
pub use loaded::loaded;
pub use machine::Machine;
pub use merges::merges;
pub use pages::{kept, write_pages};
pub use serve::serve;
pub use spark::spark;
pub use steady::steady;

use kol_client::generate::Options;
use kol_common::Millis;

/// How much to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Events to drain.
    pub events: u64,
    /// Creators in them.
    pub kols: u64,
    /// How often what has references is measured.
    pub rounds: usize,
    /// Length of a run at a share of the highest rate.
    pub loaded: Duration,
    /// Creators of the checkpoint.
    pub checkpoint_kols: u64,
    /// Length of the steady run.
    pub steady: Duration,
    /// Events a second of the steady run.
    pub rate: u64,
    /// Single events whose way to Redis is timed.
    pub samples: usize,
    /// Length of a run of requests at one rate.
    pub serving: Duration,
}

/// Eight days of history, ending a minute ago.
fn history(kols: u64, events: u64) -> Options {
    let span = 8 * 86_400_000;
    Options {
        kols,
        videos_per_kol: 8,
        seed: 42,
        start: Millis(Millis::now().0 - span - 60_000),
        step_us: (span * 1_000 / events.max(1)).max(1),
        delta: false,
        viral: None,
    }
}

/// The value at a share of sorted samples.
fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

/// Processor time of a process, user and system.
fn cpu(pid: u32) -> Duration {
    ticks(pid, 2)
}

/// The same with that of its children that have ended.
fn cpu_with_children(pid: u32) -> Duration {
    ticks(pid, 4)
}

/// The sum of the first of utime, stime, cutime and cstime.
fn ticks(pid: u32, times: usize) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_ascii_whitespace().skip(11).take(times);
    let sum: u64 = ticks.filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(sum * 10)
}
