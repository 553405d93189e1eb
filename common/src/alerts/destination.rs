//! Where alerts go, and what becomes of one there.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::message::Alert;
use crate::KolError;

/// A kind of destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A topic of the job's Kafka cluster.
    Topic,
    /// A URL that is posted to.
    Webhook,
}

impl Kind {
    /// Its name, in keys of Redis and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Webhook => "webhook",
        }
    }
}

/// Why an alert did not arrive.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What went wrong.
    pub error: KolError,
    /// What that means for this alert and for others.
    pub means: Means,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The alert will be refused whenever it is sent again.
    Never,
    /// The destination answers, and does not take this alert now. It may take others.
    NotNow,
    /// The destination takes nothing now.
    Down,
    /// The login or the certificate was refused: another secret is needed, and the destination is opened again.
    Login,
}

/// Where alerts go, once it is open.
pub trait Destination: std::fmt::Debug + Send + Sync {
    /// Sends one alert, within a deadline of its own. What has failed may have arrived all the same.
    fn deliver(&self, alert: Alert) -> BoxFuture<'_, Result<(), Failure>>;
}

/// The way to a destination. It can be opened again, with the secrets and certificates of then.
pub trait Way: std::fmt::Debug + Send + Sync {
    /// Which kind of destination it leads to.
    fn kind(&self) -> Kind;

    /// What people know the destination by, without secrets.
    fn name(&self) -> String;

    /// The destination, ready to be sent to.
    ///
    /// # Errors
    /// A secret is missing or may not be sent there, a certificate cannot be read, or a client refuses its settings.
    fn open(&self) -> Result<Arc<dyn Destination>, KolError>;
}
