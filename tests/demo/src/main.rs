//! `make demo`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use kol_demo::{Ending, Options, run, run_to_the_end};
use tokio::signal::unix::{SignalKind, signal};

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
    // What a panic says is printed as a sentence; who debugs the demo wants all of it.
    if std::env::var("RUST_BACKTRACE").as_deref() != Ok("full") {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let folder = tempfile::tempdir()?;
    tempfile::env::override_temp_dir(folder.path())
        .map_err(|_| anyhow::anyhow!("another folder is used already"))?;
    let flag = Arc::clone(&interrupted);
    let ending = run_to_the_end(move || run(&options, &flag), &interrupted);
    if ending == Ending::Left {
        if std::io::stdout().is_terminal() {
            ratatui::restore();
        }
        kol_harness::remove_when_we_end(folder.path());
    }
    Ok(match ending {
        Ending::Equal => ExitCode::SUCCESS,
        Ending::Different => ExitCode::FAILURE,
        Ending::Interrupted | Ending::Left => {
            println!("Interrupted: everything is stopped.");
            ExitCode::SUCCESS
        }
        Ending::Failed(sentence) => {
            eprintln!("The demo ended: {sentence}. Everything is stopped.");
            ExitCode::FAILURE
        }
    })
}

/// Ctrl-C and SIGTERM end the demo in order. On a terminal Ctrl-C arrives as a key.
fn watch_signals(interrupted: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    drop(entered);
    let signalled = Arc::clone(interrupted);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            signalled.store(true, Ordering::Relaxed);
        });
    });
    Ok(())
}
