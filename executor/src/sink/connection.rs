//! The connection to Redis: made when needed, thrown away when it fails, tried again with a jittered
//! back-off.

use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::job::SinkSpec;
use kol_common::redis::Connect;
use kol_common::secrets::Secrets;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

/// First and longest wait between two attempts.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MOST: Duration = Duration::from_secs(2);

/// A connection that may be there.
#[derive(Debug)]
pub(super) struct Connection {
    network: Arc<dyn Connect>,
    spec: SinkSpec,
    secrets: Secrets,
    open: Option<(u64, MultiplexedConnection)>,
    made: u64,
    wait: Duration,
    failed: Option<(Instant, KolError)>,
}

impl Connection {
    pub(super) fn new(network: Arc<dyn Connect>, spec: SinkSpec, secrets: Secrets) -> Self {
        Self {
            network,
            spec,
            secrets,
            open: None,
            made: 0,
            wait: RETRY_FIRST,
            failed: None,
        }
    }

    /// The open connection and its number, or a new one. While the back-off runs, the last error.
    pub(super) async fn get(&mut self) -> Result<(u64, MultiplexedConnection), KolError> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        if let Some((retry_at, error)) = &self.failed
            && Instant::now() < *retry_at
        {
            return Err(error.clone());
        }
        match self.network.connect(&self.spec, &self.secrets).await {
            Ok(connection) => {
                self.made += 1;
                self.failed = None;
                self.wait = RETRY_FIRST;
                self.open = Some((self.made, connection.clone()));
                Ok((self.made, connection))
            }
            Err(error) => {
                // Half to the whole of the wait, so that executors do not come back in step.
                let jitter = self.wait.mul_f64(0.5 + 0.5 * kol_common::world::fraction());
                self.failed = Some((Instant::now() + jitter, error.clone()));
                self.wait = (self.wait * 2).min(RETRY_MOST);
                Err(error)
            }
        }
    }

    /// Throws a connection away, unless a newer one took its place already.
    pub(super) fn broken(&mut self, number: u64) {
        if self.open.as_ref().is_some_and(|(n, _)| *n == number) {
            self.open = None;
        }
    }
}
