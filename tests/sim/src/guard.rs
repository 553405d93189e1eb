//! A guard against a simulation that hangs. A task that wakes itself again and again without waiting for
//! anything keeps its host at one instant: virtual time does not advance, and nothing on that thread can say
//! so. Another thread looks whether steps are being taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How often it looks, and how often in a row it must see no step: thousands are usual in that time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOKS: u32 = 20;

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Guard {
    steps: Arc<AtomicU64>,
    _ends_with_this: SyncSender<()>,
}

impl Guard {
    /// Calls `hangs` when no step is taken for too long.
    pub fn watch(hangs: impl FnOnce() + Send + 'static) -> Self {
        Self::watch_every(LOOK_EVERY, hangs)
    }

    fn watch_every(look_every: Duration, hangs: impl FnOnce() + Send + 'static) -> Self {
        let steps = Arc::new(AtomicU64::new(0));
        let (alive, over) = sync_channel::<()>(0);
        let taken = Arc::clone(&steps);
        let _ends_with_the_guard = std::thread::spawn(move || {
            let (mut seen, mut looks) = (0, 0);
            while over.recv_timeout(look_every) == Err(RecvTimeoutError::Timeout) {
                let now = taken.load(Ordering::Relaxed);
                looks = if now == seen { looks + 1 } else { 0 };
                seen = now;
                if looks == LOOKS {
                    return hangs();
                }
            }
        });
        Self {
            steps,
            _ends_with_this: alive,
        }
    }

    /// Virtual time advanced.
    pub fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_that_stops_stepping_is_reported_once_it_has_taken_a_step() {
        let (expired, seen) = sync_channel(1);
        let guard = Guard::watch_every(Duration::from_millis(1), move || {
            expired.send(()).unwrap();
        });
        guard.step();
        seen.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_simulation_that_is_over_is_not_reported() {
        let (expired, seen) = sync_channel(1);
        drop(Guard::watch(move || expired.send(()).unwrap()));
        assert_eq!(
            seen.recv_timeout(Duration::from_secs(60)),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}
