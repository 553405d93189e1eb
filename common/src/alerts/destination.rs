//! Where alerts go, and what becomes of one there.

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
    /// It will be refused whenever it is sent again.
    pub is_final: bool,
}

/// Where alerts go.
pub trait Destination: std::fmt::Debug + Send + Sync {
    /// Which kind it is.
    fn kind(&self) -> Kind;

    /// What people know it by, without secrets.
    fn name(&self) -> String;

    /// Sends one alert, within a deadline of its own. What has failed may have arrived all the same.
    fn deliver(&self, alert: Alert) -> BoxFuture<'_, Result<(), Failure>>;
}
