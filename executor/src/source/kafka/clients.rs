//! Who owns the Kafka clients of an executor. Rules:
//!
//! 1. Each is adopted when it is created: it is served until it ends, for what a client reports waits in a queue
//!    without a bound until somebody takes it.
//! 2. The end of a client takes seconds: it waits for its threads, and they for brokers. So it happens on a thread
//!    of its own, whoever held the client last.
//! 3. The process waits for those ends, for a while, before it ends itself.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use kol_common::KolError;
use rdkafka::ClientConfig;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::consumer::Consumer;

/// A consumer that ends beside whoever drops it.
pub(super) type Client = Owned<Consumer>;

/// The ends of all clients of the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(TaskTracker);

impl Ends {
    /// Takes care of the end of a client.
    pub(super) fn own<T: Send + 'static>(&self, client: T) -> Owned<T> {
        Owned {
            client: ManuallyDrop::new(client),
            alive: Some(self.0.token()),
        }
    }

    /// Waits until all clients have ended, or the deadline has passed: whether they have.
    pub(super) async fn wait(&self, deadline: Duration) -> bool {
        self.0.close();
        timeout(deadline, self.0.wait()).await.is_ok()
    }
}

/// See [`Ends::own`].
pub(super) struct Owned<T: Send + 'static> {
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

/// The consumers of one job.
#[derive(Default)]
pub(super) struct Clients {
    ends: Ends,
    adopted: Mutex<Vec<Weak<Client>>>,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    /// None so far.
    pub(super) fn new(ends: Ends) -> Self {
        Self {
            ends,
            adopted: Mutex::default(),
        }
    }

    /// Creates one.
    ///
    /// # Errors
    /// Properties that librdkafka refuses.
    pub(super) fn create(&self, config: ClientConfig) -> Result<Arc<Client>, KolError> {
        let client = Arc::new(self.ends.own(Consumer::create(config)?));
        let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        adopted.push(Arc::downgrade(&client));
        Ok(client)
    }

    /// Takes what the clients report. Blocks for some milliseconds for each.
    pub(super) fn serve(&self) {
        let living: Vec<_> = {
            let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
            adopted.retain(|client| client.strong_count() > 0);
            adopted.iter().filter_map(Weak::upgrade).collect()
        };
        for client in living {
            client.serve();
        }
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
