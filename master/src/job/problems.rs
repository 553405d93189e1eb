//! What is wrong with a job.

use std::collections::BTreeSet;

use kol_common::KolError;
use kol_common::proto::{ErrorInfo, UnseenRoot};
use kol_common::redis::RIGHTS_MISSING;

use super::ends::is_served;
use super::fleet::Executor;
use super::partition::Partition;
use super::places::places;
use super::record::Phase;
use super::status::View;

/// Problems shown of one job: one broken Redis makes one for each partition.
const MOST_PROBLEMS: usize = 20;

impl View<'_> {
    /// What is wrong now: what stops most first, each once.
    pub(super) fn problems(&self) -> Vec<ErrorInfo> {
        let mut problems: Vec<ErrorInfo> = Vec::new();
        if matches!(self.record.phase, Phase::Over(_)) {
            return problems;
        }
        // Without any executor that is the reason for everything else; with one, it is a consequence.
        let unserved = self.unserved();
        let (first, last) = if self.fleet.values().any(Executor::callable) {
            (None, unserved)
        } else {
            (unserved, None)
        };
        let failures = self.stages().iter().filter_map(|p| p.failure.clone());
        let places = places(self.record, self.partitions, self.epochs);
        let unseen = self.fleet.values().filter(|e| e.callable());
        let unseen = unseen.filter_map(|e| Some(misses(e, e.misses(&places)?)));
        let reported = self.stages().iter().flat_map(|p| {
            let all = p
                .current_report()
                .into_iter()
                .flat_map(|report| report.problem.iter().chain(&report.more_problems));
            all.map(|problem| {
                let mut problem = problem.clone();
                problem
                    .partition
                    .get_or_insert((&p.record.partition).into());
                problem
            })
        });
        let discovery = self.lookup_problem.map(KolError::to_info);
        let found = first
            .into_iter()
            .chain(unseen)
            .chain(failures)
            .chain(reported);
        let checkpoints = self.epochs.problem().map(|problem| {
            let problem = problem.clone().job(&self.record.spec.name);
            problem.to_info()
        });
        let tenure = self.tenure_problem.map(KolError::to_info);
        let found = found.chain(tenure).chain(discovery);
        for problem in found.chain(checkpoints).chain(last) {
            // All of a job's connections log in as one user: what one of them says of its rights, others repeat.
            let of_user = problem.code == RIGHTS_MISSING;
            let known =
                |p: &ErrorInfo| p.code == problem.code && (of_user || p.message == problem.message);
            if problems.len() < MOST_PROBLEMS && !problems.iter().any(known) {
                problems.push(problem);
            }
        }
        problems
    }

    /// Partitions without an owner that answers.
    pub(super) fn unserved(&self) -> Option<ErrorInfo> {
        if self.record.phase != Phase::Running {
            return None;
        }
        let unserved = |p: &&Partition| !is_served(p, self.fleet);
        let count = self.stages().iter().filter(unserved).count();
        if count == 0 {
            return None;
        }
        let all = self.stages().iter().count();
        let hosts = self.fleet.values().map(|e| e.site.host.as_str());
        let error = if self.fleet.values().any(Executor::callable) {
            KolError::external(
                "PARTITIONS_WAITING",
                format!("{count} of {all} partitions wait for an executor"),
            )
            .help("They are assigned by themselves within seconds; see kol-client partitions.")
        } else {
            let what = if self.fleet.is_empty() {
                "no executor is registered: start one with kol-executor --master http://HOST:7077"
                    .to_owned()
            } else {
                let hosts: BTreeSet<&str> = hosts.collect();
                let hosts = hosts.into_iter().collect::<Vec<_>>().join(", ");
                format!("no executor answers: look at kol-executor on {hosts}")
            };
            KolError::external("NO_EXECUTOR", what)
                .help(format!("{count} of {all} partitions wait for it."))
        };
        Some(error.job(&self.record.spec.name).to_info())
    }
}

/// An executor that does not see one of these places.
fn misses(executor: &Executor, root: &UnseenRoot) -> ErrorInfo {
    let error = root.error.clone().unwrap_or_default();
    ErrorInfo {
        help: format!(
            "Executor on {}: {} It gets no partitions of this job until then.",
            executor.site.host, error.help
        ),
        ..error
    }
}
