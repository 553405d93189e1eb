//! Reads alerts that wait for a destination, and takes out those that arrived. No fence is needed: who takes one out has
//! delivered it, whoever owns the partition by now.

use kol_common::redis::RedisConnection;

use super::call::CallResult;
use super::message::Waiting;

/// Alerts that are read at once, about.
const PIECE: usize = 100;

/// See the module.
pub(super) async fn alerts(
    pending: &str,
    settled: &[String],
    open: &mut RedisConnection,
) -> CallResult<Waiting> {
    if !settled.is_empty() {
        let mut delete = redis::cmd("HDEL");
        delete.arg(pending).arg(settled);
        delete.exec_async(open).await?;
    }
    let mut length = redis::cmd("HLEN");
    let all: u64 = length.arg(pending).query_async(open).await?;
    let mut waiting = Waiting {
        alerts: Vec::new(),
        all,
    };
    let mut cursor = 0_u64;
    // A piece of a hash that has just become smaller may be empty.
    while all > 0 && waiting.alerts.is_empty() {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(pending).arg(cursor).arg("COUNT").arg(PIECE);
        let alerts;
        (cursor, alerts) = scan
            .query_async::<(u64, Vec<(String, String)>)>(open)
            .await?;
        waiting.alerts = alerts;
        if cursor == 0 {
            break;
        }
    }
    Ok(Ok(waiting))
}
