//! `make mutants`.

use std::process::ExitCode;

use clap::Parser;
use kol_tests::mutants::run;

/// Breaks the system on purpose, one piece at a time, and looks whether the tests notice.
#[derive(Debug, Parser)]
struct Args {
    /// Only those whose name contains this.
    #[arg(default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let survived = run(&Args::parse().only);
    if survived.is_empty() {
        println!("all were noticed");
        return ExitCode::SUCCESS;
    }
    println!("{} survived: the tests have no teeth there", survived.len());
    ExitCode::FAILURE
}
