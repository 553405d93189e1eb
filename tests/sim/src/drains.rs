//! The law of draining, as the person sees it:
//!
//! 1. What a master has confirmed is not forgotten, whoever leads: an executor drains until that is cancelled, or its process
//!    ends.
//! 2. In the end an executor that drains has no partition, as long as another one may have them.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::proto::{ExecutorState, ExecutorStatus};

/// See the module.
#[derive(Debug, Default)]
pub struct Drains {
    /// What was confirmed last, by executor, with its host.
    said: BTreeMap<String, (String, bool)>,
    /// Hosts of which a word may yet arrive: there was no answer.
    unsure: BTreeSet<&'static str>,
    began: bool,
    /// The executors that are there, as seen last.
    seen: Vec<ExecutorStatus>,
    problems: Vec<String>,
}

impl Drains {
    /// A word about the executor of a host is on its way: what was said before may no longer hold.
    pub fn begin(&mut self, host: &str) {
        self.began = true;
        self.said.retain(|_, (of, _)| of != host);
    }

    /// There was no answer.
    pub fn unsure(&mut self, host: &'static str) {
        self.unsure.insert(host);
    }

    /// The master did what was wanted.
    pub fn confirmed(&mut self, status: &ExecutorStatus, draining: bool) {
        if !self.unsure.contains(&*status.host) {
            let said = (status.host.clone(), draining);
            self.said.insert(status.executor_id.clone(), said);
        }
    }

    /// Whether anything was ever said.
    pub fn began(&self) -> bool {
        self.began
    }

    /// The leader's list of executors.
    pub fn look(&mut self, mut executors: Vec<ExecutorStatus>) {
        executors.retain(|e| !matches!(e.state(), ExecutorState::Lost | ExecutorState::Left));
        for executor in &executors {
            let said = self.said.get(&executor.executor_id);
            if let Some((host, draining)) = said
                && *draining != executor.draining
            {
                let now = executor.draining;
                self.problems.push(format!(
                    "the executor on {host} was to drain: {draining}, and the master says {now}"
                ));
            }
        }
        self.seen = executors;
    }

    /// What was forgotten.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// An executor that drains and still has partitions that another one may have.
    pub fn undrained(&self) -> Option<String> {
        let takes = |e: &ExecutorStatus| e.state() == ExecutorState::Alive && !e.draining;
        let mut left = self.seen.iter().filter(|e| e.draining && e.partitions > 0);
        let left = left.next().filter(|_| self.seen.iter().any(takes))?;
        Some(format!(
            "the executor on {} drains and has {} partitions",
            left.host, left.partitions
        ))
    }
}
