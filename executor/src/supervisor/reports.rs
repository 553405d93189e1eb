//! What the supervisor sends by itself: reports, heartbeats, and which checkpoint roots it does not see.

use kol_common::Millis;
use kol_common::proto;
use kol_common::proto::executor_message::Body;
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
        let mut reports: Vec<_> = self
            .partitions
            .values()
            .map(|p| p.report.borrow().clone())
            .filter(|r| r.assignment_epoch > 0)
            .collect();
        self.options.reports.send_replace(reports.clone());
        if self.round != 0 {
            // They change slowly, and are most of a report.
            for report in &mut reports {
                report.sample.clear();
                report.spellings.clear();
            }
        }
        if !reports.is_empty() {
            self.send(Body::Reports(proto::Reports { reports }));
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
