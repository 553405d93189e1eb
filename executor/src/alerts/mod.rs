//! Alerts on their way out: one service for each job on an executor, with a task for each destination.
//!
//! What is to be delivered waits in Redis, where the flush that noted it has put it in the same step as it noted that the rule is
//! true of its creator. So an alert that was noted is delivered at least once, whichever process ends when: the owner of a
//! partition delivers all that waits for it, also what an owner before it noted. No epoch waits for that, and no flush.
//!
//! | file | does |
//! |---|---|
//! | `backlog` | what waits, what fails and what was lost, and when it is said: a machine |
//! | `handle` | what partitions and those tasks share |
//! | `courier` | the task of a destination |
//! | `schedule` | which alerts it is sent, in which order, and when again: a machine |
//! | `counts` | what is counted |

mod backlog;
mod counts;
mod courier;
mod handle;
mod schedule;

use std::sync::Arc;

use kol_common::actor::Group;
use kol_common::alerts::Way;

pub use self::counts::{COUNTED, forget};
use self::courier::Courier;
pub use self::handle::{Alerts, Following};
use crate::sink::Sink;

/// Starts to deliver the alerts of a job to these destinations. One that cannot be opened is tried again; nothing else waits for it.
pub fn start(group: &Group, job: &str, ways: Vec<Arc<dyn Way>>, sink: &Sink) -> Alerts {
    let alerts = Alerts::new(job, &ways, group.stop_token().child_token());
    for way in ways {
        counts::begin(job, way.kind());
        let courier = Courier::new(alerts.clone(), way, sink.clone());
        let _runs_by_itself = group.spawn("alerts", async move {
            courier.run().await;
            Ok(())
        });
    }
    alerts
}
