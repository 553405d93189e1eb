//! `make fuzz`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kol_fuzz::{Target, Until, all, fuzz, memory};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Gives everything that reads bytes from outside changed inputs: none may make it panic or take much memory.
#[derive(Debug, Parser)]
struct Args {
    /// How long for each target.
    #[arg(long, default_value = "1m", value_parser = humantime::parse_duration)]
    each: Duration,
    /// The first seed; a new one each time when left out.
    #[arg(long)]
    seed: Option<u64>,
    /// Read this file, once.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Only targets whose name contains one of these.
    only: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let seed = args
        .seed
        .unwrap_or_else(|| rand::random_range(0..1_000_000_000));
    println!("seed {seed}, {:?} for each target", args.each);
    let wanted = |target: &&Target| {
        args.only.is_empty() || args.only.iter().any(|only| target.name.contains(&**only))
    };
    let mut failed = false;
    for target in all().iter().filter(wanted) {
        failed |= !play(target, &args, seed);
    }
    ExitCode::from(u8::from(failed))
}

fn play(target: &Target, args: &Args, seed: u64) -> bool {
    if let Some(file) = &args.input {
        let input = std::fs::read(file).unwrap_or_default();
        println!("{:<18} {:x}", target.name, (target.read)(&input));
        return true;
    }
    match fuzz(target, seed, Until::Elapsed(args.each)) {
        Ok(report) => {
            println!(
                "{:<18} {:>12} executions in {:>6.1} s, {:>8.0} a second, {:>5} inputs kept, at most {} KiB for {} bytes",
                target.name,
                report.executions,
                report.elapsed.as_secs_f64(),
                report.executions as f64 / report.elapsed.as_secs_f64(),
                report.kept,
                report.memory.0 >> 10,
                report.memory.1
            );
            true
        }
        Err(failure) => {
            let file = std::env::temp_dir().join(format!("kol-fuzz-{}-{seed}", target.name));
            let kept = std::fs::write(&file, &failure.input);
            println!(
                "{:<18} FAILED: {}\n  the input: {} ({kept:?}), again with --input and the name of the target",
                target.name,
                failure.what,
                file.display()
            );
            false
        }
    }
}
