//! Alerts on their way to people: what one says, and where it goes. Which creators rules are true of is decided in Redis, by a
//! script of the executor.
//!
//! | file | does |
//! |---|---|
//! | `message` | what an alert says, and its idempotency key |
//! | `topic` | writes it to a topic |
//! | `webhook` | posts it |

mod message;
mod topic;
mod webhook;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use message::{Alert, Raised};
pub use topic::Topic;
pub use webhook::Webhook;

use crate::KolError;
use crate::job::JobSpec;
use crate::kafka::Ends;
use crate::secrets::Secrets;

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

/// The destinations of a job, each ready to be sent to.
///
/// # Errors
/// A secret is missing or may not be sent there, or a client refuses its settings.
pub fn destinations(
    spec: &JobSpec,
    secrets: &Secrets,
    ends: &Ends,
) -> Result<Vec<Arc<dyn Destination>>, KolError> {
    let mut all: Vec<Arc<dyn Destination>> = Vec::new();
    let of_job = |error: KolError| error.job(&spec.name);
    if let Some(topic) = &spec.alerts.topic {
        let topic = Topic::open(topic, spec.source.kafka(), secrets, ends).map_err(of_job)?;
        all.push(Arc::new(topic));
    }
    if let Some(url) = &spec.alerts.webhook {
        let webhook = Webhook::open(url, &spec.alerts, secrets).map_err(of_job)?;
        all.push(Arc::new(webhook));
    }
    Ok(all)
}
