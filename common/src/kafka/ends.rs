//! Who ends a Kafka client. Rules:
//!
//! 1. The end of a client takes seconds: it waits for its threads, and they for brokers; where brokers went away in
//!    the middle of a request it may never come. So it happens on a thread of its own, whoever held the client last.
//! 2. The process waits for those ends, for a while, before it ends itself.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The ends of all clients of the process.
#[derive(Clone, Debug, Default)]
pub struct Ends(TaskTracker);

impl Ends {
    /// Takes care of the end of a client.
    pub fn own<T: Send + 'static>(&self, client: T) -> Owned<T> {
        Owned {
            client: ManuallyDrop::new(client),
            alive: Some(self.0.token()),
        }
    }

    /// Waits until all clients have ended, or the deadline has passed: whether they have.
    pub async fn wait(&self, deadline: Duration) -> bool {
        self.0.close();
        timeout(deadline, self.0.wait()).await.is_ok()
    }
}

/// What a client of Kafka was made with, until its threads have ended: see [`Ends::own`].
pub struct Owned<T: Send + 'static> {
    client: ManuallyDrop<T>,
    /// Until the client has ended.
    alive: Option<TaskTrackerToken>,
}

impl<T: Send + 'static> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.client
    }
}

impl<T: Send + 'static> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: nothing uses the client after this, the only place where it is taken.
        let client = unsafe { ManuallyDrop::take(&mut self.client) };
        let alive = self.alive.take();
        let thread = std::thread::Builder::new().name("kafka-end".into());
        // Without a thread to be had it ends here.
        let _runs_by_itself = thread.spawn(move || {
            drop(client);
            drop(alive);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    /// Ends when a test says so.
    struct Slow(Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.recv().unwrap();
        }
    }

    #[tokio::test]
    async fn who_drops_a_client_does_not_wait_for_its_end_and_the_process_does() {
        let ends = Ends::default();
        let (end, ended) = sync_channel(1);
        drop(ends.own(Slow(ended)));
        assert!(!ends.wait(Duration::from_millis(20)).await);
        end.send(()).unwrap();
        assert!(ends.wait(Duration::from_secs(10)).await);
    }
}
