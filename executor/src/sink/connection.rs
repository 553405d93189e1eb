//! The connection to Redis: opened when needed; closed when it fails or its server does not serve now;
//! opened again after a back-off, with the name resolved and the secrets read again.

use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::job::SinkSpec;
use kol_common::redis::{Connect, RIGHTS_MISSING, RedisConnection, name_missing_rights};
use kol_common::retry::Backoff;
use kol_common::secrets::Secrets;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// First and longest wait between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A connection that is open.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// They are numbered as they are opened.
    pub(super) number: u64,
    pub(super) redis: RedisConnection,
    /// Cancelled when it is closed: what is under way on it is not answered any more, and need not wait for its deadline.
    pub(super) closed: CancellationToken,
}

/// A connection that may be open.
#[derive(Debug)]
pub(super) struct Connection {
    network: Arc<dyn Connect>,
    spec: SinkSpec,
    secrets: Secrets,
    open: Option<Open>,
    /// Connections opened so far.
    opened: u64,
    backoff: Backoff,
    /// When to try again, and why the last attempt failed.
    failed: Option<(Instant, KolError)>,
    /// The user lacks rights: the next connection looks up which.
    refused: Option<KolError>,
}

impl Connection {
    pub(super) fn new(network: Arc<dyn Connect>, spec: SinkSpec, secrets: Secrets) -> Self {
        Self {
            network,
            spec,
            secrets,
            open: None,
            opened: 0,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            failed: None,
            refused: None,
        }
    }

    /// The open connection, if there is one.
    pub(super) fn current(&self) -> Option<RedisConnection> {
        self.open.as_ref().map(|open| open.redis.clone())
    }

    /// The open connection, or a new one. While the back-off runs, the last error.
    pub(super) async fn get(&mut self) -> Result<Open, KolError> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        if let Some((retry_at, error)) = &self.failed
            && Instant::now() < *retry_at
        {
            return Err(error.clone());
        }
        match self.network.connect(&self.spec, &self.secrets).await {
            Ok(mut connection) => {
                if let Some(refused) = self.refused.take() {
                    let spec = &self.spec;
                    let named = name_missing_rights(refused.clone(), spec, &mut connection).await;
                    if named != refused {
                        self.fail(named.clone());
                        self.refused = Some(refused);
                        return Err(named);
                    }
                }
                self.opened += 1;
                self.failed = None;
                let open = Open {
                    number: self.opened,
                    redis: connection,
                    closed: CancellationToken::new(),
                };
                self.open = Some(open.clone());
                Ok(open)
            }
            Err(error) => {
                self.fail(error.clone());
                Err(error)
            }
        }
    }

    /// A request was served: the next failure is a first one. That a connection opens proves nothing yet,
    /// as when a replica answers in place of the primary.
    pub(super) fn serves(&mut self) {
        self.backoff.succeeded();
    }

    /// Closes a connection that failed with this error, unless a newer one took its place already.
    pub(super) fn close(&mut self, number: u64, error: KolError) {
        if let Some(open) = self.open.take_if(|open| open.number == number) {
            open.closed.cancel();
            self.refused = (error.code == RIGHTS_MISSING).then(|| error.clone());
            self.fail(error);
        }
    }

    fn fail(&mut self, error: KolError) {
        self.failed = Some((Instant::now() + self.backoff.failed(), error));
    }
}
