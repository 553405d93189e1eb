//! `make sim`.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use kol_sim::{Masters, Outcome, run};

/// Simulates a cluster with faults from a seed, and compares with the fold.
#[derive(Debug, Parser)]
struct Args {
    /// Simulations, each with the next seed.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// The first seed; a new one each time when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// With one master, with several, or each seed both ways.
    #[arg(long, value_enum, default_value_t = Who::Both)]
    masters: Who,
    /// Play each seed twice, and fail when not the same happens.
    #[arg(long)]
    twice: bool,
    /// File for all that happened in the last one.
    #[arg(long)]
    trace: Option<std::path::PathBuf>,
}

/// The masters of each simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Who {
    One,
    Several,
    Both,
}

impl Who {
    fn kinds(self) -> &'static [Masters] {
        match self {
            Self::One => &[Masters::One],
            Self::Several => &[Masters::Several],
            Self::Both => &[Masters::One, Masters::Several],
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let chance = || rand::random_range(0..1_000_000_000);
    let first = args.seed.unwrap_or_else(chance);
    let begun = Instant::now();
    let kinds = args.masters.kinds();
    let mut failed = 0;
    for seed in first..first + args.rounds {
        for kind in kinds {
            failed += u64::from(!play(&args, *kind, seed));
        }
    }
    println!(
        "sim: {} of {} simulations failed, seeds from {first}, {:.1} s",
        failed,
        args.rounds * kinds.len() as u64,
        begun.elapsed().as_secs_f64()
    );
    ExitCode::from(u8::from(failed > 0))
}

/// One simulation; whether the laws hold.
fn play(args: &Args, masters: Masters, seed: u64) -> bool {
    let mut outcome = run(masters, seed, args.trace.is_some() || args.twice);
    if args.twice {
        let parted = outcome.parts_from(&run(masters, seed, true));
        outcome.problems.extend(parted);
    }
    if args.rounds == 1 || !outcome.problems.is_empty() {
        tell(masters, seed, &outcome);
    }
    if let Some(file) = &args.trace
        && let Err(error) = std::fs::write(file, outcome.lines.join("\n"))
    {
        eprintln!("cannot write {}: {error}", file.display());
    }
    outcome.problems.is_empty()
}

fn tell(masters: Masters, seed: u64, outcome: &Outcome) {
    println!(
        "seed {seed}, {masters:?} master(s): {:x} after {} messages, term {}, well after {}",
        outcome.sum.0, outcome.sum.1, outcome.terms, outcome.recovered
    );
    for (at, deed) in &outcome.deeds {
        println!("  {:>6} ms  {deed:?}", at.0);
    }
    for problem in &outcome.problems {
        println!("  PROBLEM: {problem}");
    }
}
