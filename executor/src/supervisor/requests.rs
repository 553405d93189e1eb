//! What the master requests of all partitions of a job: barriers, and what they know of a KOL. The
//! supervisor's loop does not wait for the replies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::Address;
use kol_common::proto;
use kol_common::proto::executor_message::Body;
use kol_common::{JobId, KolError};
use tokio::sync::{mpsc, oneshot};

use super::machine::Key;
use crate::partition::{Assignment, Command, Partition};

/// How long one partition may take to reply to a query about a KOL.
const EXPLAIN_DEADLINE: Duration = Duration::from_secs(1);

/// Hands a barrier to every partition of the job. Each of the futures is the reply of one partition, once
/// it is done with the barrier.
pub(super) fn barrier(
    barrier: proto::Barrier,
    partitions: &BTreeMap<Key, Partition>,
    assigned: &BTreeMap<Key, Arc<Assignment>>,
) -> Vec<BoxFuture<'static, Body>> {
    let barrier = Arc::new(barrier);
    let epoch = barrier.epoch;
    let mut replies: Vec<BoxFuture<'static, Body>> = Vec::new();
    for (key, partition) in partitions {
        let assignment = assigned
            .get(key)
            .filter(|a| a.job.as_str() == barrier.job_id && a.generation == barrier.generation)
            // The first stage has no state.
            .filter(|a| a.rekeying.is_none());
        let Some(assignment) = assignment.map(Arc::clone) else {
            continue;
        };
        let (reply, replied) = oneshot::channel();
        let command = Command::Barrier {
            barrier: Arc::clone(&barrier),
            answer: reply,
        };
        // A mailbox without room drops the barrier, and so does a partition that ends.
        let _dropped = partition.address.try_tell(command);
        replies.push(Box::pin(async move {
            let reply = replied.await.unwrap_or_else(|_| {
                let what = "the partition dropped the barrier: it is busy, or has ended";
                Err(KolError::external("CHECKPOINT_DROPPED", what))
            });
            barrier_reply(&assignment, epoch, reply)
        }));
    }
    replies
}

/// The mailboxes of the partitions of a job that have a state.
pub(super) fn addresses(
    partitions: &BTreeMap<Key, Partition>,
    assigned: &BTreeMap<Key, Arc<Assignment>>,
    job: &JobId,
) -> Vec<Address<Command>> {
    let has_state = |key: &Key| assigned.get(key).is_none_or(|a| a.rekeying.is_none());
    let of_job = partitions
        .iter()
        .filter(|(key, _)| key.0 == *job && has_state(key));
    of_job
        .map(|(_, partition)| partition.address.clone())
        .collect()
}

/// Queries partitions about a KOL, one after the other, and sends the master what they know. Runs in a
/// task of its own.
pub(super) async fn explain(
    query: proto::ExplainQuery,
    partitions: Vec<Address<Command>>,
    master: mpsc::Sender<proto::ExecutorMessage>,
) -> Result<(), KolError> {
    let mut slots = Vec::new();
    for address in partitions {
        let command = |reply: oneshot::Sender<_>| Command::Explain {
            platform: query.platform.clone(),
            kol: query.kol.clone(),
            reply,
        };
        if let Ok(Some(slot)) = address.ask(command, EXPLAIN_DEADLINE).await {
            slots.push(slot);
        }
    }
    let reply = proto::ExplainReply {
        query_id: query.query_id,
        slots,
    };
    let message = proto::ExecutorMessage {
        body: Some(Body::ExplainReply(reply)),
        ..proto::ExecutorMessage::default()
    };
    let _session_ended = master.try_send(message);
    Ok(())
}

fn barrier_reply(
    assignment: &Assignment,
    epoch: u64,
    reply: Result<proto::PartitionCheckpoint, KolError>,
) -> Body {
    let job_id = assignment.job.as_str().to_owned();
    match reply {
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
