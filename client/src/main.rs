//! `kol-client`: parse, log, run.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use kol_client::cli::Cli;
use kol_client::{complete, exit};
use kol_common::KolError;
use kol_common::actor::Group;
use kol_common::traces::Traces;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    complete::answer(Cli::command);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error, std::env::args_os()),
    };
    let output = cli.output;
    kol_common::telemetry::init_logging(cli.log_format, cli.log_level.as_deref());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => run(&runtime, cli),
        Err(error) => Err(KolError::external("RUNTIME", error.to_string()).into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, output),
    }
}

fn run(runtime: &Runtime, cli: Cli) -> anyhow::Result<()> {
    let _inside = runtime.enter();
    let traces = Traces::start("kol-client", cli.otlp_endpoint.as_deref())?;
    let outcome = runtime.block_on(async {
        if !cli.ends_by_itself() {
            end_on_signals()?;
        }
        cli.run().await
    });
    traces.end();
    outcome
}

/// Ends the process as a shell expects it. As the first process of a container it would otherwise
/// not end at all: the kernel gives that one no default handlers.
fn end_on_signals() -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let _runs_by_itself = Group::new("signals").spawn("signals", async move {
        let code = tokio::select! {
            _ = interrupt.recv() => exit::INTERRUPTED,
            _ = terminate.recv() => exit::TERMINATED,
        };
        std::process::exit(code)
    });
    Ok(())
}
