//! `kol-master`: parse, configure, log, run.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use kol_common::traces::Traces;
use kol_common::{KolError, telemetry};
use kol_master::config::{Config, Flags};

/// Longest wait for calls that block, such as one to a broker that hangs, once everything else has ended.
const LAST_CALLS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let config = match Config::load(&Flags::parse()) {
        Ok(config) => config,
        Err(error) => {
            telemetry::refuse("kol-master", &error);
            return ExitCode::FAILURE;
        }
    };
    telemetry::init_logging(config.log_format, config.log_level.as_deref());
    let runtime =
        tokio::runtime::Runtime::new().map_err(|e| KolError::internal("RUNTIME", e.to_string()));
    let outcome = runtime.and_then(|runtime| {
        let inside = runtime.enter();
        let started = Traces::start("kol-master", config.otlp_endpoint.as_deref());
        drop(inside);
        let outcome = started.and_then(|traces| {
            let outcome = runtime.block_on(kol_master::run::run(config));
            traces.end();
            outcome
        });
        runtime.shutdown_timeout(LAST_CALLS);
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = "MASTER_FAILED", %error, "kol-master cannot run");
            ExitCode::FAILURE
        }
    }
}
