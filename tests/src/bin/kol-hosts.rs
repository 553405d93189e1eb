//! `make hosts-check`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kol_tests::hosts::{Missing, Plan, run};

/// What a script takes for: not tested.
const SKIPPED: u8 = 77;

/// Three hosts whose links are cut while events flow, then Redis against the fold. Exit status 77: it cannot run here.
#[derive(Debug, Parser)]
struct Args {
    /// How long each link is cut at least, in seconds.
    #[arg(long, default_value_t = 30)]
    cut: u64,
    /// Events a second.
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan {
        cut: Duration::from_secs(args.cut),
        rate: args.rate,
    };
    match run(&plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Missing(why)) => {
            eprintln!("NOT TESTED: several hosts: {why}");
            ExitCode::from(SKIPPED)
        }
    }
}
