//! How the demo ends: with a sentence and an exit code, whatever happens.
//!
//! 1. It runs on a thread of its own. Interrupted, it ends where it looks for that, and where it waits for a process it
//!    gives up.
//! 2. What is not over [`GRACE`] later is left: the processes that it started end with this one.
//! 3. An error is one sentence, and so is a panic. Once it was interrupted neither matters: Ctrl-C on a terminal reaches
//!    all processes, and one that ends makes others fail.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long what was interrupted may take to end by itself.
const GRACE: Duration = Duration::from_millis(1_500);
/// How long an error waits for the signal that perhaps caused it.
const SIGNAL: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(20);
/// Characters of a sentence that was not written for people.
const MOST: usize = 300;

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    /// Redis was equal to the fold, or there was nothing to compare.
    Equal,
    /// Redis was not equal to the fold; the differences are printed.
    Different,
    /// Somebody interrupted it, and everything is stopped.
    Interrupted,
    /// The same, and it has not ended by itself.
    Left,
    /// It failed; why, as a sentence.
    Failed(String),
}

/// Runs it until it ends, or is interrupted.
pub fn run_to_the_end(
    run: impl FnOnce() -> anyhow::Result<bool> + Send + 'static,
    interrupted: &AtomicBool,
) -> Ending {
    let running = std::thread::spawn(run);
    let mut since: Option<Instant> = None;
    while !running.is_finished() {
        if interrupted.load(Ordering::Relaxed) {
            let since = since.get_or_insert_with(|| {
                kol_harness::give_up_waiting();
                Instant::now()
            });
            if since.elapsed() >= GRACE {
                return Ending::Left;
            }
        }
        std::thread::sleep(LOOK);
    }
    let failed = match running.join() {
        Ok(Ok(equal)) if interrupted.load(Ordering::Relaxed) => {
            let _compared_in_time = equal;
            return Ending::Interrupted;
        }
        Ok(Ok(true)) => return Ending::Equal,
        Ok(Ok(false)) => return Ending::Different,
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => sentence(&*panic),
    };
    let failed_at = Instant::now();
    while failed_at.elapsed() < SIGNAL {
        if interrupted.load(Ordering::Relaxed) {
            return Ending::Interrupted;
        }
        std::thread::sleep(LOOK);
    }
    Ending::Failed(failed)
}

/// The first line of what a panic says.
fn sentence(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    let line = text.and_then(|text| text.lines().next());
    let line = line.unwrap_or("a part of the demo failed");
    line.trim_end_matches(':').chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn ends(run: impl FnOnce() -> anyhow::Result<bool> + Send + 'static) -> Ending {
        run_to_the_end(run, &AtomicBool::new(false))
    }

    #[test]
    fn an_error_and_a_panic_are_one_sentence() {
        assert_eq!(ends(|| Ok(true)), Ending::Equal);
        assert_eq!(ends(|| Ok(false)), Ending::Different);
        let refused = || Err(anyhow::anyhow!("refused").context("Redis does not answer"));
        let text = "Redis does not answer: refused".to_owned();
        assert_eq!(ends(refused), Ending::Failed(text));
        let panics = || panic!("executor-0 ended before it wrote `ready`:\na whole log");
        let text = "executor-0 ended before it wrote `ready`".to_owned();
        assert_eq!(ends(panics), Ending::Failed(text));
    }

    #[test]
    fn what_fails_because_of_the_signal_was_interrupted() {
        let interrupted = Arc::new(AtomicBool::new(false));
        let signal = Arc::clone(&interrupted);
        let run = move || {
            std::thread::spawn(move || {
                std::thread::sleep(SIGNAL / 3);
                signal.store(true, Ordering::Relaxed);
            });
            anyhow::bail!("the master has ended")
        };
        assert_eq!(run_to_the_end(run, &interrupted), Ending::Interrupted);
    }

    #[test]
    fn what_does_not_end_by_itself_is_left_within_two_seconds() {
        let begun = Instant::now();
        let run = || loop {
            std::thread::sleep(LOOK);
        };
        let ending = run_to_the_end(run, &AtomicBool::new(true));
        assert_eq!(ending, Ending::Left);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
