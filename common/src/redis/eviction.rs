//! Whether a Redis may evict what was written. It must stay, and has no expiry unless the spec gives the hashes one.

use redis::RedisError;

use super::RedisConnection;
use super::classify::classify;
use super::connection::info;
use crate::KolError;

/// Error code: Redis may evict what was written.
pub const EVICTS: &str = "SINK_EVICTS";

/// The problem with the eviction of a Redis, if it has one; in a Cluster, of any of its nodes. `expires` says whether
/// what is written has an expiry (`sink.ttl`): then policies for keys with one concern it, too.
///
/// # Errors
/// Code `SINK_…`: see [`classify`].
pub async fn eviction(
    open: &mut RedisConnection,
    expires: bool,
) -> Result<Option<KolError>, KolError> {
    let texts = info(open, "memory").await;
    let texts = texts.map_err(|e: RedisError| classify(&e))?;
    Ok(texts.iter().find_map(|text| problem(text, expires)))
}

/// Of one server, by its `INFO memory`. One that does not say its policy or its limit has no problem that is
/// known.
fn problem(info: &str, expires: bool) -> Option<KolError> {
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    let policy = value("maxmemory_policy:")?;
    let limit: u64 = value("maxmemory:")?.parse().ok()?;
    let evicted = match policy.split_once('-').map_or(policy, |(of, _)| of) {
        _ if limit == 0 => return None,
        "allkeys" => "rankings and creators",
        "volatile" if expires => "creators, whose hashes have an expiry (sink.ttl)",
        _ => return None,
    };
    let what = format!(
        "Redis may evict {evicted}: maxmemory-policy is {policy}, with maxmemory {limit} bytes"
    );
    let also = if expires {
        "a volatile-… policy is right only without sink.ttl."
    } else {
        "a volatile-… policy is right as well."
    };
    Some(KolError::external(EVICTS, what).help(format!(
        "Run `redis-cli CONFIG SET maxmemory-policy noeviction` (and write it into redis.conf); {also}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(policy: &str, limit: u64) -> Option<KolError> {
        with(policy, limit, false)
    }

    fn with(policy: &str, limit: u64, expires: bool) -> Option<KolError> {
        let text = format!(
            "# Memory\r\nused_memory:1\r\nmaxmemory:{limit}\r\nmaxmemory_human:1M\r\nmaxmemory_policy:{policy}\r\n"
        );
        problem(&text, expires)
    }

    #[test]
    fn a_policy_that_evicts_keys_without_expiry_is_a_problem_where_memory_is_limited() {
        for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            let error = of(policy, 1 << 20).unwrap();
            assert_eq!(error.code, EVICTS);
            let text = error.to_string();
            assert!(text.contains(policy), "{text}");
            assert!(
                text.contains("CONFIG SET maxmemory-policy noeviction"),
                "{text}"
            );
            assert_eq!(of(policy, 0), None, "without a limit nothing is evicted");
        }
        for policy in ["noeviction", "volatile-lru", "volatile-ttl"] {
            assert_eq!(of(policy, 1 << 20), None, "{policy}");
        }
        assert_eq!(problem("", true), None, "a server that does not say");
    }
    #[test]
    fn a_policy_that_evicts_keys_with_an_expiry_is_a_problem_where_hashes_have_one() {
        for policy in [
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
        ] {
            let text = with(policy, 1 << 20, true).unwrap().to_string();
            assert!(text.contains("sink.ttl") && text.contains(policy), "{text}");
            assert_eq!(with(policy, 1 << 20, false), None, "{policy}");
            assert_eq!(with(policy, 0, true), None, "without a limit");
        }
        assert!(with("allkeys-lru", 1 << 20, true).is_some());
        assert_eq!(with("noeviction", 1 << 20, true), None);
    }
}
