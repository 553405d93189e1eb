//! `kol-executor`: parse, configure, log, run.

use std::process::ExitCode;

use clap::Parser as _;
use kol_common::traces::Traces;
use kol_common::{KolError, telemetry};
use kol_executor::config::{Config, Flags};

fn main() -> ExitCode {
    let config = match Config::load(Flags::parse()) {
        Ok(config) => config,
        Err(error) => {
            telemetry::refuse("kol-executor", &error);
            return ExitCode::FAILURE;
        }
    };
    telemetry::init_logging(config.log_format, config.log_level.as_deref());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.cores() as usize)
        .thread_name("kol-executor")
        .enable_all()
        .build()
        .map_err(|e| KolError::internal("RUNTIME", e.to_string()));
    let outcome = runtime.and_then(|runtime| {
        let _inside = runtime.enter();
        let traces = Traces::start("kol-executor", config.otlp_endpoint.as_deref())?;
        let outcome = runtime.block_on(kol_executor::run::run(config));
        traces.end();
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = "EXECUTOR_FAILED", %error, "kol-executor cannot run");
            ExitCode::FAILURE
        }
    }
}
