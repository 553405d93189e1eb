//! The cluster of the demo until its screen opens, and after it is closed: submits, waits, and starts a master again
//! that has ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kol_client::render::grouped;
use kol_common::error::info_of;
use kol_common::proto::JobStatus;
use kol_harness::Cluster;

use super::patience::{Patience, done, read, sentence};
use super::{INTERRUPTED, NAME};

/// Time between two looks at the job.
const LOOK: Duration = Duration::from_millis(100);
/// How long a look waits for the master.
const ANSWER: Duration = Duration::from_secs(1);
/// How often a wait says how far it has come.
const SAY: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Stage<'i> {
    /// Master and executors, which end with it.
    pub(super) cluster: Cluster,
    /// Somebody wants it to end at once.
    pub(super) interrupted: &'i AtomicBool,
}

impl Stage<'_> {
    /// Fails once it is to end.
    pub(super) fn ensure_wanted(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.interrupted.load(Ordering::Relaxed), INTERRUPTED);
        Ok(())
    }

    /// Submits the job; answers its id.
    pub(super) fn submit(&mut self, spec: String) -> anyhow::Result<String> {
        let (begun, mut patience) = (Instant::now(), Patience::default());
        loop {
            self.ensure_wanted()?;
            self.keep_master();
            // The master may have ended before it could say that it took the job.
            if let Ok(status) = self.cluster.try_status_within(NAME, ANSWER) {
                return Ok(status.job_id);
            }
            match self.cluster.try_submit(spec.clone()) {
                Ok(reply) => return Ok(reply.job_id),
                // What the master itself says is final; a connection that breaks is not.
                Err(refused) if info_of(&refused).is_some() => {
                    anyhow::bail!("the job was refused: {}", refused.message());
                }
                Err(_) if patience.holds(begun.elapsed(), 0) => std::thread::sleep(LOOK),
                Err(_) => anyhow::bail!(sentence(None, 0)),
            }
        }
    }

    /// Waits until everything up to `events` records is read and confirmed by Redis, as long as there is progress.
    pub(super) fn caught_up(&mut self, job: &str, events: u64) -> anyhow::Result<JobStatus> {
        let (begun, mut patience) = (Instant::now(), Patience::default());
        let (mut last, mut said) = (None, Duration::ZERO);
        loop {
            self.ensure_wanted()?;
            self.keep_master();
            if let Ok(status) = self.cluster.try_status_within(job, ANSWER) {
                if status.caught_up && read(&status) >= events {
                    return Ok(status);
                }
                last = Some(status);
            }
            let now = begun.elapsed();
            if !patience.holds(now, last.as_ref().map_or(0, done)) {
                anyhow::bail!(sentence(last.as_ref(), events));
            }
            if now >= said + SAY {
                said = now;
                let read = last.as_ref().map_or(0, read).min(events);
                println!("{} of {} events are read.", grouped(read), grouped(events));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn keep_master(&mut self) {
        if !self.cluster.master.runs() {
            println!("kol-master was lost, and is started again: executors continue meanwhile.");
            self.cluster.restart_master();
        }
    }
}
