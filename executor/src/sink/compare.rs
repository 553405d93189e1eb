//! Reads what is there of what a partition sent.

use std::time::Duration;

use kol_common::redis::RedisConnection;
use redis::{Cmd, Pipeline};
use tokio::time::Instant;

use super::call::CallResult;
use super::message::{Compared, Found, Present, SinkError, Values};
use super::script;

/// What one call gives back: see `lua/compare.lua`.
pub type Row = (
    String,
    u8,
    Vec<String>,
    u8,
    u8,
    Vec<Vec<u8>>,
    Vec<Option<f64>>,
    Vec<Option<Vec<u8>>>,
    Vec<Option<Values>>,
    Vec<Option<Values>>,
);

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
    for row in rows {
        match read(row) {
            Ok((present, stamps_lost)) => {
                compared.pieces.push(present);
                compared.stamps_lost |= stamps_lost;
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(compared))
}

/// What one call found, and whether `last_update` or `last_event` is gone.
///
/// # Errors
/// The fence is another owner's, or Redis lost it.
pub fn read(row: Row) -> Result<(Present, bool), SinkError> {
    let (word, whole, keys, stamps, more, strange, scores, slots, hashes, copies) = row;
    match word.as_str() {
        "OK" => {
            let present = Present {
                whole_lost: whole == 1,
                keys,
                strange: (more == 1).then(|| texts(strange)),
                kols: kols(scores, slots, hashes, copies),
            };
            Ok((present, stamps == 1))
        }
        "NOFENCE" => Err(SinkError::Lost),
        _ => Err(SinkError::Fenced),
    }
}

/// Those names that are text: of whatever somebody put into a ranking.
fn texts(names: Vec<Vec<u8>>) -> Vec<String> {
    let texts = names.into_iter().map(String::from_utf8);
    texts.filter_map(Result::ok).collect()
}

/// The KOLs of a call, from what was read of all of them. A list that could not be read is shorter than that of the
/// hashes; so is that of the legacy hashes where there are none.
fn kols(
    scores: Vec<Option<f64>>,
    slots: Vec<Option<Vec<u8>>>,
    hashes: Vec<Option<Values>>,
    copies: Vec<Option<Values>>,
) -> Vec<Found> {
    let scores = scores.into_iter().chain(std::iter::repeat(None));
    let slots = slots.into_iter().chain(std::iter::repeat(None));
    let none = Some(Values::new());
    let copies = copies.into_iter().chain(std::iter::repeat(none));
    let all = hashes.into_iter().zip(copies).zip(scores.zip(slots));
    let found = all.map(|((hash, copy), (score, slots))| Found {
        score,
        slots,
        hash,
        copy,
    });
    found.collect()
}
