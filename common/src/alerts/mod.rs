//! Alerts on their way to people: what one says, and where it goes. Which creators rules are true of is decided in Redis, by a
//! script of the executor.
//!
//! | file | does |
//! |---|---|
//! | `message` | what an alert says, and its idempotency key |
//! | `destination` | where alerts go, and what becomes of one there |
//! | `topic` | writes it to a topic |
//! | `webhook` | posts it |

mod destination;
mod message;
mod topic;
mod webhook;

use std::sync::Arc;

pub use destination::{Destination, Failure, Kind};
pub use message::{Alert, Raised};
pub use topic::Topic;
pub use webhook::Webhook;

use crate::KolError;
use crate::job::JobSpec;
use crate::kafka::Ends;
use crate::secrets::Secrets;

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
