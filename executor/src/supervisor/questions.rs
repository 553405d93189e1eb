//! What the master asks of all partitions of a job: barriers, and what they know of a KOL. Nobody waits
//! for their answers here.

use std::sync::Arc;
use std::time::Duration;

use kol_common::proto;
use kol_common::proto::executor_message::Body;
use kol_common::{JobId, KolError};
use tokio::sync::oneshot;

use super::driver::Supervisor;
use crate::partition::{Assignment, Command};

/// How long one partition may take to answer a question about a KOL.
const EXPLAIN_DEADLINE: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Hands a barrier to every partition of the job; each answers when it is done with it.
    pub(super) fn barrier(&mut self, barrier: proto::Barrier) {
        let barrier = Arc::new(barrier);
        let epoch = barrier.epoch;
        for (key, partition) in &self.partitions {
            let assignment = self
                .assigned
                .get(key)
                .filter(|a| a.job.as_str() == barrier.job_id && a.generation == barrier.generation);
            let Some(assignment) = assignment.map(Arc::clone) else {
                continue;
            };
            let (answer, answered) = oneshot::channel();
            let command = Command::Barrier {
                barrier: Arc::clone(&barrier),
                answer,
            };
            // A mailbox without room drops the barrier, and so does a partition that ends.
            let _dropped = partition.address.try_tell(command);
            self.barriers.push(Box::pin(async move {
                let answer = answered.await.unwrap_or_else(|_| {
                    let what = "the partition dropped the barrier: it is busy, or has ended";
                    Err(KolError::external("CHECKPOINT_DROPPED", what))
                });
                barrier_answer(&assignment, epoch, answer)
            }));
        }
    }

    /// Asks all partitions of the job in a task of its own.
    pub(super) fn explain(&mut self, query: proto::ExplainQuery) {
        let Some(master) = self.master.clone() else {
            return;
        };
        let job = JobId::from_wire(query.job_id);
        let addresses: Vec<_> = self
            .partitions
            .iter()
            .filter(|((id, _), _)| *id == job)
            .map(|(_, partition)| partition.address.clone())
            .collect();
        let _runs_by_itself = self.group.spawn("explain", async move {
            let mut slots = Vec::new();
            for address in addresses {
                let question = |reply: oneshot::Sender<_>| Command::Explain {
                    platform: query.platform.clone(),
                    kol: query.kol.clone(),
                    reply,
                };
                if let Ok(Some(slot)) = address.ask(question, EXPLAIN_DEADLINE).await {
                    slots.push(slot);
                }
            }
            let reply = proto::ExplainReply {
                query_id: query.query_id,
                slots,
            };
            let message = proto::ExecutorMessage {
                body: Some(Body::ExplainReply(reply)),
            };
            let _session_ended = master.try_send(message);
            Ok(())
        });
    }
}

fn barrier_answer(
    assignment: &Assignment,
    epoch: u64,
    answer: Result<proto::PartitionCheckpoint, KolError>,
) -> Body {
    let job_id = assignment.job.as_str().to_owned();
    match answer {
        Ok(checkpoint) => Body::BarrierAck(Box::new(proto::BarrierAck {
            job_id,
            epoch,
            checkpoint: Some(checkpoint),
        })),
        Err(error) => Body::BarrierFailed(proto::BarrierFailed {
            job_id,
            epoch,
            partition: Some((&assignment.partition).into()),
            assignment_epoch: assignment.assignment_epoch,
            error: Some(error.to_info()),
        }),
    }
}
