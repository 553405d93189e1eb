//! `make chaos`.

use clap::Parser;
use kol_tests::chaos::{Plan, run};

/// Kills, pauses, empties and damages while events flow, and compares with the fold.
#[derive(Debug, Parser)]
struct Args {
    /// Faults to provoke.
    #[arg(long, default_value_t = 24)]
    rounds: u64,
    /// The same seed gives the same faults; a new one each time when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Events a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Only faults whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() {
    let args = Args::parse();
    let seed = args
        .seed
        .unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!("chaos: seed {seed}");
    run(&Plan {
        rounds: args.rounds,
        seed,
        rate: args.rate,
        only: args.only,
    });
}
