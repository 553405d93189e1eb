//! Sends one flush.

use kol_common::redis::RedisConnection;
use redis::{Pipeline, Value};

use super::call::CallResult;
use super::message::{FlushRequest, Flushed, SinkError};
use super::script;

/// Begin, merges and done in one pipeline: Redis runs them in this order, and each checks the fence
/// by itself.
pub(super) async fn flush(
    request: FlushRequest,
    open: &mut RedisConnection,
) -> CallResult<Flushed> {
    let replies: Vec<Value> = match pipeline(request).query_async(open).await {
        // Some of the scripts may have run: the flush must be sent again under a new sequence.
        Err(error) => return Err(script::load_forgotten(error, open).await),
        Ok(replies) => replies,
    };
    let mut flushed = Flushed::default();
    for reply in replies {
        let mut words = words(reply).into_iter();
        match words.next().as_deref() {
            Some("OK") => {}
            Some("BADKEY") => flushed.refused.extend(words),
            Some("NOFENCE") => return Ok(Err(SinkError::Lost)),
            _ => return Ok(Err(SinkError::Fenced)),
        }
    }
    Ok(Ok(flushed))
}

/// A script answers with a word, or with a list of a word and keys.
fn words(reply: Value) -> Vec<String> {
    match reply {
        Value::Array(all) => all.into_iter().flat_map(words).collect(),
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(&bytes).into_owned()],
        _ => Vec::new(),
    }
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
        .arg(request.confirmed)
        .arg(&request.last);
    pipe.add_command(begin);
    let mut done = redis::cmd("EVALSHA");
    done.arg(script::DONE.get_hash())
        .arg(4)
        .arg(&fence.key)
        .arg(&request.stamps.0)
        .arg(&request.stamps.1)
        .arg(&request.platforms)
        .arg(fence.generation)
        .arg(fence.assignment_epoch)
        .arg(request.sequence)
        .arg(&request.times.0)
        .arg(&request.times.1)
        .arg(request.merges.len());
    for merge in request.merges {
        pipe.add_command(merge);
    }
    pipe.add_command(done);
    pipe
}
