//! Keeps rankings as they are shown: which snapshots there are already says what is written and what is dropped, and a
//! script does it behind the fence.

use kol_common::job::KeyTemplates;
use kol_common::redis::history::{MOST, MOST_BYTES, Name, PLACES};
use kol_common::redis::{RedisConnection, is_wrong_type};
use redis::{Cmd, RedisResult};

use super::call::CallResult;
use super::calls::{HistoryArgument, HistoryKey};
use super::fence::platforms_in;
use super::message::{Fence, Kept, SinkError, SnapshotRequest};
use super::script;

/// Platforms of which snapshots are kept, at most.
const MOST_PLATFORMS: usize = 16;

/// Writes a snapshot of the ranking of each platform, unless there is one.
pub(super) async fn snapshot(
    request: &SnapshotRequest,
    open: &mut RedisConnection,
) -> CallResult<Kept> {
    let keys = &request.keys;
    let all = keys.platforms_key();
    let listed = platforms_in(&all, &request.first, MOST_PLATFORMS, open);
    let (platforms, mut refused) = listed.await?;
    let name = Name {
        at: request.at,
        generation: request.fence.generation,
    };
    for platform in platforms {
        let Some(kept) = names(&keys.history_key(&platform), open).await? else {
            refused.push(keys.history_key(&platform));
            continue;
        };
        let Some(dropped) = request.rules.plan(&kept, name) else {
            continue;
        };
        let call = call(request, &platform, name, &dropped);
        let reply: Vec<String> = match call.query_async(open).await {
            Ok(reply) => reply,
            Err(error) => return Err(script::load_forgotten(error, open).await),
        };
        let mut words = reply.into_iter();
        match words.next().as_deref() {
            Some("OK") => {}
            Some("BADKEY") => refused.extend(words),
            Some("NOFENCE") => return Ok(Err(SinkError::Lost)),
            _ => return Ok(Err(SinkError::Fenced)),
        }
    }
    Ok(Ok(Kept { refused }))
}

/// The snapshots that are kept; `None` where the key is of a wrong type. Of a member that is no name there is no snapshot.
async fn names(history: &str, open: &mut RedisConnection) -> RedisResult<Option<Vec<Name>>> {
    let mut command = redis::cmd("ZREVRANGE");
    command.arg(history).arg(0).arg(MOST - 1);
    let members: Vec<String> = match command.query_async(open).await {
        Ok(members) => members,
        Err(error) if is_wrong_type(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let names = members.iter().filter_map(|member| member.parse().ok());
    Ok(Some(names.collect()))
}

/// The call that keeps the ranking of a platform under this name, and drops others.
pub fn call(request: &SnapshotRequest, platform: &str, name: Name, dropped: &[Name]) -> Cmd {
    let SnapshotRequest { fence, keys, .. } = request;
    let Fence {
        generation,
        assignment_epoch,
        ..
    } = fence;
    let mut call = redis::cmd("EVALSHA");
    call.arg(script::HISTORY.get_hash())
        .arg(HistoryKey::ALL.len());
    for key in HistoryKey::ALL {
        call.arg(key_of(key, fence, keys, platform));
    }
    for argument in HistoryArgument::ALL {
        match argument {
            HistoryArgument::Generation => call.arg(generation),
            HistoryArgument::AssignmentEpoch => call.arg(assignment_epoch),
            HistoryArgument::Name => call.arg(name.to_string()),
            HistoryArgument::At => call.arg(name.at.0),
            HistoryArgument::WindowEnd => call.arg(request.window_end.iso()),
            HistoryArgument::Places => call.arg(PLACES),
            HistoryArgument::Bytes => call.arg(MOST_BYTES),
            HistoryArgument::Expiry => call.arg(request.rules.expiry().0),
        };
    }
    for name in dropped {
        call.arg(name.to_string());
    }
    call
}

fn key_of(key: HistoryKey, fence: &Fence, keys: &KeyTemplates, platform: &str) -> String {
    let [record, ..] = keys.flip_keys(platform);
    match key {
        HistoryKey::Fence => fence.key.clone(),
        HistoryKey::Record => record,
        HistoryKey::Ranking => keys.ranking_key(platform),
        HistoryKey::History => keys.history_key(platform),
        HistoryKey::Snapshots => keys.snapshots_key(platform),
    }
}
