//! `make bench`.

use std::time::Duration;

use clap::Parser;
use kol_bench::{Plan, checkpoint, drain, flood, hostile, latency, merges, steady};

/// Measures the system on this machine.
#[derive(Debug, Parser)]
struct Args {
    /// Events to drain.
    #[arg(long, default_value_t = 4_000_000)]
    events: u64,
    /// Creators in them.
    #[arg(long, default_value_t = 100_000)]
    kols: u64,
    /// Length of the steady run.
    #[arg(long, default_value = "2m", value_parser = humantime::parse_duration)]
    steady: Duration,
    /// Events a second of the steady run.
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Single events whose way to Redis is timed.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Creators of the checkpoint.
    #[arg(long, default_value_t = 1_000_000)]
    checkpoint_kols: u64,
    /// Be the strangers at this address.
    #[arg(long, hide = true, requires = "strangers")]
    flood: Option<String>,
    /// How many they are.
    #[arg(long, hide = true, default_value_t = 0)]
    strangers: usize,
    /// Only these: merges, latency, drain, checkpoint, steady, hostile.
    only: Vec<String>,
}

fn main() {
    let args = Args::parse();
    if let Some(address) = &args.flood {
        return flood(address, args.strangers);
    }
    let plan = Plan {
        events: args.events,
        kols: args.kols,
        checkpoint_kols: args.checkpoint_kols,
        steady: args.steady,
        rate: args.rate,
        samples: args.samples,
    };
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|o| o == name);
    if wanted("merges") {
        merges();
    }
    if wanted("latency") {
        latency(&plan);
    }
    if wanted("drain") {
        drain(&plan);
    }
    if wanted("checkpoint") {
        checkpoint(&plan);
    }
    if wanted("steady") {
        steady(&plan);
    }
    if wanted("hostile") {
        hostile(&plan);
    }
}
