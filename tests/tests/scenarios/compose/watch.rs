//! What readers of Redis see of each partition: how far it is, and how long nothing of it arrived.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One partition, by its fence record.
#[derive(Clone, Copy)]
struct Partition {
    assignment_epoch: u64,
    offset: u64,
    /// When the offset last grew.
    since: Instant,
    longest: Duration,
    assignments: u64,
}

/// What happened to one partition in a lap.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// The longest time in which nothing of it arrived in Redis.
    pub longest: Duration,
    /// How often it was assigned.
    pub assignments: u64,
}

/// Looks until it is dropped.
pub struct Watch {
    partitions: Arc<Mutex<Vec<Partition>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins with partitions whose fence records are these keys. They must be there.
    pub fn start(mut redis: redis::Connection, fences: Vec<String>) -> Self {
        let first = look(&mut redis, &fences)
            .into_iter()
            .map(|(assignment_epoch, offset)| Partition {
                assignment_epoch,
                offset,
                since: Instant::now(),
                longest: Duration::ZERO,
                assignments: 0,
            });
        let partitions = Arc::new(Mutex::new(first.collect::<Vec<_>>()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (Arc::clone(&partitions), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let looks = look(&mut redis, &fences);
                let now = Instant::now();
                for (partition, look) in seen.lock().unwrap().iter_mut().zip(looks) {
                    partition.take(look, now);
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self {
            partitions,
            stop,
            thread: Some(thread),
        }
    }

    /// What happened since the last lap, by partition.
    pub fn lap(&self) -> Vec<Lap> {
        let now = Instant::now();
        let mut partitions = self.partitions.lock().unwrap();
        let laps = partitions.iter_mut().map(|partition| {
            let lap = Lap {
                longest: partition.longest.max(now - partition.since),
                assignments: partition.assignments,
            };
            (partition.longest, partition.assignments) = (Duration::ZERO, 0);
            lap
        });
        laps.collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _its_panic_was_printed = thread.join();
        }
    }
}

impl Partition {
    fn take(&mut self, (assignment_epoch, offset): (u64, u64), now: Instant) {
        self.longest = self.longest.max(now - self.since);
        if offset > self.offset {
            (self.offset, self.since) = (offset, now);
        }
        if assignment_epoch > self.assignment_epoch {
            self.assignment_epoch = assignment_epoch;
            self.assignments += 1;
        }
    }
}

/// Assignment epochs and offsets.
fn look(redis: &mut redis::Connection, fences: &[String]) -> Vec<(u64, u64)> {
    let mut pipeline = redis::pipe();
    for fence in fences {
        pipeline.cmd("HMGET").arg(fence).arg(&["ae", "off"]);
    }
    let looks: Vec<(Option<u64>, Option<u64>)> = pipeline.query(redis).unwrap();
    let looks = looks.into_iter();
    looks
        .map(|(epoch, offset)| (epoch.unwrap_or(0), offset.unwrap_or(0)))
        .collect()
}
