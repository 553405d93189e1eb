//! `make bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use kol_bench::{
    Machine, Plan, Report, alerts, checkpoint, drain, flood, growth, hostile, idle, kept, latency,
    loaded, merges, serve, spark, steady, write_pages,
};

/// Measures the system on this machine.
#[derive(Debug, Parser)]
struct Args {
    /// Events to drain.
    #[arg(long, default_value_t = 3_000_000)]
    events: u64,
    /// Creators in them.
    #[arg(long, default_value_t = 100_000)]
    kols: u64,
    /// How often what has references is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of a run at a share of the highest rate.
    #[arg(long, default_value = "40s", value_parser = humantime::parse_duration)]
    loaded: Duration,
    /// The highest rate, events a second; what `drain` measures when left out.
    #[arg(long)]
    maximum: Option<f64>,
    /// Where the figures go as JSON, in place of those of the same parts; plots go beside it.
    #[arg(long, default_value = "target/bench/figures.json")]
    json: PathBuf,
    /// The figures are those that the documentation shows: they go where it has them, and into its pages.
    #[arg(long, conflicts_with = "json")]
    keep: bool,
    /// Length of the steady run.
    #[arg(long, default_value = "2m", value_parser = humantime::parse_duration)]
    steady: Duration,
    /// Events a second of the steady run.
    #[arg(long, default_value_t = 50_000)]
    rate: u64,
    /// Single events whose way to Redis is timed.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Length of a run of requests at one rate.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    serving: Duration,
    /// Creators of the checkpoint.
    #[arg(long, default_value_t = 1_000_000)]
    checkpoint_kols: u64,
    /// Be the strangers at this address.
    #[arg(long, hide = true, requires = "strangers")]
    flood: Option<String>,
    /// How many they are.
    #[arg(long, hide = true, default_value_t = 0)]
    strangers: usize,
    /// Only these: merges, alerts, latency, drain, loaded, growth, idle, checkpoint, steady, hostile, serve; spark, only when it is named; pages: none of them.
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
        rounds: args.rounds,
        loaded: args.loaded,
        checkpoint_kols: args.checkpoint_kols,
        steady: args.steady,
        rate: args.rate,
        samples: args.samples,
        serving: args.serving,
    };
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|o| o == name);
    let beside = args.json.parent().unwrap_or(".".as_ref()).to_owned();
    let (json, plots) = match args.keep {
        true => kept(),
        false => (args.json, beside),
    };
    let mut report = Report::new(Machine::this(), json.clone());
    if wanted("merges") {
        merges(&mut report);
    }
    if wanted("alerts") {
        alerts(&mut report);
    }
    if wanted("latency") {
        latency(&plan, &mut report);
    }
    // What shares are of is measured where it is not given.
    let drains = wanted("drain") || (wanted("loaded") && args.maximum.is_none());
    let drained = drains.then(|| drain(&plan, &mut report));
    if let Some(maximum) = args.maximum.or(drained).filter(|_| wanted("loaded")) {
        loaded(&plan, maximum, &mut report);
    }
    if wanted("growth") {
        growth(&plan, &mut report, &plots);
    }
    if args.only.iter().any(|only| only == "spark") {
        spark(&plan, &mut report);
    }
    if wanted("idle") {
        idle(&mut report);
    }
    if wanted("checkpoint") {
        checkpoint(&plan, &mut report);
    }
    if wanted("steady") {
        steady(&plan, &mut report);
    }
    if wanted("hostile") {
        hostile(&plan, &mut report);
    }
    if wanted("serve") {
        serve(&plan, &mut report);
    }
    println!("all figures: {}", json.display());
    if args.keep {
        write_pages();
    }
}
