//! Looks at the executors of all hosts, also of those that are cut off: each is looked at from its own host.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::network;
use super::pauses::{Pauses, Report};

/// Time between two looks at an executor.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Where a page is, and how to get it: arguments of curl.
pub type Page = Vec<String>;

/// Looks until it is dropped.
pub struct Watch {
    stop: Arc<AtomicBool>,
    pauses: Arc<Mutex<Pauses>>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Starts to look at the page of each host.
    pub fn start(pages: Vec<Page>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pauses = Arc::new(Mutex::new(Pauses::default()));
        let look = |(host, page): (usize, Page)| {
            let (stop, pauses) = (Arc::clone(&stop), Arc::clone(&pauses));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for report in reports(host, &page) {
                        lock(&pauses).see(Instant::now(), host, report);
                    }
                    std::thread::sleep(LOOK_EVERY);
                }
            })
        };
        let threads = pages.into_iter().enumerate().map(look).collect();
        Self {
            stop,
            pauses,
            threads,
        }
    }

    /// What was seen.
    pub fn pauses(&self) -> MutexGuard<'_, Pauses> {
        lock(&self.pauses)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

fn lock(pauses: &Mutex<Pauses>) -> MutexGuard<'_, Pauses> {
    pauses.lock().unwrap_or_else(PoisonError::into_inner)
}

/// None while the executor does not answer.
fn reports(host: usize, page: &Page) -> Vec<Report> {
    let [program, namespace] = network::on(host);
    let output = Command::new(program)
        .args([&*namespace, "curl", "--silent", "--max-time", "2"])
        .args(page)
        .output();
    let page = output.ok().map(|output| output.stdout).unwrap_or_default();
    serde_json::from_slice(&page).map_or_else(|_| Vec::new(), |page| Report::all(&page))
}
