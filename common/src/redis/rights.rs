//! Which rights the Redis user of a job lacks. Redis says of a script only that "a command" or "a key" was
//! refused, so each right is tried by itself: by a command that an error ends after Redis has checked the
//! rights, and before it changes anything.

use redis::{Cmd, RedisResult, Value};

use super::RedisConnection;
use super::classify::{RIGHTS_LACKING, RIGHTS_MISSING, classify};
use crate::KolError;
use crate::job::SinkSpec;

/// What the probes call a platform and a creator that no event has.
const NOBODY: &str = "kol:rights";
/// Commands that a job sends or its scripts run, and arguments after the key that end in an error or do
/// nothing. `+SADD` makes the key that `+UNLINK` or `+DEL` removes.
const COMMANDS: [(&str, &[&str]); 23] = [
    ("HMGET", &["f"]),
    ("HGET", &["f"]),
    ("HLEN", &[]),
    ("HSET", &["f", "v", "odd"]),
    ("HDEL", &["f"]),
    ("HSCAN", &["0"]),
    ("TYPE", &[]),
    ("GET", &[]),
    ("SET", &["v", "PX", "none"]),
    ("EXISTS", &[]),
    ("RENAME", &[]),
    ("PEXPIRE", &["none"]),
    ("ZADD", &["none", "m"]),
    ("ZREM", &["m"]),
    ("ZMSCORE", &["m"]),
    ("ZSCAN", &["0"]),
    ("ZREVRANGE", &["0", "0"]),
    ("ZUNIONSTORE", &["0", "none"]),
    ("SMEMBERS", &[]),
    ("SADD", &["m"]),
    ("SREM", &["m"]),
    ("UNLINK", &[]),
    ("DEL", &[]),
];

/// Looks through all keys: it has none of its own.
const LOOK: &str = "SCAN";

/// The commands on keys that the Redis user of a job must be able to run, in capitals.
pub fn commands_needed() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|(name, _)| *name).chain([LOOK])
}

/// The error with the rights that are missing, as `ACL SETUSER` takes them; as it is where none is found.
pub async fn name_missing_rights(
    error: KolError,
    sink: &SinkSpec,
    open: &mut RedisConnection,
) -> KolError {
    let missing = missing(sink, open).await.unwrap_or_default();
    if missing.is_empty() {
        return error;
    }
    with_missing(error, &missing)
}

/// The problem with the rights of a job's Redis user, before the job runs; `None` when it has all.
///
/// # Errors
/// Code `SINK_…`: see [`classify`].
pub async fn rights_problem(
    sink: &SinkSpec,
    open: &mut RedisConnection,
) -> Result<Option<KolError>, KolError> {
    let missing = missing(sink, open).await.map_err(|e| classify(&e))?;
    let lacks = || with_missing(KolError::external(RIGHTS_MISSING, RIGHTS_LACKING), &missing);
    Ok((!missing.is_empty()).then(lacks))
}

fn with_missing(mut error: KolError, missing: &[String]) -> KolError {
    let rights = missing.join(" ");
    error.message = format!("{}; missing: {rights}", error.message);
    error.help(format!(
        "Run `ACL SETUSER USER {rights}` in Redis (README, \"A Redis user\"); the job resumes by itself."
    ))
}

/// Rights that are missing.
async fn missing(sink: &SinkSpec, open: &mut RedisConnection) -> RedisResult<Vec<String>> {
    let [own, ..] = sink.keys.flip_keys(NOBODY);
    let mut probes: Vec<(String, Cmd)> = Vec::new();
    let mut evalsha = redis::cmd("EVALSHA");
    evalsha.arg("0".repeat(40)).arg(1).arg(&own);
    probes.push(("+evalsha".into(), evalsha));
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg("return 1");
    probes.push(("+script|load".into(), load));
    // These have no key.
    probes.push(("+time".into(), redis::cmd("TIME")));
    let look = redis::cmd(LOOK).arg(0).arg("COUNT").arg(1).take();
    probes.push((format!("+{}", LOOK.to_lowercase()), look));
    for (name, arguments) in COMMANDS {
        let mut command = redis::cmd(name);
        command.arg(&own);
        if name == "RENAME" {
            command.arg(&own);
        }
        command.arg(arguments);
        probes.push((format!("+{}", name.to_lowercase()), command));
    }
    for (pattern, key) in patterns(sink) {
        let mut command = redis::cmd("EXISTS");
        command.arg(key);
        probes.push((format!("~{pattern}"), command));
    }
    let mut missing = Vec::new();
    for (right, probe) in probes {
        // A command that is refused says nothing of its keys.
        let of_key = right.starts_with('~');
        let refused = match probe.query_async::<Value>(open).await {
            Err(e) if e.is_io_error() => return Err(e),
            Err(e) => e.to_string(),
            Ok(_) => continue,
        };
        let key_refused = refused.contains("keys");
        if refused.contains("permissions") && key_refused == of_key {
            missing.push(right);
        }
    }
    missing.dedup();
    Ok(missing)
}

/// A pattern for each template of keys that the job writes, and a key that it matches.
fn patterns(sink: &SinkSpec) -> Vec<(String, String)> {
    let keys = &sink.keys;
    let [flip, ..] = keys.flip_keys(NOBODY);
    let any = |template: &str| {
        let names = ["{platform}", "{kol}", "{job}", "{topic}", "{partition}"];
        names
            .iter()
            .fold(template.to_owned(), |t, name| t.replace(name, "*"))
    };
    let key = |template: &str| any(template).replace('*', NOBODY);
    let [any_flip, ..] = keys.flip_keys("*");
    let beside = any_flip.trim_end_matches("generation").to_owned() + "*";
    let mut all = vec![(beside, flip)];
    let always = [
        &keys.ranking,
        &keys.hash,
        &keys.fence,
        &keys.last_update,
        &keys.last_event,
    ];
    let legacy = sink.legacy_hashes.then_some(&keys.legacy_hash);
    for template in always.into_iter().chain(legacy) {
        all.push((any(template), key(template)));
        // The owner record and its copy.
        for what in ["owner", "holder"] {
            let beside = format!("streaming:{template}:{what}");
            all.push((any(&beside), key(&beside)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legacy_hashes_need_a_right_only_where_they_are_written() {
        for legacy_hashes in [false, true] {
            let sink = SinkSpec {
                legacy_hashes,
                ..SinkSpec::default()
            };
            let patterns = patterns(&sink);
            let is_legacy = |(pattern, _): &(String, String)| pattern == "streaming_scores:*";
            assert_eq!(patterns.iter().any(is_legacy), legacy_hashes);
        }
    }
}
