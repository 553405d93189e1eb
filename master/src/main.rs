//! `kol-master`: parse, configure, log, run.

use std::process::ExitCode;

use clap::Parser as _;
use kol_common::{KolError, telemetry};
use kol_master::config::{Config, Flags};

fn main() -> ExitCode {
    let config = match Config::load(&Flags::parse()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("kol-master: {error}");
            return ExitCode::FAILURE;
        }
    };
    telemetry::init_logging(config.log_format);
    let runtime =
        tokio::runtime::Runtime::new().map_err(|e| KolError::internal("RUNTIME", e.to_string()));
    match runtime.and_then(|runtime| runtime.block_on(kol_master::run::run(config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "kol-master cannot run");
            ExitCode::FAILURE
        }
    }
}
