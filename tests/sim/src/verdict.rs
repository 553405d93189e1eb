//! The verdict on a simulation, as far as there is one.

use kol_common::job::JobSpec;
use kol_common::proto::{JobState, JobStatus};

use super::nodes::Shared;
use super::run::PRESENT;
use kol_fold::Fold;
use kol_harness::{Shown, compare_market};

/// How a difference reads that is a creator too many.
const ORPHAN: &str = "is in Redis, not in the fold";
/// Differences that are shown.
const MOST: usize = 10;

/// See the module.
pub enum Verdict {
    /// The law holds.
    Well,
    /// There is none yet, and why.
    NotYet(String),
    /// It does not, and will not.
    Wrong(Vec<String>),
}

/// The law of the whole system, as far as it can be judged now: Redis equals the fold of the log under the
/// spec of the newest job.
pub fn of(shared: &Shared) -> Verdict {
    if let Some(errand) = shared.errands.borrow().front() {
        let why = shared.refusal.borrow();
        return Verdict::NotYet(format!("the person is not done with {errand:?}: {why}"));
    }
    let status = shared.status.borrow();
    let Some(status) = status.as_ref() else {
        return Verdict::NotYet("no answer from the master".into());
    };
    if status.state() == JobState::Failed {
        return Verdict::Wrong(vec![format!("the job failed: {}", status.reason)]);
    }
    let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
    let read: u64 = reports.map(|r| r.position).sum();
    if !status.caught_up || read < shared.log.written() {
        return Verdict::NotYet(explain(status));
    }
    if let Some(why) = shared.drains.borrow().undrained() {
        return Verdict::NotYet(why);
    }
    let Ok(spec) = serde_json::from_str::<JobSpec>(&status.spec_json) else {
        return Verdict::Wrong(vec!["a spec that cannot be read".into()]);
    };
    let mut fold = Fold::new(&spec.scoring);
    fold.set_present(PRESENT.0);
    let wants_letters = spec.source.kafka().dead_letter.is_some();
    let mut missing = Vec::new();
    for record in &shared.log.records() {
        let (partition, offset) = (record.partition, record.offset);
        if fold.rejects(record) && wants_letters && !shared.log.letters().has(partition, offset) {
            missing.push(format!("no dead letter of the record {partition}/{offset}"));
        }
    }
    let cools = spec.scoring.idle_timeout.is_some();
    let shown_at = status
        .window_end_ms
        .filter(|_| cools)
        .max(fold.window_end());
    let Some(view) = shown_at.map(|end| fold.view_at(end)) else {
        return Verdict::Wrong(vec!["nothing was read".into()]);
    };
    let db = shared.redis.db();
    let shown = Shown {
        rankings: db.rankings("ranking:"),
        hashes: shared.redis.hashes(),
    };
    let mut differences = shown.differences(&view);
    differences.extend(compare_market(status, &view));
    differences.extend(missing);
    if differences.is_empty() {
        return Verdict::Well;
    }
    let count = differences.len();
    // Nobody knows these any more: they are taken out behind everything else.
    let all_orphans = differences.iter().all(|d| d.ends_with(ORPHAN));
    differences.truncate(MOST);
    differences.insert(0, format!("{count} differences: {}", explain(status)));
    // Where the clock advances by itself, Redis may be further than what the person saw; and what Redis lost alone is
    // back within a minute.
    if all_orphans || cools || shared.gaps.get() {
        Verdict::NotYet(differences.join("; "))
    } else {
        Verdict::Wrong(differences)
    }
}

fn explain(status: &JobStatus) -> String {
    let partitions: Vec<_> = status
        .partitions
        .iter()
        .map(|p| {
            let report = p.report.as_ref();
            let at = report.map(|r| (r.state().as_str_name(), r.position, r.end_offset));
            (p.host.as_str(), at, report.and_then(|r| r.confirmed))
        })
        .collect();
    format!(
        "{:?} `{}`, generation {}, caught up {}, t {:?}, market {:?}, partitions {partitions:?}",
        status.state(),
        status.reason,
        status.generation,
        status.caught_up,
        status.window_end_ms,
        status.market
    )
}
