//! `kol-client`: parse, log, run.

use std::process::ExitCode;

use clap::Parser as _;
use kol_client::cli::Cli;
use kol_client::exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    kol_common::telemetry::init_logging(cli.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(cli.run()),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
