//! What must hold of a cluster in the end: Redis equals the fold, and no log has a line that nobody explains.

use std::time::Duration;

use kol_common::Millis;
use kol_common::job::ScoringSpec;
use kol_common::proto::JobStatus;
use kol_fold::{Fold, Record, View};

use super::jobs::{explain, scoring};
use super::{Cluster, RedisServer, Topic, compare_below, compare_market, unexpected};

fn fold(scoring: &ScoringSpec) -> Fold {
    let mut fold = Fold::new(scoring);
    fold.set_present(Millis::now().0);
    fold
}

/// What the fold makes of these records, now.
pub fn fold_of(scoring: &ScoringSpec, log: &[Record]) -> View {
    let mut fold = fold(scoring);
    for record in log {
        fold.apply(record);
    }
    fold.view().expect("events")
}

/// Fails where Redis differs from this view of a job that is caught up.
fn assert_equal(prefix: &str, status: &JobStatus, view: &View, redis: &RedisServer) {
    let mut differences = compare_below(&mut redis.connect(), prefix, view);
    if scoring(status).profile != kol_common::job::Profile::SparkCompat {
        differences.extend(compare_market(status, view));
    }
    let first: Vec<_> = differences.iter().take(20).collect();
    assert!(
        differences.is_empty(),
        "{} differences from the fold of {} KOLs: {first:#?}\nmarket {:?}\nstatus {}",
        differences.len(),
        view.kols.len(),
        view.market,
        explain(status)
    );
}

impl Cluster {
    /// The law of the whole system: caught up, Redis equals the fold of what is in the log.
    pub fn assert_equals_fold(
        &self,
        job: &str,
        topic: &Topic,
        redis: &RedisServer,
        limit: Duration,
    ) {
        let status = self.try_status(job).expect("a status");
        let mut fold = fold(&scoring(&status));
        let mut records = 0;
        // One after the other: a log may be larger than memory.
        topic.each_record(|record| {
            fold.apply(&record);
            records += 1;
        });
        let status = self.wait_caught_up(job, records, limit);
        let view = fold.view().expect("events");
        assert_equal("", &status, &view, redis);
    }

    /// The same for records that the log does not have any more, or not yet in that order.
    pub fn assert_equals_fold_of(
        &self,
        job: &str,
        log: &[Record],
        redis: &RedisServer,
        limit: Duration,
    ) {
        self.assert_equals_fold_below("", job, log, redis, limit);
    }

    /// The same where all keys begin with `prefix`.
    pub fn assert_equals_fold_below(
        &self,
        prefix: &str,
        job: &str,
        log: &[Record],
        redis: &RedisServer,
        limit: Duration,
    ) {
        let status = self.wait_caught_up(job, log.len() as u64, limit);
        let view = fold_of(&scoring(&status), log);
        assert_equal(prefix, &status, &view, redis);
    }

    /// Fails when a server complained about something the scenario does not explain.
    pub fn assert_no_complaints(&self) {
        let standbys = self.standbys.iter().map(|standby| &standby.process);
        for process in self.executors.iter().chain([&self.master]).chain(standbys) {
            let complaints = unexpected(&process.log(), &self.allowed);
            assert!(
                complaints.is_empty(),
                "{} complains: {complaints:#?}",
                process.name()
            );
        }
    }
}
