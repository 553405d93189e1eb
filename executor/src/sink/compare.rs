//! Compares what a partition sent with what is there.

use std::time::Duration;

use kol_common::redis::RedisConnection;
use redis::{Cmd, Pipeline};
use tokio::time::Instant;

use super::call::CallResult;
use super::message::{Compared, Difference, SinkError};
use super::script;

/// What one call gives back: see `lua/compare.lua`.
type Row = (String, u8, Vec<String>, Vec<usize>, Vec<usize>, u8);

/// Sends the calls in one pipeline. What that takes is Redis' time, but for the `way` there and back.
pub(super) async fn compare(
    calls: Vec<Cmd>,
    way: Duration,
    open: &mut RedisConnection,
) -> CallResult<Compared> {
    let begun = Instant::now();
    let mut pipe = Pipeline::with_capacity(calls.len());
    for call in calls {
        pipe.add_command(call);
    }
    let rows: Vec<Row> = match pipe.query_async(open).await {
        Err(error) => return Err(script::load_forgotten(error, open).await),
        Ok(rows) => rows,
    };
    let mut compared = Compared {
        took: begun.elapsed().saturating_sub(way),
        pieces: Vec::new(),
        stamps_lost: false,
    };
    for (word, whole, keys, wrong, lost, stamps) in rows {
        compared.stamps_lost |= stamps == 1;
        match word.as_str() {
            "OK" => compared.pieces.push(Difference {
                whole: whole == 1,
                keys,
                wrong: from_zero(wrong),
                lost: from_zero(lost),
            }),
            "NOFENCE" => return Ok(Err(SinkError::Lost)),
            _ => return Ok(Err(SinkError::Fenced)),
        }
    }
    Ok(Ok(compared))
}

/// Lua counts from one.
fn from_zero(places: Vec<usize>) -> Vec<usize> {
    places.into_iter().map(|n| n.saturating_sub(1)).collect()
}
