//! Where the visible top of rankings ends.

use kol_common::redis::{RedisConnection, is_wrong_type};

use super::call::CallResult;

/// So many creators of a ranking are its visible top.
const VISIBLE: usize = 1_000;

/// The score of the last visible creator of each ranking; `None` where all creators are visible, also in a key of a
/// wrong type: merges name it.
pub(super) async fn tops(
    rankings: &[String],
    open: &mut RedisConnection,
) -> CallResult<Vec<Option<f64>>> {
    let last = VISIBLE - 1;
    let mut tops = Vec::with_capacity(rankings.len());
    for ranking in rankings {
        let mut range = redis::cmd("ZREVRANGE");
        range.arg(ranking).arg(last).arg(last).arg("WITHSCORES");
        let found: Vec<(String, f64)> = match range.query_async(open).await {
            Ok(found) => found,
            Err(error) if is_wrong_type(&error) => Vec::new(),
            Err(error) => return Err(error),
        };
        tops.push(found.first().map(|(_, score)| *score));
    }
    Ok(Ok(tops))
}
