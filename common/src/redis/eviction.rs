//! Whether a Redis may evict what was written: rankings and hashes have no expiry, and must stay.

use redis::RedisError;

use super::RedisConnection;
use super::classify::classify;
use super::connection::info;
use crate::KolError;

/// Error code: Redis may evict what was written.
pub const EVICTS: &str = "SINK_EVICTS";

/// The problem with the eviction of a Redis, if it has one; in a Cluster, of any of its nodes.
///
/// # Errors
/// Code `SINK_…`: see [`classify`].
pub async fn eviction(open: &mut RedisConnection) -> Result<Option<KolError>, KolError> {
    let texts = info(open, "memory").await;
    let texts = texts.map_err(|e: RedisError| classify(&e))?;
    Ok(texts.iter().find_map(|text| problem(text)))
}

/// Of one server, by its `INFO memory`. One that does not say its policy or its limit has no problem that is
/// known.
fn problem(info: &str) -> Option<KolError> {
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim)
    };
    let policy = value("maxmemory_policy:")?;
    let limit: u64 = value("maxmemory:")?.parse().ok()?;
    if limit == 0 || !policy.starts_with("allkeys-") {
        return None;
    }
    let what = format!(
        "Redis may evict rankings and creators: maxmemory-policy is {policy}, with maxmemory {limit} bytes"
    );
    Some(KolError::external(EVICTS, what).help(
        "Run `redis-cli CONFIG SET maxmemory-policy noeviction` (and write it into redis.conf); a volatile-… \
         policy is right as well.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(policy: &str, limit: u64) -> Option<KolError> {
        let text = format!(
            "# Memory\r\nused_memory:1\r\nmaxmemory:{limit}\r\nmaxmemory_human:1M\r\nmaxmemory_policy:{policy}\r\n"
        );
        problem(&text)
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
        assert_eq!(problem(""), None, "a server that does not say");
    }
}
