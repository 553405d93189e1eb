//! Watches that partitions make progress.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kol_common::proto::JobState;

use super::Scene;
use kol_harness::wait_for;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A partition whose position has not changed for longer is stalled: reports come every 200 ms.
const STALLED: Duration = Duration::from_millis(600);
/// By then every consequence of a fault shows, and reports speak of nothing that was before it.
const NOTICED: Duration = Duration::from_secs(2);

/// Creators in the ranking; `None` while Redis is away.
fn ranked(scene: &Scene) -> Option<u64> {
    let answer = scene.redis.cli("ZCARD ranking:tiktok:trending");
    answer.trim().parse().ok()
}

/// One partition, as last seen.
struct Seen {
    host: String,
    position: u64,
    since: Instant,
    longest: Duration,
}

/// What happened since a fault.
pub struct Watch {
    begun: Instant,
    /// Since when everything has been well, after the beginning.
    well: Option<Duration>,
    partitions: BTreeMap<u32, Seen>,
    /// Creators in the ranking at the beginning.
    ranked: u64,
}

impl Watch {
    /// From now on.
    pub fn new(scene: &Scene) -> Self {
        let mut watch = Self {
            begun: Instant::now(),
            well: None,
            partitions: BTreeMap::new(),
            ranked: ranked(scene).unwrap_or_default(),
        };
        let _starting = watch.look(scene);
        watch
    }

    /// Partitions of this host are expected to stall.
    pub fn concerned(&mut self, host: &str) {
        self.partitions
            .values_mut()
            .filter(|p| p.host == host)
            .for_each(|p| p.host.clear());
    }

    /// Records of creators are lost: the ranking may be shorter.
    pub fn records_are_lost(&mut self) {
        self.ranked = 0;
    }

    /// Looks on for a while.
    pub fn look_for(&mut self, scene: &Scene, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            // Whatever is wrong now may be so while the fault lasts.
            let _yet = self.look(scene);
        }
    }

    /// Waits until every partition makes progress, the ranking is whole and the job is well, and it is late enough to have noticed;
    /// since when that has been so, after the fault.
    pub fn recovered(&mut self, scene: &Scene, limit: Duration) -> Duration {
        let least = self.begun.elapsed() + NOTICED;
        wait_for("everything to make progress", limit, || {
            self.look(scene)?;
            if self.begun.elapsed() < least {
                return Err("not long enough".to_owned());
            }
            Ok(())
        });
        self.well.unwrap_or_default()
    }

    /// Longest stall of a partition that was not concerned.
    pub fn stall(&self) -> Duration {
        let others = self.partitions.values().filter(|p| !p.host.is_empty());
        others.map(|p| p.longest).max().unwrap_or_default()
    }

    fn look(&mut self, scene: &Scene) -> Result<(), String> {
        std::thread::sleep(LOOK_EVERY);
        let status = scene.cluster.try_status(&scene.job).map_err(|e| {
            self.well = None;
            e.to_string()
        })?;
        let now = Instant::now();
        for partition in &status.partitions {
            let number = partition.partition.as_ref().map_or(0, |p| p.partition);
            let position = partition.report.as_ref().map_or(0, |r| r.position);
            let seen = self.partitions.entry(number).or_insert_with(|| Seen {
                host: partition.host.clone(),
                position,
                since: now,
                longest: Duration::ZERO,
            });
            if self.begun.elapsed() >= NOTICED {
                let reported = partition.report.as_ref().map_or(0, |r| r.stall_ms);
                seen.longest = seen.longest.max(Duration::from_millis(reported));
            }
            if position != seen.position {
                (seen.position, seen.since) = (position, now);
            }
        }
        let stalled: Vec<u32> = self
            .partitions
            .iter()
            .filter(|(_, seen)| now - seen.since > STALLED)
            .map(|(number, _)| *number)
            .collect();
        let known = self.partitions.len() == scene.topic.partitions as usize;
        // Nobody in the feed goes quiet: all who were in the ranking must be there.
        let filled = ranked(scene).is_some_and(|now| now >= self.ranked);
        if status.state() == JobState::Running && known && filled && stalled.is_empty() {
            self.well.get_or_insert(self.begun.elapsed());
            return Ok(());
        }
        self.well = None;
        Err(format!(
            "{:?} `{}`, the ranking is whole: {filled}, stalled: {stalled:?}",
            status.state(),
            status.reason
        ))
    }
}
