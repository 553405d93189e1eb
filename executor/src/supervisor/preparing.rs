//! What the supervisor does when the master wants states read ahead. The rules are those of `machine`; what is read,
//! and how, is in the partition's checkpointer.

use std::sync::Arc;

use kol_common::KolError;
use kol_common::proto;
use kol_common::proto::executor_message::Body;
use kol_common::{ClusterId, JobId, SourcePartition, StoreId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::ahead::Wanted;
use super::driver::Supervisor;
use super::machine::{Event, Key};
use crate::partition::{Master, Of, Restore, Standby};
use crate::roots::Place;

impl Supervisor {
    /// The master wants states read ahead. The job is opened for that, and its clients connect: who continues with a
    /// partition does not wait for that then.
    pub(super) fn prepare(&mut self, prepare: proto::Prepare) {
        if self.options.leave.is_cancelled() {
            return;
        }
        let id = JobId::from_wire(prepare.job_id);
        let master = Master {
            cluster: ClusterId::from_wire(prepare.cluster_id),
            store: StoreId::from_wire(prepare.store_id),
            host: prepare.master_host,
        };
        let writer = (&master, prepare.generation);
        // As many as there will soon be: a client that is created for more of them is not replaced when they come.
        let soon = prepare.partitions.len().max(self.ahead.len());
        let queues = self.options.memory.queues();
        queues.divide_by(self.assigned.len() + soon);
        for p in prepare.partitions {
            let (Some(partition), Some(state)) = (p.partition, p.state) else {
                continue;
            };
            let key = (id.clone(), SourcePartition::from(partition));
            let spec = &prepare.spec_json;
            let opened = self
                .jobs
                .open(&id, spec, writer, &self.options, &self.group);
            let job = match opened {
                Ok(job) => job,
                Err(error) => {
                    self.send(prepared(&key, p.epoch, Err(error)));
                    continue;
                }
            };
            let wanted = Wanted {
                of: Of {
                    root: Place::root(&job.spec.checkpoint.location, &master.cluster),
                    scoring: Arc::clone(&job.scoring),
                    partition: key.1.clone(),
                },
                epoch: p.epoch,
                state,
            };
            self.wanted.insert(key.clone(), wanted);
            self.decide(Event::Prepare(key.clone()));
            self.wanted.remove(&key);
        }
        self.close_if_unused(&id);
    }

    /// The machine says so.
    pub(super) fn read_ahead(&mut self, key: Key) {
        let Some(Wanted { of, epoch, state }) = self.wanted.remove(&key) else {
            return;
        };
        if let Some(job) = self.jobs.get(&key.0) {
            job.expect(&key.1);
        }
        let (roots, memory) = (self.roots.clone(), self.options.memory.clone());
        let files = state.files.len();
        let name = self.jobs.name_of(&key.0).to_owned();
        let start = || {
            tracing::info!(
                code = "STATE_READ_AHEAD",
                job = name.as_str(), job_id = %key.0, partition = %key.1, epoch, files,
                "the state of a partition is read ahead"
            );
            Standby::start(&self.group, Restore::new(roots, of, memory))
        };
        let (ready, answer) = oneshot::channel();
        let ordered = Instant::now();
        let standby = self.ahead.renew(ordered, &key, start);
        standby.order(state, ready);
        self.replies.push(Box::pin(async move {
            // Dropped: a newer one came, or nobody wants it any more.
            let outcome = answer.await.ok()?;
            match &outcome {
                Ok(()) => {
                    let took_ms = ordered.elapsed().as_millis();
                    tracing::debug!(
                        job = name.as_str(), job_id = %key.0, partition = %key.1, epoch, files, took_ms,
                        "the state of a partition was read ahead"
                    );
                }
                Err(error) => tracing::info!(
                    code = "STATE_NOT_AHEAD",
                    job = name.as_str(), job_id = %key.0, partition = %key.1, epoch, %error,
                    "a state cannot be read ahead"
                ),
            }
            Some(prepared(&key, epoch, outcome))
        }));
    }

    /// The machine says so.
    pub(super) fn discard(&mut self, key: &Key) {
        drop(self.ahead.take(key));
        if let Some(job) = self.jobs.get(&key.0) {
            job.forget(&key.1);
        }
        self.close_if_unused(&key.0);
    }

    /// The master wants a state no longer.
    pub(super) fn no_longer_wanted(&mut self, discard: proto::Discard) {
        if let Some(partition) = discard.partition {
            let key = (JobId::from_wire(discard.job_id), partition.into());
            self.decide(Event::Discard(key));
        }
    }

    /// Drops what the master has said nothing of for too long.
    pub(super) fn discard_forgotten(&mut self, now: Instant) {
        for key in self.ahead.forgotten(now) {
            self.decide(Event::Discard(key));
        }
    }

    /// What the partitions of a job share ends with the last of them, and with the last state that is read ahead.
    pub(super) fn close_if_unused(&mut self, id: &JobId) {
        if !self.machine.serves(id) {
            self.jobs.close(id, &self.group);
        }
    }
}

fn prepared(key: &Key, epoch: u64, outcome: Result<(), KolError>) -> Body {
    Body::Prepared(proto::Prepared {
        job_id: key.0.as_str().to_owned(),
        partition: Some((&key.1).into()),
        epoch,
        error: outcome.err().map(|error| error.to_info()),
    })
}
