//! Who serves the Kafka clients of an executor: each is adopted when it is created, for what a client reports
//! waits in a queue without a bound until somebody takes it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use kol_common::KolError;
use kol_common::kafka::{Ends, Owned};
use rdkafka::ClientConfig;

use super::consumer::Consumer;

/// A consumer that ends beside whoever drops it.
pub(super) type Client = Owned<Consumer>;

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
