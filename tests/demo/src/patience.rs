//! Waits while there is progress, however slow the machine is: a machine without I/O, and what is said when it ends.

use std::time::Duration;

use kol_client::render::grouped;
use kol_common::proto::JobStatus;

/// A job that does nothing for so long will not do it.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// How much was done, and when that was last more than before.
#[derive(Debug, Default)]
pub(super) struct Patience {
    most: u64,
    since: Duration,
}

impl Patience {
    /// Takes how much is done at this time; false once that was not more for [`STALL`].
    pub(super) fn holds(&mut self, now: Duration, done: u64) -> bool {
        if done > self.most {
            self.most = done;
            self.since = now;
        }
        now.saturating_sub(self.since) < STALL
    }
}

/// How much a job has done: grows with what it reads and with what it sends to Redis.
pub(super) fn done(status: &JobStatus) -> u64 {
    let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
    let done = reports.map(|r| r.position + r.confirmed.as_ref().map_or(0, |c| c.position));
    let merges = status.totals.as_ref().map_or(0, |totals| totals.merges);
    done.sum::<u64>() + merges
}

/// How many records all owners have read: the sum of their positions.
pub(super) fn read(status: &JobStatus) -> u64 {
    let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
    reports.map(|report| report.position).sum()
}

/// Why nothing more is waited for; `status` is the last one, if there is any.
pub(super) fn sentence(status: Option<&JobStatus>, events: u64) -> String {
    let seconds = STALL.as_secs();
    let Some(status) = status else {
        return format!("kol-master has not answered for {seconds} s");
    };
    let problem = status.problems.first().map_or_else(
        || "the job names no problem, so this machine may be too busy".to_owned(),
        |problem| format!("the job says: {}", problem.message),
    );
    format!(
        "for {seconds} s nothing more was read or written: {} of {} events are read, and {problem}",
        grouped(read(status).min(events)),
        grouped(events)
    )
}

#[cfg(test)]
mod tests {
    use kol_common::KolError;
    use kol_common::proto::{Confirmed, PartitionReport, PartitionStatus};

    use super::*;

    fn status(position: u64, confirmed: u64) -> JobStatus {
        let report = PartitionReport {
            position,
            confirmed: Some(Confirmed {
                position: confirmed,
                ..Confirmed::default()
            }),
            ..PartitionReport::default()
        };
        JobStatus {
            partitions: vec![PartitionStatus {
                report: Some(report),
                ..PartitionStatus::default()
            }],
            ..JobStatus::default()
        }
    }

    #[test]
    fn what_progresses_however_slowly_is_waited_for_and_what_stalls_for_a_minute_is_not() {
        let mut patience = Patience::default();
        for minute in 1..100 {
            let now = Duration::from_secs(minute * 59);
            assert!(patience.holds(now, minute), "{minute}");
        }
        let last = Duration::from_secs(99 * 59);
        // A partition that moved begins at an epoch.
        assert!(patience.holds(last + STALL / 2, 40));
        assert!(!patience.holds(last + STALL, 40));
    }

    #[test]
    fn what_is_read_and_what_redis_has_are_progress() {
        assert!(done(&status(5, 2)) > done(&status(4, 2)));
        assert!(done(&status(5, 3)) > done(&status(5, 2)));
    }

    #[test]
    fn a_wait_that_ends_is_one_sentence_with_what_the_job_says() {
        let mut stalled = status(261_000, 0);
        let problem = KolError::external("SINK_STALE", "Redis lacks changes");
        stalled.problems.push(problem.to_info());
        let text = sentence(Some(&stalled), 384_000);
        assert_eq!(
            text,
            "for 60 s nothing more was read or written: 261,000 of 384,000 events are read, and the job says: Redis \
             lacks changes"
        );
        assert!(sentence(None, 1).contains("kol-master has not answered"));
    }
}
