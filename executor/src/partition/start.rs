//! How a partition is started.

use std::sync::Arc;

use kol_common::actor::{Group, Task, mailbox};
use kol_common::proto::PartitionReport;
use kol_common::{KolError, world};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::actor::Actor;
use super::checkpointer::Standby;
use super::deps::Deps;
use super::message::{Assignment, Ended, Partition};
use super::rekey;

/// Commands that may wait.
const COMMANDS: usize = 16;

/// A partition that was started.
#[derive(Debug)]
pub struct Started {
    /// As its supervisor holds it.
    pub partition: Partition,
    /// The task that runs the partition.
    pub task: Task,
    /// Gets how it ended.
    pub ended: oneshot::Receiver<Ended>,
    /// Gets word once it is where its owner before stopped; dropped without where nobody had it before.
    pub caught_up: oneshot::Receiver<()>,
}

/// Starts a partition of the first stage of a job that re-keys. It catches up with nobody: it has no state.
///
/// # Errors
/// The client refuses, or the assignment does not say where the partition writes.
pub fn start_rekeying(
    group: &Group,
    assignment: Arc<Assignment>,
    deps: Deps,
) -> Result<Started, KolError> {
    let (address, inbox) = mailbox("partition", COMMANDS);
    let (report, report_out) = watch::channel(Arc::new(PartitionReport::default()));
    let (ended, ended_out) = oneshot::channel();
    let (_never, caught_up) = oneshot::channel();
    let stop_now = CancellationToken::new();
    let actor = rekey::Actor::new(assignment, deps, inbox, report, stop_now.clone())?;
    let task = group.spawn("rekeying", async move {
        Box::pin(actor.run(ended)).await;
        Ok(())
    });
    Ok(Started {
        partition: Partition {
            address,
            report: report_out,
            stop_now,
        },
        task,
        ended: ended_out,
        caught_up,
    })
}

/// Starts a partition, with what was read of its state ahead.
pub fn start(
    group: &Group,
    assignment: Arc<Assignment>,
    deps: Deps,
    standby: Option<Standby>,
) -> Started {
    let (caught_up, caught_up_out) = oneshot::channel();
    let (address, inbox) = mailbox("partition", COMMANDS);
    let (report, report_out) = watch::channel(Arc::new(PartitionReport::default()));
    let (ended, ended_out) = oneshot::channel();
    let stop_now = CancellationToken::new();
    let token = stop_now.clone();
    let task = group.spawn("partition", async move {
        let actor = Actor::new(assignment, deps, standby, inbox, (report, caught_up), token);
        let (end, remains) = Box::pin(actor.run()).await;
        let _supervisor_ended = ended.send(end);
        // The next owner waits for the word, and nobody for the end of a large state, which takes long.
        let _gone = world::blocking(move || drop(remains)).await;
        Ok(())
    });
    let partition = Partition {
        address,
        report: report_out,
        stop_now,
    };
    Started {
        partition,
        task,
        ended: ended_out,
        caught_up: caught_up_out,
    }
}
