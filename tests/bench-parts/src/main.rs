//! `make bench-guard`, and what a change to the per-event path is measured with.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kol_bench_parts::count::{self, Counted, Failure};
use kol_bench_parts::guard::{self, Verdict};
use kol_bench_parts::parts::{self, Counters, Done, Input, Load, Part};

/// Measures decoding, state and flushes of the executor, without Kafka and Redis.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Times the parts: the best of some rounds, since other programs only make it longer.
    Time {
        /// What counters mean; both when left out.
        counters: Option<Counters>,
        /// How many rounds there are.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Counts the instructions of the parts, with callgrind.
    Count {
        /// What counters mean; both when left out.
        counters: Option<Counters>,
        /// Keep what callgrind wrote in this folder, for callgrind_annotate.
        #[arg(long)]
        keep: Option<PathBuf>,
        #[command(flatten)]
        load: Load,
    },
    /// Compares the instructions with those that are committed.
    Guard {
        /// Replace the committed ones.
        #[arg(long)]
        update: bool,
    },
    /// Goes through the parts once; callgrind looks on.
    #[command(hide = true)]
    Pass {
        /// What counters mean.
        counters: Counters,
        #[command(flatten)]
        load: Load,
    },
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Time {
            counters,
            rounds,
            load,
        } => time(&load, &chosen(counters), rounds),
        Command::Count {
            counters,
            keep,
            load,
        } => count_all(&load, &chosen(counters), keep),
        Command::Guard { update } => compare(update),
        Command::Pass { counters, load } => {
            count::print_counts(&parts::run(&load, counters, &Input::of(&load, counters)));
            ExitCode::SUCCESS
        }
    }
}

fn chosen(counters: Option<Counters>) -> Vec<Counters> {
    counters.map_or_else(|| Counters::ALL.into(), |one| vec![one])
}

fn time(load: &Load, chosen: &[Counters], rounds: usize) -> ExitCode {
    println!(
        "{} events of {} creators, best of {rounds} rounds, ns",
        load.events, load.kols
    );
    for counters in chosen {
        let input = Input::of(load, *counters);
        let rounds: Vec<Done> = (0..rounds.max(1))
            .map(|_| parts::run(load, *counters, &input))
            .collect();
        let best = Part::ALL.map(|part| {
            let each = |done: &Done| {
                done.time[part as usize].as_secs_f64() * 1e9 / done.count(part).max(1) as f64
            };
            rounds.iter().map(each).fold(f64::INFINITY, f64::min)
        });
        let last = rounds[rounds.len() - 1];
        print(*counters, best, last.merges, load);
        let (kols, entities, bytes) = last.state;
        println!(
            "  {} bytes a record, {} bytes for Redis a creator in a flush, {} bytes of state a creator with its {:.1} videos",
            last.bytes / last.usable.max(1),
            last.sent / last.merges.max(1),
            bytes / kols.max(1),
            entities as f64 / kols.max(1) as f64
        );
    }
    ExitCode::SUCCESS
}

fn count_all(load: &Load, chosen: &[Counters], keep: Option<PathBuf>) -> ExitCode {
    println!(
        "{} events of {} creators, instructions",
        load.events, load.kols
    );
    for counters in chosen {
        match count::count(load, *counters, keep.as_deref()) {
            Ok(Counted { each, merges }) => print(*counters, each, merges, load),
            Err(failure) => return complain(&failure),
        }
    }
    ExitCode::SUCCESS
}

fn print(counters: Counters, each: [f64; Part::ALL.len()], merges: u64, load: &Load) {
    let of = |part: Part| each[part as usize];
    let flushes = of(Part::Flush) * merges as f64 / load.events as f64;
    let total = of(Part::Take) + of(Part::Tend) + flushes;
    println!("  {counters}");
    for (name, figure) in [
        ("decode", of(Part::Decode)),
        ("apply", of(Part::Take) - of(Part::Decode)),
        ("tend", of(Part::Tend)),
        ("flush", flushes),
        ("all", total),
    ] {
        println!("    {name:<8} {figure:>9.1} an event");
    }
    for (name, figure) in [("flush", of(Part::Flush)), ("advance", of(Part::Advance))] {
        println!("    {name:<8} {figure:>9.1} a creator");
    }
    println!(
        "    {:.2} creators in flushes an event",
        merges as f64 / load.events as f64
    );
}

fn compare(update: bool) -> ExitCode {
    let load = Load {
        events: 100_000,
        kols: 5_000,
        tend: 5_000,
        flush: 25_000,
    };
    match guard::guard(&load, update) {
        Ok(Verdict::Same) if update => {
            println!(
                "bench-guard: {} has the figures of this build",
                guard::file().display()
            );
            ExitCode::SUCCESS
        }
        Ok(Verdict::Same) => {
            println!(
                "bench-guard: all figures within {} %",
                guard::TOLERANCE * 100.0
            );
            ExitCode::SUCCESS
        }
        Ok(Verdict::Differs(what)) => {
            for what in what {
                eprintln!("bench-guard: {what}");
            }
            eprintln!(
                "bench-guard: if that is meant, make bench-guard UPDATE=1 and commit the figures"
            );
            ExitCode::FAILURE
        }
        Ok(Verdict::Incomparable(why)) => {
            eprintln!("bench-guard: NOT COMPARED: {why}");
            ExitCode::SUCCESS
        }
        Err(failure) => complain(&failure),
    }
}

fn complain(failure: &Failure) -> ExitCode {
    match failure {
        Failure::NoValgrind => {
            eprintln!("bench-guard: NOT COMPARED: there is no valgrind (Debian: valgrind)");
            ExitCode::SUCCESS
        }
        Failure::Failed(why) => {
            eprintln!("bench-guard: {why}");
            ExitCode::FAILURE
        }
    }
}
