//! Watches partitions go on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kol_common::proto::JobState;

use super::Scene;
use crate::harness::wait_for;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One partition, as last seen.
struct Seen {
    host: String,
    at_fault: u64,
    position: u64,
    since: Instant,
    longest: Duration,
}

/// What happened since a fault.
pub struct Watch {
    begun: Instant,
    partitions: BTreeMap<u32, Seen>,
}

impl Watch {
    /// From now on.
    pub fn new(scene: &Scene) -> Self {
        let mut watch = Self {
            begun: Instant::now(),
            partitions: BTreeMap::new(),
        };
        let _starting = watch.look(scene);
        watch
    }

    /// Partitions of this host are expected to stand still.
    pub fn concerned(&mut self, host: &str) {
        self.partitions
            .values_mut()
            .filter(|p| p.host == host)
            .for_each(|p| p.host.clear());
    }

    /// Waits until every partition has gone on and the job is well; how long that was after the
    /// fault.
    pub fn recovered(&mut self, scene: &Scene, limit: Duration) -> Duration {
        wait_for("everything to go on", limit, || self.look(scene));
        self.begun.elapsed()
    }

    /// Longest standstill of a partition that was not concerned.
    pub fn stall(&self) -> Duration {
        let others = self.partitions.values().filter(|p| !p.host.is_empty());
        others.map(|p| p.longest).max().unwrap_or_default()
    }

    fn look(&mut self, scene: &Scene) -> Result<(), String> {
        std::thread::sleep(LOOK_EVERY);
        let status = scene
            .cluster
            .try_status(&scene.job)
            .map_err(|e| e.to_string())?;
        let now = Instant::now();
        for partition in &status.partitions {
            let number = partition.partition.as_ref().map_or(0, |p| p.partition);
            let position = partition.report.as_ref().map_or(0, |r| r.position);
            let seen = self.partitions.entry(number).or_insert_with(|| Seen {
                host: partition.host.clone(),
                at_fault: position,
                position,
                since: now,
                longest: Duration::ZERO,
            });
            if position != seen.position {
                seen.longest = seen.longest.max(now - seen.since);
                (seen.position, seen.since) = (position, now);
            }
        }
        let behind: Vec<u32> = self
            .partitions
            .iter()
            .filter(|(_, seen)| seen.position <= seen.at_fault)
            .map(|(number, _)| *number)
            .collect();
        let known = self.partitions.len() == scene.topic.partitions as usize;
        if status.state() == JobState::Running && known && behind.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{:?} `{}`, not yet further: {behind:?}",
            status.state(),
            status.reason
        ))
    }
}
