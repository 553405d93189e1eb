//! The fence record of a partition: claiming it, and looking whether it is still there.

use kol_common::redis::{RedisConnection, is_wrong_type};
use redis::{Cmd, RedisResult};

use super::call::CallResult;
use super::calls::ClaimArgument;
use super::message::{Claimed, Fence, SinkError};
use super::script;

/// Platforms that are read, at most.
const MOST_PLATFORMS: usize = 1_000;

/// Claims a partition for a log: see `lua/claim.lua`. `platforms` is the key of the set of all platforms; more than
/// can be read do not hide those that come `first`.
pub(super) async fn claim(
    fence: &Fence,
    log: &str,
    platforms: &str,
    first: &[String],
    open: &mut RedisConnection,
) -> CallResult<Claimed> {
    let mut call = script::CLAIM.key(&fence.key);
    for argument in ClaimArgument::ALL {
        match argument {
            ClaimArgument::Generation => call.arg(fence.generation),
            ClaimArgument::AssignmentEpoch => call.arg(fence.assignment_epoch),
            ClaimArgument::Log => call.arg(log),
        };
    }
    let reply: Vec<String> = call.invoke_async(open).await?;
    let number = |i: usize| reply.get(i).and_then(|text| text.parse::<u64>().ok());
    let raised = match reply.first().map(String::as_str) {
        Some("CLAIMED") => false,
        Some("RAISED") => true,
        _ => return Ok(Err(SinkError::Fenced)),
    };
    let (platforms, refused) = platforms_in(platforms, first, MOST_PLATFORMS, open).await?;
    Ok(Ok(Claimed {
        begun: number(1).unwrap_or(0),
        done: number(2).unwrap_or(0),
        shown: number(3).zip(number(4)),
        last: reply.get(5).cloned().unwrap_or_default(),
        raised,
        platforms,
        refused,
    }))
}

/// The platforms in the set of all, as far as they are read; and the key of the set, if it is of a wrong type.
pub(super) async fn platforms_in(
    key: &str,
    first: &[String],
    most: usize,
    open: &mut RedisConnection,
) -> RedisResult<(Vec<String>, Vec<String>)> {
    let (mut platforms, refused) = members(key, open).await?;
    keep(&mut platforms, first, most);
    Ok((platforms, refused))
}

/// Keeps the platforms that are read: of more, whose names are invented, those that come `first`, and then by name.
/// Those of a partition's own creators are known without Redis.
fn keep(platforms: &mut Vec<String>, first: &[String], most: usize) {
    // Redis has them in no order.
    platforms.sort_unstable_by(|a, b| {
        let others = (!first.contains(a)).cmp(&!first.contains(b));
        others.then_with(|| a.cmp(b))
    });
    platforms.truncate(most);
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

/// Generation, assignment epoch and `seq_done` of a fence record.
pub(super) type Record = (Option<u64>, Option<u64>, Option<u64>);

/// Reads a record.
pub(super) fn record(fence: &Fence) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(&fence.key).arg(&["gen", "ae", "done"]);
    command
}

/// The `seq_done` on record, if the fence is still this owner's.
pub(super) fn judge(fence: &Fence, record: Record) -> Result<u64, SinkError> {
    let (generation, assignment_epoch, done) = record;
    let held = (generation.unwrap_or(0), assignment_epoch.unwrap_or(0));
    let ours = (fence.generation, fence.assignment_epoch);
    match held.cmp(&ours) {
        std::cmp::Ordering::Less => Err(SinkError::Lost),
        std::cmp::Ordering::Equal => Ok(done.unwrap_or(0)),
        std::cmp::Ordering::Greater => Err(SinkError::Fenced),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_invented_platforms_does_not_hide_the_default_one_and_those_that_are_named() {
        let invented = (0..MOST_PLATFORMS).map(|i| format!("a{i:04}"));
        let first = ["youtube".to_owned(), "tiktok".to_owned()];
        let mut platforms: Vec<_> = invented.chain(first.clone()).collect();
        keep(&mut platforms, &first, MOST_PLATFORMS);
        assert_eq!(platforms.len(), MOST_PLATFORMS);
        assert_eq!(platforms[..3], ["tiktok", "youtube", "a0000"]);
    }
}
