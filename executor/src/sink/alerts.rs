//! Reads alerts that wait for a destination, and takes out those that arrived. No fence is needed: who takes one out has
//! delivered it, whoever owns the partition by now.

use kol_common::redis::{RedisConnection, is_wrong_type};
use redis::RedisError;

use super::call::CallResult;
use super::message::Waiting;

/// Alerts that are read at once, about.
const PIECE: usize = 100;

/// See the module. Reads from a cursor on, if there is one.
pub(super) async fn alerts(
    pending: &str,
    settled: &[String],
    from: Option<u64>,
    open: &mut RedisConnection,
) -> CallResult<Waiting> {
    match read(pending, settled, from, open).await {
        // It is a matter of one partition, and no reason to leave Redis alone.
        Err(error) if is_wrong_type(&error) => Ok(Ok(Waiting {
            is_refused: true,
            ..Waiting::default()
        })),
        read => read.map(Ok),
    }
}

async fn read(
    pending: &str,
    settled: &[String],
    from: Option<u64>,
    open: &mut RedisConnection,
) -> Result<Waiting, RedisError> {
    if !settled.is_empty() {
        let mut delete = redis::cmd("HDEL");
        delete.arg(pending).arg(settled);
        delete.exec_async(open).await?;
    }
    let mut length = redis::cmd("HLEN");
    let mut waiting = Waiting {
        all: length.arg(pending).query_async(open).await?,
        ..Waiting::default()
    };
    let Some(from) = from else {
        return Ok(waiting);
    };
    waiting.next = from;
    // A piece of a hash that has just become smaller may be empty.
    while waiting.all > 0 && waiting.alerts.is_empty() {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(pending).arg(waiting.next).arg("COUNT").arg(PIECE);
        (waiting.next, waiting.alerts) = scan.query_async(open).await?;
        if waiting.next == 0 {
            break;
        }
    }
    if waiting.all == 0 {
        waiting.next = 0;
    }
    Ok(waiting)
}
