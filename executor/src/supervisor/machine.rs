//! What the supervisor decides: a machine without I/O.
//!
//! 1. A partition runs at most once. An assignment with the running assignment epoch is a repetition; one
//!    with a newer one first ends the running partition, at once: its fence is lost anyway.
//! 2. An older assignment or revocation than the one known is ignored: messages may be delayed.
//! 3. Every revocation is answered with Released, also one for a partition that does not run.
//! 4. After the order to leave nothing new is started.
//! 5. A state is read ahead only of a partition that does not run here. What was read goes to the assignment of
//!    that partition. It is dropped when the master says so, or says nothing any more, with a new session, and
//!    with the order to leave: no one else counts on it.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::proto;
use kol_common::proto::executor_message::Body;
use kol_common::{JobId, KolError, Millis, SourcePartition};
use tokio::time::Instant;

use crate::partition::Ended;

/// A partition of a job.
pub type Key = (JobId, SourcePartition);

/// What happens to the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The master assigns a partition.
    Assign {
        /// The partition, and whose it is.
        key: Key,
        /// Under this assignment epoch.
        assignment_epoch: u64,
        /// Of this generation.
        generation: u64,
    },
    /// The master wants a partition back.
    Revoke {
        /// The partition, and whose it is.
        key: Key,
        /// Under this assignment epoch.
        assignment_epoch: u64,
        /// Let it finish what it has.
        drain: bool,
    },
    /// A partition ended.
    Ended {
        /// The partition, and whose it is.
        key: Key,
        /// Released, or failed with an error.
        how: Ended,
        /// When it ended, by the monotonic clock.
        now: Instant,
    },
    /// The master wants the state of a partition read ahead, or a newer one of it.
    Prepare(Key),
    /// What was read ahead of a partition is no longer wanted.
    Discard(Key),
    /// A new session: its master counts on nothing that was read ahead.
    Connected,
    /// The process shall end.
    Leave,
}

/// What the supervisor does.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a partition under this assignment epoch.
    Start(Key, u64),
    /// Let a partition drain.
    Drain(Key),
    /// End a partition at once.
    StopNow(Key),
    /// Read the state of a partition ahead.
    Prepare(Key),
    /// Drop what was read ahead of a partition.
    Discard(Key),
    /// Send this to the master.
    Send(Body),
}

#[derive(Clone, Copy, Debug)]
struct Running {
    assignment_epoch: u64,
    generation: u64,
    /// Assignment epoch and generation to start under when this one has ended.
    next: Option<(u64, u64)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Machine {
    running: BTreeMap<Key, Running>,
    /// Partitions whose state is read ahead.
    ahead: BTreeSet<Key>,
    leaving: bool,
}

impl Machine {
    /// Takes an event, appends what is to be done.
    pub fn handle(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Assign {
                key,
                assignment_epoch,
                generation,
            } => self.assign(key, assignment_epoch, generation, out),
            Event::Revoke {
                key,
                assignment_epoch,
                drain,
            } => self.revoke(key, assignment_epoch, drain, out),
            Event::Ended { key, how, now } => self.ended(key, how, now, out),
            Event::Prepare(key) => {
                if !self.leaving && !self.running.contains_key(&key) {
                    self.ahead.insert(key.clone());
                    out.push(Effect::Prepare(key));
                }
            }
            Event::Discard(key) => {
                if self.ahead.remove(&key) {
                    out.push(Effect::Discard(key));
                }
            }
            Event::Connected => self.discard_all(out),
            Event::Leave => {
                self.leaving = true;
                self.discard_all(out);
            }
        }
    }

    fn discard_all(&mut self, out: &mut Vec<Effect>) {
        let all = std::mem::take(&mut self.ahead);
        out.extend(all.into_iter().map(Effect::Discard));
    }

