//! What the supervisor sends by itself: reports, heartbeats, and which checkpoint roots it does not see.

use kol_common::proto;
use kol_common::proto::executor_message::Body;
use kol_common::{JobId, Millis, SourcePartition};
use tokio::time::Instant;

use super::driver::Supervisor;

/// Reports between two heartbeats.
const REPORTS_A_HEARTBEAT: u32 = 5;

impl Supervisor {
    /// One round of reports.
    pub(super) fn report(&mut self) {
        self.discard_forgotten(Instant::now());
        let process = self.options.process.as_ref();
        self.options.memory.refresh(process);
        self.letters.set(self.jobs.letters_bytes());
        self.options.memory.tend();
        let cpu_ms = process.cpu_ms();
        self.read_reports();
        if self.master.is_some()
            && let Some(reports) = self.news.round(Instant::now(), self.round == 0)
        {
            self.send(Body::Reports(reports));
        }
        self.send_unseen();
        self.round = (self.round + 1) % REPORTS_A_HEARTBEAT;
        if self.round == 0 {
            self.look_for_roots();
            self.send(Body::Heartbeat(proto::Heartbeat {
                rss_bytes: self.options.memory.resident(),
                cpu_ms,
                partitions: self.partitions.len() as u64,
                wall_ms: Millis::now().0,
            }));
        }
    }

    /// Takes what partitions reported since the last round.
    fn read_reports(&mut self) {
        let now = Instant::now();
        for (key, partition) in &mut self.partitions {
            // One whose actor has ended says nothing new.
            if partition.report.has_changed().unwrap_or(false) {
                let report = partition.report.borrow_and_update();
                self.news.reported(now, key, &report);
            }
        }
        if let Some(all) = self.news.all() {
            self.options.reports.send_replace(all);
        }
    }

    /// Sends an answer. What it says of a partition is not what the newest round said.
    pub(super) fn answer(&mut self, reply: Body) {
        if let Body::Reports(apart) = &reply {
            for report in &apart.reports {
                if let Some(partition) = &report.partition {
                    let partition = SourcePartition::from(partition.clone());
                    let job = JobId::from_wire(report.job_id.clone());
                    self.news.sent_apart(&(job, partition));
                }
            }
        }
        self.send(reply);
    }

    /// Says which checkpoint roots are not there, if that is news.
    pub(super) fn send_unseen(&mut self) {
        let unseen = self.roots.unseen();
        if self.master.is_some() && unseen != self.unseen {
            self.unseen.clone_from(&unseen);
            self.send(Body::UnseenRoots(proto::UnseenRoots { roots: unseen }));
        }
    }

    /// Looks for roots that were not there, beside the loop: a file system may hang.
    fn look_for_roots(&self) {
        if !self.roots.unseen().is_empty() {
            let roots = self.roots.clone();
            let _runs_by_itself = self.group.spawn("look-for-roots", async move {
                roots.look_again().await;
                Ok(())
            });
        }
    }
}
