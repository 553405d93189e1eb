//! What a person reads of a kol-master that is lost, whoever ended it: a machine without I/O.
//!
//! 1. It is lost when its process has ended. It is started again [`AWAY`] later: until then executors can be seen to
//!    continue.
//! 2. It is back with the first status in which each partition has a report of its owner again. What executors did
//!    meanwhile is the difference to the last status before, partition by partition.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_client::render::grouped;
use kol_common::SourcePartition;
use kol_common::proto::JobStatus;

/// How long it stays away.
pub(super) const AWAY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Of each partition in the last status: who had it, under which assignment epoch, and where that was.
    known: BTreeMap<SourcePartition, Reading>,
    lost: Option<Duration>,
    started: bool,
}

#[derive(Clone, Debug)]
struct Reading {
    owner: (String, u64),
    position: u64,
}

impl Outage {
    /// Its process has ended: what to say of that, once.
    pub(super) fn ended(&mut self, now: Duration) -> Option<String> {
        if self.lost.is_some() && !self.started {
            return None;
        }
        self.started = false;
        let first = self.lost.is_none();
        self.lost.get_or_insert(now);
        first.then(|| {
            format!(
                "kol-master was lost: executors continue without it; it is started again in {} s",
                AWAY.as_secs()
            )
        })
    }

    /// Whether it is to be started now; says so once.
    pub(super) fn begin_start(&mut self, now: Duration) -> bool {
        let due = !self.started && self.lost.is_some_and(|at| now >= at + AWAY);
        self.started |= due;
        due
    }

    /// Takes a status: what to say when it is back.
    pub(super) fn look(&mut self, now: Duration, status: &JobStatus) -> Option<String> {
        let seen = readings(status);
        let Some(lost) = self.lost else {
            self.known = seen;
            return None;
        };
        if seen.len() < self.known.len().max(1) {
            return None;
        }
        self.lost = None;
        self.started = false;
        let text = self.said(now.saturating_sub(lost), &seen);
        self.known = seen;
        Some(text)
    }

    fn said(&self, away: Duration, seen: &BTreeMap<SourcePartition, Reading>) -> String {
        let (mut read, mut kept) = (0, 0);
        for (partition, before) in &self.known {
            if let Some(after) = seen.get(partition) {
                read += after.position.saturating_sub(before.position);
                kept += usize::from(after.owner == before.owner);
            }
        }
        let owners = match self.known.len() - kept {
            0 => "each partition is still where it was".to_owned(),
            moved => format!("{moved} of {} partitions have moved", self.known.len()),
        };
        format!(
            "kol-master is back after {:.1} s: executors had read {} events without it, and {owners}",
            away.as_secs_f64(),
            grouped(read)
        )
    }
}

fn readings(status: &JobStatus) -> BTreeMap<SourcePartition, Reading> {
    let reported = status.partitions.iter().filter_map(|status| {
        let (partition, report) = (status.partition.clone()?, status.report.as_ref()?);
        let reading = Reading {
            owner: (status.host.clone(), report.assignment_epoch),
            position: report.position,
        };
        (!status.host.is_empty()).then(|| (partition.into(), reading))
    });
    reported.collect()
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{PartitionReport, PartitionStatus};

    use super::*;

    /// Of each partition its owner, the assignment epoch and the position; no report without an epoch.
    fn status(places: &[(&str, u64, u64)]) -> JobStatus {
        let partition =
            |(number, &(host, assignment_epoch, position)): (u32, &(&str, u64, u64))| {
                PartitionStatus {
                    partition: Some((&SourcePartition::new("t", number)).into()),
                    host: host.into(),
                    report: (assignment_epoch > 0).then(|| PartitionReport {
                        assignment_epoch,
                        position,
                        ..PartitionReport::default()
                    }),
                    ..PartitionStatus::default()
                }
            };
        JobStatus {
            partitions: (0..).zip(places).map(partition).collect(),
            ..JobStatus::default()
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_master_that_is_lost_is_started_again_and_what_executors_did_meanwhile_is_said() {
        let mut outage = Outage::default();
        let before = status(&[("a", 1, 100), ("b", 1, 100)]);
        assert_eq!(outage.look(at(1), &before), None);
        let lost = outage.ended(at(2)).unwrap();
        assert!(lost.starts_with("kol-master was lost: executors continue"));
        assert_eq!(outage.ended(at(3)), None, "said once");
        assert!(!outage.begin_start(at(6)));
        assert!(outage.begin_start(at(7)));
        assert!(!outage.begin_start(at(7)), "once");
        let silent = status(&[("a", 1, 400), ("", 0, 0)]);
        assert_eq!(outage.look(at(8), &silent), None, "not all have called yet");
        let back = status(&[("a", 1, 400), ("b", 1, 350)]);
        assert_eq!(
            outage.look(at(9), &back).unwrap(),
            "kol-master is back after 7.0 s: executors had read 550 events without it, and each partition is still \
             where it was"
        );
        assert_eq!(outage.look(at(10), &back), None);
        assert!(outage.ended(at(11)).is_some(), "again");
        assert!(outage.begin_start(at(16)));
        let moved = status(&[("a", 1, 400), ("a", 2, 300)]);
        let text = outage.look(at(17), &moved).unwrap();
        assert!(text.ends_with("and 1 of 2 partitions have moved"), "{text}");
    }

    #[test]
    fn a_master_that_ends_again_before_it_is_back_is_started_again() {
        let mut outage = Outage::default();
        outage.look(at(0), &status(&[("a", 1, 1)]));
        outage.ended(at(1));
        assert!(outage.begin_start(at(6)));
        assert_eq!(outage.ended(at(7)), None, "it was never back");
        assert!(outage.begin_start(at(7)));
    }
}
