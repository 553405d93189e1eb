//! The alerts of a job, as its partitions and the tasks of its destinations use them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kol_common::KolError;
use kol_common::alerts::{Kind, Way};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backlog::{BEHIND, Backlog};
use super::counts;
use crate::sink::Noted;

/// The alerts of a job. Clones share everything.
#[derive(Clone, Debug)]
pub struct Alerts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    job: String,
    /// How many owners each fence record has here: two for a moment, when a partition comes back.
    followed: Mutex<BTreeMap<String, usize>>,
    backlogs: BTreeMap<Kind, Mutex<Backlog>>,
    stop: CancellationToken,
}

/// Alerts of a partition are delivered until this is dropped.
#[derive(Debug)]
pub struct Following {
    alerts: Alerts,
    fence: String,
}

impl Alerts {
    /// Of a job with these destinations.
    pub(super) fn new(job: &str, ways: &[Arc<dyn Way>], stop: CancellationToken) -> Self {
        let backlog = |way: &Arc<dyn Way>| (way.kind(), Mutex::new(Backlog::new(way.name())));
        Self(Arc::new(Shared {
            job: job.to_owned(),
            followed: Mutex::default(),
            backlogs: ways.iter().map(backlog).collect(),
            stop,
        }))
    }

    /// Name of the job.
    pub(super) fn job(&self) -> &str {
        &self.0.job
    }

    /// Cancelled when the job has no partition here any more.
    pub(super) fn stopped(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Delivers what waits for a partition, by the key of its fence record.
    pub fn follow(&self, fence: &str) -> Following {
        *self.followed().entry(fence.to_owned()).or_default() += 1;
        Following {
            alerts: self.clone(),
            fence: fence.to_owned(),
        }
    }

    /// A flush noted these.
    pub fn noted(&self, noted: &Noted) {
        counts::noted(&self.0.job, noted);
        let now = Instant::now();
        for (kind, lost) in [Kind::Topic, Kind::Webhook].into_iter().zip(noted.lost) {
            if lost > 0
                && let Some(mut backlog) = self.backlog(kind)
            {
                counts::lost(&self.0.job, kind, lost);
                if backlog.lost(now, lost).is_some() {
                    let (job, to) = (self.job(), kind.as_str());
                    tracing::warn!(
                        code = BEHIND,
                        job,
                        to,
                        lost,
                        "alerts are lost: too many of a partition wait"
                    );
                }
            }
        }
    }

    /// Why alerts do not arrive, if so.
    pub fn problems(&self) -> Vec<KolError> {
        let now = Instant::now();
        let all = self
            .0
            .backlogs
            .keys()
            .filter_map(|kind| self.backlog(*kind));
        all.flat_map(|backlog| backlog.problems(now)).collect()
    }

    /// No partition is left: what waits now is tried once more, within a deadline.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// The fence records of the partitions that are here.
    pub(super) fn followed(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        let followed = self.0.followed.lock();
        followed.unwrap_or_else(PoisonError::into_inner)
    }

    /// That of a destination.
    pub(super) fn backlog(&self, kind: Kind) -> Option<MutexGuard<'_, Backlog>> {
        let backlog = self.0.backlogs.get(&kind)?;
        Some(backlog.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followed = self.alerts.followed();
        if let Some(owners) = followed.get_mut(&self.fence) {
            *owners -= 1;
            if *owners == 0 {
                followed.remove(&self.fence);
            }
        }
    }
}
