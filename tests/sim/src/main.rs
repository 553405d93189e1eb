//! `make sim`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use kol_sim::{Outcome, run};

/// Simulates a cluster with faults from a seed, and compares with the fold.
#[derive(Debug, Parser)]
struct Args {
    /// Simulations, each with the next seed.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// The first seed; a new one each time when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Play each seed twice, and fail when not the same happens.
    #[arg(long)]
    twice: bool,
    /// File for all that happened in the last one.
    #[arg(long)]
    trace: Option<std::path::PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let chance = || rand::random_range(0..1_000_000_000);
    let first = args.seed.unwrap_or_else(chance);
    let begun = Instant::now();
    let mut failed = 0;
    for seed in first..first + args.rounds {
        let mut outcome = run(seed, args.trace.is_some() || args.twice);
        if args.twice {
            let parted = outcome.parts_from(&run(seed, true));
            outcome.problems.extend(parted);
        }
        if args.rounds == 1 || !outcome.problems.is_empty() {
            tell(seed, &outcome);
        }
        failed += u64::from(!outcome.problems.is_empty());
        if let Some(file) = &args.trace
            && let Err(error) = std::fs::write(file, outcome.lines.join("\n"))
        {
            eprintln!("cannot write {}: {error}", file.display());
        }
    }
    println!(
        "sim: {} of {} simulations failed, seeds from {first}, {:.1} s",
        failed,
        args.rounds,
        begun.elapsed().as_secs_f64()
    );
    ExitCode::from(u8::from(failed > 0))
}

fn tell(seed: u64, outcome: &Outcome) {
    println!(
        "seed {seed}: {:x} after {} messages",
        outcome.sum.0, outcome.sum.1
    );
    for (at, deed) in &outcome.deeds {
        println!("  {:>6} ms  {deed:?}", at.0);
    }
    for problem in &outcome.problems {
        println!("  PROBLEM: {problem}");
    }
}
