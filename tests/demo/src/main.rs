//! `make demo`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use kol_demo::{Options, run};

/// Shows a whole cluster at work on this machine: embedded Kafka broker, Redis, one master, two
/// executors and live events. Ends with everything it started.
#[derive(Debug, Parser)]
struct Args {
    /// End after so many seconds of live events; otherwise q or Ctrl-C ends it.
    #[arg(long, env = "DEMO_SECONDS")]
    seconds: Option<u64>,
    /// Play this file (one JSON event a line, .gz or not) in about two minutes instead.
    #[arg(long)]
    input: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    watch_signals(&interrupted)?;
    let options = Options {
        length: args.seconds.map(Duration::from_secs),
        input: args.input,
    };
    let equal = run(&options, &interrupted)?;
    Ok(if equal {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Ctrl-C and SIGTERM end the demo in order. On a terminal Ctrl-C arrives as a key.
fn watch_signals(interrupted: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let signalled = Arc::clone(interrupted);
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut terminate) = signal(SignalKind::terminate()) else {
                return;
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            signalled.store(true, Ordering::Relaxed);
        });
    });
    Ok(())
}
