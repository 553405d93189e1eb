//! What a person reads of executors that are lost, whoever ended them: a machine without I/O.
//!
//! 1. An executor is lost when its process has ended. Its partitions are those that it had just before.
//! 2. They have moved once each of them has another owner.
//! 3. All is well again once each of them was read by another owner to the end of its log, as far as that is known, and
//!    the job has no problem.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kol_common::SourcePartition;
use kol_common::proto::{JobStatus, PartitionState, PartitionStatus};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// What each executor had in the last status, and under which assignment epoch.
    owned: BTreeMap<String, BTreeMap<SourcePartition, u64>>,
    /// Executors whose end was noticed.
    ended: BTreeSet<String>,
    open: Vec<Loss>,
}

/// One executor that was lost.
#[derive(Debug)]
struct Loss {
    executor: String,
    at: Duration,
    /// How many partitions it had, and the executors that have them now.
    partitions: usize,
    heirs: BTreeSet<String>,
    /// Those without another owner.
    unmoved: BTreeSet<SourcePartition>,
    /// Those that no other owner has read to the end, and the assignment epoch under which it had them.
    unread: BTreeMap<SourcePartition, u64>,
}

impl Losses {
    /// What there is to say of this moment; `executors` are all, and whether their processes run.
    pub(super) fn look(
        &mut self,
        now: Duration,
        executors: &[(String, bool)],
        status: &JobStatus,
    ) -> Vec<String> {
        let mut said = Vec::new();
        let is_left = executors.iter().any(|(_, runs)| *runs);
        for (executor, _) in executors.iter().filter(|(_, runs)| !runs) {
            if self.ended.insert(executor.clone()) {
                said.extend(self.lost(now, executor, is_left));
            }
        }
        let is_well = status.problems.is_empty();
        self.open.retain_mut(|loss| {
            said.extend(loss.moved(now, &status.partitions));
            let over = is_well && loss.is_over();
            if over {
                said.push(format!(
                    "all is well again {} after {} was lost: others have read its partitions to the end",
                    seconds(now - loss.at),
                    loss.executor
                ));
            }
            !over
        });
        self.owned.clear();
        for (partition, place) in status.partitions.iter().filter_map(placed) {
            let owned = self.owned.entry(place.host.clone()).or_default();
            owned.insert(partition, epoch(place));
        }
        said
    }

    /// An executor has ended.
    fn lost(&mut self, now: Duration, executor: &str, is_left: bool) -> Option<String> {
        let had = self.owned.remove(executor).unwrap_or_default();
        if had.is_empty() {
            return Some(format!("{executor} has ended: it had no partitions"));
        }
        let next = if is_left {
            "others take them over within seconds"
        } else {
            "nobody is left to take them over"
        };
        let text = format!("{executor} was lost with {}: {next}", count(had.len()));
        self.open.push(Loss {
            executor: executor.to_owned(),
            at: now,
            partitions: had.len(),
            heirs: BTreeSet::new(),
            unmoved: had.keys().cloned().collect(),
            unread: had,
        });
        Some(text)
    }
}

impl Loss {
    /// Looks who has its partitions; what to say when the last of them has moved.
    fn moved(&mut self, now: Duration, partitions: &[PartitionStatus]) -> Option<String> {
        let had_unmoved = !self.unmoved.is_empty();
        for (partition, place) in partitions.iter().filter_map(placed) {
            if place.host == self.executor {
                continue;
            }
            if self.unmoved.remove(&partition) {
                self.heirs.insert(place.host.clone());
            }
            let before = self.unread.get(&partition);
            if before.is_some_and(|before| epoch(place) > *before) && is_read(place) {
                self.unread.remove(&partition);
            }
        }
        (had_unmoved && self.unmoved.is_empty()).then(|| {
            let heirs: Vec<&str> = self.heirs.iter().map(String::as_str).collect();
            format!(
                "the {} of {} moved to {} after {}",
                count(self.partitions),
                self.executor,
                heirs.join(", "),
                seconds(now - self.at)
            )
        })
    }

    fn is_over(&self) -> bool {
        self.unmoved.is_empty() && self.unread.is_empty()
    }
}

/// A partition that has an owner.
fn placed(status: &PartitionStatus) -> Option<(SourcePartition, &PartitionStatus)> {
    let partition = status.partition.clone()?;
    (!status.host.is_empty()).then(|| (partition.into(), status))
}

