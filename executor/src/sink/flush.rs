//! Sends one flush.

use std::time::Duration;

use kol_common::KolError;
use kol_common::redis::RedisConnection;
use redis::{ErrorKind, Pipeline, ServerErrorKind};
use tokio::time::Instant;

use super::call::CallResult;
use super::message::{FlushRequest, SinkError};
use super::script;

/// Begin, merges and done in one pipeline: Redis runs them in this order, and each checks the fence
/// by itself.
pub(super) async fn flush(
    request: FlushRequest,
    open: &mut RedisConnection,
) -> CallResult<Duration> {
    let begun = Instant::now();
    let replies: Vec<String> = match pipeline(request).query_async(open).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            // Some of the scripts may have run: the flush must be sent again under a new sequence.
            for script in script::all() {
                script.prepare_invoke().load_async(open).await?;
            }
            return Err(error);
        }
        replies => replies?,
    };
    let mut outcome = Ok(begun.elapsed());
    for reply in &replies {
        match reply.as_str() {
            "OK" => {}
            "NOFENCE" => return Ok(Err(SinkError::Lost)),
            other => match other.strip_prefix("BADKEY ") {
                Some(key) => outcome = Err(bad_key(key).into()),
                None => return Ok(Err(SinkError::Fenced)),
            },
        }
    }
    Ok(outcome)
}

fn bad_key(key: &str) -> KolError {
    let what = format!("the Redis key {key} is not a hash: the creator it belongs to is left out");
    KolError::external("SINK_KEY_TYPE", what)
        .help("Rename or delete that key, or give the job other keys ([sink.keys] in its spec).")
}

fn pipeline(request: FlushRequest) -> Pipeline {
    let fence = &request.fence;
    let mut pipe = Pipeline::with_capacity(request.merges.len() + 2);
    let mut begin = redis::cmd("EVALSHA");
    begin
        .arg(script::BEGIN.get_hash())
        .arg(1)
        .arg(&fence.key)
        .arg(fence.generation)
        .arg(fence.assignment_epoch)
        .arg(request.sequence)
        .arg(request.shown.0)
        .arg(request.shown.1)
        .arg(request.confirmed);
    pipe.add_command(begin);
    let mut done = redis::cmd("EVALSHA");
    done.arg(script::DONE.get_hash())
        .arg(3)
        .arg(&fence.key)
        .arg(&request.stamps.0)
        .arg(&request.stamps.1)
        .arg(fence.generation)
        .arg(fence.assignment_epoch)
        .arg(request.sequence)
        .arg(&request.times.0)
        .arg(&request.times.1);
    for merge in request.merges {
        pipe.add_command(merge);
    }
    pipe.add_command(done);
    pipe
}
