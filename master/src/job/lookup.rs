//! Looking at Kafka and Redis: before the job can run, and from then on for new partitions.

use std::time::Duration;

use kol_common::{KolError, Millis};

use super::discovery::Found;
use super::machine::{Job, Out};
use super::partition::Partition;
use super::record::{End, PartitionRecord, Phase};

/// How often the topics are looked at for new partitions.
const REDISCOVER: Duration = Duration::from_secs(10);

/// When the topics are looked at next, or that they are now; with the failures in a row.
#[derive(Debug)]
pub(super) enum Lookup {
    At(Millis, u32),
    UnderWay(u32),
}

impl Job {
    pub(super) fn look_up(&mut self, now: Millis, out: &mut Out) {
        if let Lookup::At(at, failures) = self.discovery
            && now >= at
        {
            self.discovery = Lookup::UnderWay(failures);
            out.discover = true;
        }
    }

    pub(super) fn discovered(
        &mut self,
        now: Millis,
        found: Result<Found, KolError>,
        out: &mut Out,
    ) {
        let failures = match self.discovery {
            Lookup::UnderWay(failures) | Lookup::At(_, failures) => failures,
        };
        match found {
            Ok(found) => {
                self.discovery_problem = None;
                let next = Millis(now.0 + Millis::from(REDISCOVER).0);
                self.discovery = Lookup::At(next, 0);
                self.adopt_discovery(now, found, out);
            }
            Err(error) => {
                if self.record.phase == Phase::Starting && !error.retryable {
                    self.end(now, End::Failed, error.to_string(), out);
                }
                let pause = self.pause(failures, u64::from(failures));
                self.discovery = Lookup::At(Millis(now.0 + pause.0), failures + 1);
                self.discovery_problem = Some(error);
            }
        }
    }

    fn adopt_discovery(&mut self, now: Millis, found: Found, out: &mut Out) {
        if !matches!(self.record.phase, Phase::Starting | Phase::Running) {
            return;
        }
        for (partition, start_offset) in found.partitions {
            if self
                .partitions
                .iter()
                .any(|p| p.record.partition == partition)
            {
                continue;
            }
            let record = PartitionRecord {
                partition,
                slot: self.partitions.len() as u32,
                start_offset,
                epoch: 0,
                owner: None,
            };
            self.partitions.push(Partition::restore(record, now, now));
            out.persist = true;
        }
        if self.record.phase == Phase::Starting {
            self.record.generation = found.generation;
            self.record.phase = Phase::Running;
            out.persist = true;
            if let Some(state) = found.state {
                self.inherit(now, *state, out);
            }
        }
    }
}
