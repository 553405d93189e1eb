//! The fence record of a partition: claiming it, and looking whether it is still there.

use kol_common::redis::{RedisConnection, is_wrong_type};
use redis::RedisResult;

use super::call::CallResult;
use super::message::{Claimed, Fence, SinkError};
use super::script;

/// Platforms that are read, at most.
const MOST_PLATFORMS: usize = 1_000;

/// Claims a partition for a log: see `lua/claim.lua`. `platforms` is the key of the set of all platforms; more than
/// can be read do not hide the default platform.
pub(super) async fn claim(
    fence: &Fence,
    log: &str,
    platforms: &str,
    default_platform: &str,
    open: &mut RedisConnection,
) -> CallResult<Claimed> {
    let reply: Vec<String> = script::CLAIM
        .key(&fence.key)
        .arg(fence.generation)
        .arg(fence.assignment_epoch)
        .arg(log)
        .invoke_async(open)
        .await?;
    let number = |i: usize| reply.get(i).and_then(|text| text.parse::<u64>().ok());
    if reply.first().map(String::as_str) != Some("CLAIMED") {
        return Ok(Err(SinkError::Fenced));
    }
    let (mut platforms, refused) = members(platforms, open).await?;
    first(&mut platforms, default_platform);
    Ok(Ok(Claimed {
        begun: number(1).unwrap_or(0),
        done: number(2).unwrap_or(0),
        shown: number(3).zip(number(4)),
        platforms,
        refused,
    }))
}

/// Keeps the platforms that are read: of more, whose names are invented, the default one and the first ones. Those of
/// a partition's own creators are known without Redis.
fn first(platforms: &mut Vec<String>, default_platform: &str) {
    // Redis has them in no order.
    platforms.sort_unstable_by(|a, b| {
        let others = (a != default_platform).cmp(&(b != default_platform));
        others.then_with(|| a.cmp(b))
    });
    platforms.truncate(MOST_PLATFORMS);
}

/// The members of a set; none, and its key, if it is of another type.
async fn members(key: &str, open: &mut RedisConnection) -> RedisResult<(Vec<String>, Vec<String>)> {
    let members = redis::cmd("SMEMBERS").arg(key).query_async(open).await;
    match members {
        Ok(members) => Ok((members, Vec::new())),
        Err(error) if is_wrong_type(&error) => Ok((Vec::new(), vec![key.to_owned()])),
        Err(error) => Err(error),
    }
}

/// The `seq_done` on record, if the fence is still this owner's.
pub(super) async fn look(fence: &Fence, open: &mut RedisConnection) -> CallResult<u64> {
    let (generation, assignment_epoch, done): (Option<u64>, Option<u64>, Option<u64>) =
        redis::cmd("HMGET")
            .arg(&fence.key)
            .arg(&["gen", "ae", "done"])
            .query_async(open)
            .await?;
    let held = (generation.unwrap_or(0), assignment_epoch.unwrap_or(0));
    let ours = (fence.generation, fence.assignment_epoch);
    Ok(match held.cmp(&ours) {
        std::cmp::Ordering::Less => Err(SinkError::Lost),
        std::cmp::Ordering::Equal => Ok(done.unwrap_or(0)),
        std::cmp::Ordering::Greater => Err(SinkError::Fenced),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_invented_platforms_does_not_hide_the_default_one() {
        let invented = (0..MOST_PLATFORMS).map(|i| format!("a{i:04}"));
        let mut platforms: Vec<_> = invented.chain(["youtube".to_owned()]).collect();
        first(&mut platforms, "youtube");
        assert_eq!(platforms.len(), MOST_PLATFORMS);
        assert_eq!(platforms[..2], ["youtube", "a0000"]);
    }
}
