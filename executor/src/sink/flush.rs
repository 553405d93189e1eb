//! Sends one flush.

use std::ops::Range;

use kol_common::redis::RedisConnection;
use redis::{Cmd, Pipeline, Value};

use super::call::CallResult;
use super::calls::{BeginArgument, DoneArgument, DoneKey};
use super::message::{FlushRequest, Flushed, Noted, SinkError};
use super::script;

/// Begin, merges, looks at rules, and done in one pipeline: Redis runs them in this order, and each checks the fence
/// by itself.
pub(super) async fn flush(
    request: FlushRequest,
    open: &mut RedisConnection,
) -> CallResult<Flushed> {
    let first = 1 + request.merges.len();
    let of_alerts = first..first + request.alerts.len();
    let recheck = request.recheck.clone();
    let replies: Vec<Value> = match pipeline(request).query_async(open).await {
        // Some of the scripts may have run: the flush must be sent again under a new sequence.
        Err(error) => return Err(script::load_forgotten(error, open).await),
        Ok(replies) => replies,
    };
    let replies = replies.into_iter().map(words);
    Ok(Flushed::of(replies, &of_alerts, &recheck))
}

impl Flushed {
    /// From the words of all replies, of which some are of looks at rules; `recheck`: hashes of alerts to look at again.
    fn of(
        replies: impl Iterator<Item = Vec<String>>,
        of_alerts: &Range<usize>,
        recheck: &[String],
    ) -> Result<Self, SinkError> {
        let mut flushed = Self::default();
        for (at, words) in replies.enumerate() {
            let mut words = words.into_iter();
            let word = words.next();
            let looks = of_alerts.contains(&at);
            if looks {
                flushed.noted.add(&mut words);
            }
            match word.as_deref() {
                Some("OK") => {}
                Some("BADKEY") => {
                    let (alerts, others): (Vec<_>, Vec<_>) =
                        words.partition(|key| looks || recheck.contains(key));
                    flushed.refused_alerts.extend(alerts);
                    flushed.refused.extend(others);
                }
                Some("NOFENCE") => return Err(SinkError::Lost),
                _ => return Err(SinkError::Fenced),
            }
        }
        Ok(flushed)
    }
}

impl Noted {
    /// Adds what one look answered behind its first word.
    fn add(&mut self, words: &mut impl Iterator<Item = String>) {
        let rules = words.next().unwrap_or_default();
        for (rule, count) in rules.split(' ').filter_map(|word| word.split_once('=')) {
            *self.rules.entry(rule.to_owned()).or_default() += count.parse().unwrap_or(0);
        }
        let mut number = || words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        self.silenced += number();
        self.lost[0] += number();
        self.lost[1] += number();
    }
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
    let mut pipe = Pipeline::with_capacity(request.merges.len() + request.alerts.len() + 2);
    pipe.add_command(begin(&request));
    let done = done(&request);
    for merge in request.merges.into_iter().chain(request.alerts) {
        pipe.add_command(merge);
    }
    pipe.add_command(done);
    pipe
}

fn begin(request: &FlushRequest) -> Cmd {
    let fence = &request.fence;
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(script::BEGIN.get_hash()).arg(1).arg(&fence.key);
    for argument in BeginArgument::ALL {
        match argument {
            BeginArgument::Generation => cmd.arg(fence.generation),
            BeginArgument::AssignmentEpoch => cmd.arg(fence.assignment_epoch),
            BeginArgument::Sequence => cmd.arg(request.sequence),
            BeginArgument::Offset => cmd.arg(request.shown.0),
            BeginArgument::WindowEnd => cmd.arg(request.shown.1),
            BeginArgument::Confirmed => cmd.arg(request.confirmed),
            BeginArgument::Last => cmd.arg(&request.last),
        };
    }
    cmd
}

fn done(request: &FlushRequest) -> Cmd {
    let fence = &request.fence;
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(script::DONE.get_hash())
        .arg(DoneKey::ALL.len() + request.recheck.len());
    for key in DoneKey::ALL {
        match key {
            DoneKey::Fence => cmd.arg(&fence.key),
            DoneKey::LastUpdate => cmd.arg(&request.stamps.0),
            DoneKey::LastEvent => cmd.arg(&request.stamps.1),
            DoneKey::Platforms => cmd.arg(&request.platforms),
        };
    }
    cmd.arg(&request.recheck);
    for argument in DoneArgument::ALL {
        match argument {
            DoneArgument::Generation => cmd.arg(fence.generation),
            DoneArgument::AssignmentEpoch => cmd.arg(fence.assignment_epoch),
            DoneArgument::Sequence => cmd.arg(request.sequence),
            DoneArgument::Now => cmd.arg(&request.times.0),
            DoneArgument::NewestEvent => cmd.arg(&request.times.1),
            DoneArgument::Merges => cmd.arg(request.merges.len()),
        };
    }
    cmd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_only_alerts_meet_are_apart_from_those_that_merges_meet() {
        let replies = [
            "OK",
            "BADKEY ranking",
            "BADKEY hot=2 1 0 0 known",
            "BADKEY last_event topic",
        ];
        let replies = replies.map(|reply| reply.split(' ').map(str::to_owned).collect());
        let flushed = Flushed::of(replies.into_iter(), &(2..3), &["topic".to_owned()]).unwrap();
        assert_eq!(flushed.refused, ["ranking", "last_event"]);
        assert_eq!(flushed.refused_alerts, ["known", "topic"]);
        assert_eq!((flushed.noted.rules["hot"], flushed.noted.silenced), (2, 1));
    }
}