/// The assignment epoch of the newest report.
fn epoch(status: &PartitionStatus) -> u64 {
    let report = status.report.as_ref();
    report.map_or(0, |report| report.assignment_epoch)
}

fn is_read(status: &PartitionStatus) -> bool {
    status.report.as_ref().is_some_and(|report| {
        report.state() == PartitionState::Running
            && report.end_offset.is_some_and(|end| report.position >= end)
    })
}

fn count(partitions: usize) -> String {
    match partitions {
        1 => "1 partition".into(),
        _ => format!("{partitions} partitions"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{ErrorInfo, PartitionReport};

    use super::*;

    const RUN: [(&str, bool); 2] = [("executor-0", true), ("executor-1", true)];
    const ONE_LEFT: [(&str, bool); 2] = [("executor-0", true), ("executor-1", false)];

    /// Two partitions; of each its owner, the assignment epoch of its report, and how much of ten records is read.
    fn status(places: [(&str, u64, u64); 2]) -> JobStatus {
        let partition = |(number, (host, assignment_epoch, position)): (u32, (&str, u64, u64))| {
            PartitionStatus {
                partition: Some((&SourcePartition::new("t", number)).into()),
                host: host.into(),
                report: Some(PartitionReport {
                    assignment_epoch,
                    position,
                    end_offset: Some(10),
                    state: PartitionState::Running.into(),
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

    /// What is said, look after look, one a second.
    #[derive(Default)]
    struct Watcher {
        losses: Losses,
        second: u64,
    }

    impl Watcher {
        fn sees(&mut self, executors: [(&str, bool); 2], status: &JobStatus) -> Vec<String> {
            let executors = executors.map(|(name, runs)| (name.to_owned(), runs));
            self.second += 1;
            let now = Duration::from_secs(self.second);
            self.losses.look(now, &executors, status)
        }
    }

    #[test]
    fn a_loss_is_said_with_its_partitions_then_that_they_moved_and_then_that_all_is_well() {
        let mut watcher = Watcher::default();
        let before = status([("executor-0", 1, 10), ("executor-1", 1, 10)]);
        assert_eq!(watcher.sees(RUN, &before), [""; 0]);
        assert_eq!(
            watcher.sees(ONE_LEFT, &before),
            ["executor-1 was lost with 1 partition: others take them over within seconds"]
        );
        assert_eq!(watcher.sees(ONE_LEFT, &before), [""; 0], "said once");
        let waits = status([("executor-0", 1, 10), ("", 1, 10)]);
        assert_eq!(watcher.sees(ONE_LEFT, &waits), [""; 0]);
        // Until the next owner reports, the report is of the one before.
        let moved = status([("executor-0", 1, 10), ("executor-0", 1, 10)]);
        assert_eq!(
            watcher.sees(ONE_LEFT, &moved),
            ["the 1 partition of executor-1 moved to executor-0 after 3.0 s"]
        );
        let behind = status([("executor-0", 1, 10), ("executor-0", 2, 7)]);
        assert_eq!(watcher.sees(ONE_LEFT, &behind), [""; 0]);
        let mut troubled = status([("executor-0", 1, 10), ("executor-0", 2, 10)]);
        troubled.problems.push(ErrorInfo::default());
        assert_eq!(watcher.sees(ONE_LEFT, &troubled), [""; 0]);
        let well = status([("executor-0", 1, 9), ("executor-0", 2, 9)]);
        assert_eq!(
            watcher.sees(ONE_LEFT, &well),
            [
                "all is well again 6.0 s after executor-1 was lost: others have read its partitions to the end"
            ]
        );
        assert_eq!(watcher.sees(ONE_LEFT, &well), [""; 0]);
    }

    #[test]
    fn the_last_executor_that_is_lost_leaves_nobody() {
        let mut watcher = Watcher::default();
        let both = status([("executor-0", 1, 10), ("executor-0", 1, 10)]);
        watcher.sees(RUN, &both);
        let none = [("executor-0", false), ("executor-1", false)];
        assert_eq!(
            watcher.sees(none, &both),
            [
                "executor-0 was lost with 2 partitions: nobody is left to take them over",
                "executor-1 has ended: it had no partitions"
            ]
        );
    }
}
