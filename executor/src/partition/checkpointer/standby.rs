//! Reads the state of a partition ahead, while its owner continues: for an executor that is to get it soon.
//!
//! 1. It reads files and nothing else: no log, no Redis, no file of its own. What it has is a [`Restore`] with
//!    files that were read, and counts only as far as an assignment names them.
//! 2. The newest order counts; it is answered once its state was read, or cannot be. A file that was begun is read to
//!    its end: only between two files is looked at what came in.
//! 3. It ends when it gives what it has ([`Standby::give`]), or when it is dropped.

use kol_common::KolError;
use kol_common::actor::{Address, Group, Mailbox, mailbox};
use kol_common::proto::PartitionCheckpoint;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::restore::{Attempt, Restore};

/// Orders that may wait. The master sends one for each epoch.
const ORDERS: usize = 16;

/// Where the answer to an order goes: the state was read, or why not.
pub type Ready = oneshot::Sender<Result<(), KolError>>;

/// A state that is being read ahead.
#[derive(Debug)]
pub struct Standby {
    orders: Address<Order>,
    give: CancellationToken,
    given: oneshot::Receiver<Restore>,
}

/// A state to read.
#[derive(Debug)]
struct Order {
    checkpoint: PartitionCheckpoint,
    ready: Ready,
}

impl Standby {
    /// Starts with nothing to read.
    pub fn start(group: &Group, restore: Restore) -> Self {
        let (orders, inbox) = mailbox("standby", ORDERS);
        let (giver, given) = oneshot::channel();
        let give = CancellationToken::new();
        let token = give.clone();
        let _runs_by_itself = group.spawn("standby", async move {
            run(restore, inbox, token, giver).await;
            Ok(())
        });
        Self {
            orders,
            give,
            given,
        }
    }

    /// Orders a state; `ready` is dropped where a newer order comes before its answer.
    pub fn order(&self, checkpoint: PartitionCheckpoint, ready: Ready) {
        // One that reads no orders is busy with a file: a newer one follows.
        let _busy = self.orders.try_tell(Order { checkpoint, ready });
    }

    /// What was read so far; `None` where its task has panicked.
    pub async fn give(self) -> Option<Restore> {
        self.give.cancel();
        self.given.await.ok()
    }
}

/// Giving comes before orders, so that nothing more is read then than the file under way; and orders before work, so that
/// the newest counts.
async fn run(
    mut restore: Restore,
    mut orders: Mailbox<Order>,
    give: CancellationToken,
    mut giver: oneshot::Sender<Restore>,
) {
    let mut newest: Option<Order> = None;
    // A newer order does not put it off.
    let mut retry_at = Instant::now();
    loop {
        let work = async {
            match &newest {
                None => std::future::pending().await,
                Some(_) => tokio::time::sleep_until(retry_at).await,
            }
        };
        tokio::select! {
            biased;
            () = give.cancelled() => break,
            () = giver.closed() => return,
            Some(order) = orders.recv() => {
                newest = Some(order);
                continue;
            }
            () = work => {}
        }
        let Some(order) = newest.take() else {
            continue;
        };
        match restore.step(&order.checkpoint).await {
            Attempt::Done(true) => newest = Some(order),
            Attempt::Done(false) => {
                let _nobody_waits = order.ready.send(Ok(()));
            }
            Attempt::Unavailable(_) => {
                retry_at = Instant::now() + restore.next_pause();
                newest = Some(order);
            }
            Attempt::Failed(error) => {
                let _nobody_waits = order.ready.send(Err(error));
            }
        }
    }
    let _nobody_waits = giver.send(restore);
}
