//! How a partition is started.

use std::sync::Arc;

use kol_common::actor::{Group, Task, mailbox};
use kol_common::proto::PartitionReport;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::actor::Actor;
use super::checkpointer::Standby;
use super::deps::Deps;
use super::message::{Assignment, Ended, Partition};

/// Commands that may wait.
const COMMANDS: usize = 16;

/// Starts a partition, with what was read of its state ahead; the task's receiver gets how it ended.
pub fn start(
    group: &Group,
    assignment: Arc<Assignment>,
    deps: Deps,
    standby: Option<Standby>,
) -> (Partition, Task, oneshot::Receiver<Ended>) {
    let (address, inbox) = mailbox("partition", COMMANDS);
    let (report, report_out) = watch::channel(PartitionReport::default());
    let (ended, ended_out) = oneshot::channel();
    let stop_now = CancellationToken::new();
    let token = stop_now.clone();
    let task = group.spawn("partition", async move {
        let actor = Actor::new(assignment, deps, standby, inbox, report, token);
        let end = Box::pin(actor.run()).await;
        let _supervisor_ended = ended.send(end);
        Ok(())
    });
    let partition = Partition {
        address,
        report: report_out,
        stop_now,
    };
    (partition, task, ended_out)
}
