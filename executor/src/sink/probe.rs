//! How busy Redis is, as it says itself, and how long the way to it is.

use std::time::Duration;

use kol_common::redis::{RedisConnection, processor_time};
use tokio::time::Instant;

use super::turns::Turns;

/// Longest time that the answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Looks at the node that has this key. A Redis that does not answer shows in the requests of partitions.
pub(super) async fn probe(turns: Turns, key: String, mut open: RedisConnection) {
    let begun = Instant::now();
    let alone = turns.with(|pace| pace.is_idle());
    let request = turns.request();
    let looked = tokio::time::timeout(DEADLINE, processor_time(&mut open, &key)).await;
    let Ok(Ok(worked)) = looked else { return };
    request.answered();
    let now = Instant::now();
    turns.with(|pace| {
        // What began meanwhile had to wait for this one.
        if alone && pace.is_idle() {
            pace.measured_way(now, now - begun);
        }
        if let Some(worked) = worked {
            pace.looked(now, worked.as_secs_f64());
        }
    });
}