    fn assign(&mut self, key: Key, assignment_epoch: u64, generation: u64, out: &mut Vec<Effect>) {
        if self.leaving {
            out.push(Effect::Send(not_running(&key, assignment_epoch)));
            return;
        }
        match self.running.get_mut(&key) {
            None => {
                let running = Running {
                    assignment_epoch,
                    generation,
                    next: None,
                };
                self.running.insert(key.clone(), running);
                // The start takes over what was read.
                self.ahead.remove(&key);
                out.push(Effect::Start(key, assignment_epoch));
            }
            Some(known) if assignment_epoch > known.assignment_epoch => {
                // `None` is less than any.
                known.next = known.next.max(Some((assignment_epoch, generation)));
                out.push(Effect::StopNow(key));
            }
            Some(_) => {}
        }
    }

    fn revoke(&mut self, key: Key, assignment_epoch: u64, drain: bool, out: &mut Vec<Effect>) {
        let Some(known) = self.running.get_mut(&key) else {
            out.push(Effect::Send(not_running(&key, assignment_epoch)));
            return;
        };
        if let Some((next, _)) = known.next
            && next <= assignment_epoch
        {
            known.next = None;
            out.push(Effect::Send(not_running(&key, next)));
        }
        if known.assignment_epoch > assignment_epoch {
            return;
        }
        out.push(if drain {
            Effect::Drain(key)
        } else {
            Effect::StopNow(key)
        });
    }

    fn ended(&mut self, key: Key, how: Ended, now: Instant, out: &mut Vec<Effect>) {
        let Some(was) = self.running.remove(&key) else {
            return;
        };
        out.push(Effect::Send(match how {
            Ended::Released {
                position,
                drained,
                stopped,
            } => Body::Released(proto::Released {
                position,
                drained,
                stopped_ms: Some(Millis::from(now.duration_since(stopped)).0),
                ..released(&key, was.assignment_epoch)
            }),
            Ended::Failed(error) => failed(&key, was.assignment_epoch, &error, None),
            Ended::LostTail(tail) => {
                let error = KolError::external("DATA_LOSS", tail.to_string());
                let lost = proto::LostTail {
                    from: tail.from,
                    to: tail.to,
                    differs: tail.differs,
                    unproven: tail.unproven,
                    oldest: Some(tail.oldest),
                };
                failed(&key, was.assignment_epoch, &error, Some(lost))
            }
        }));
        if let Some((assignment_epoch, generation)) = was.next {
            self.assign(key, assignment_epoch, generation, out);
        }
    }

    /// What runs, for the master after a new connection.
    pub fn running(&self) -> Vec<proto::RunningPartition> {
        self.running
            .iter()
            .map(|((job, partition), running)| proto::RunningPartition {
                job_id: job.as_str().to_owned(),
                partition: Some(partition.into()),
                generation: running.generation,
                assignment_epoch: running.assignment_epoch,
            })
            .collect()
    }

    /// Keys of what runs.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.running.keys()
    }

    /// Whether anything of a job runs here, or is read ahead.
    pub fn serves(&self, job: &JobId) -> bool {
        let mut all = self.running.keys().chain(&self.ahead);
        all.any(|(id, _)| id == job)
    }

    /// Whether nothing runs.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }
}

fn failed(
    key: &Key,
    assignment_epoch: u64,
    error: &KolError,
    lost_tail: Option<proto::LostTail>,
) -> Body {
    Body::PartitionFailed(proto::PartitionFailed {
        job_id: key.0.as_str().to_owned(),
        partition: Some((&key.1).into()),
        assignment_epoch,
        error: Some(error.to_info()),
        lost_tail: lost_tail.map(Box::new),
    })
}

fn released(key: &Key, assignment_epoch: u64) -> proto::Released {
    proto::Released {
        job_id: key.0.as_str().to_owned(),
        partition: Some((&key.1).into()),
        assignment_epoch,
        ..proto::Released::default()
    }
}

fn not_running(key: &Key, assignment_epoch: u64) -> Body {
    Body::Released(released(key, assignment_epoch))
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
