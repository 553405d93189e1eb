//! Whether a Redis is new enough.

use crate::KolError;

/// The oldest Redis that has all commands of a job: `ZMSCORE` came with it.
const OLDEST: (u32, u32) = (6, 2);

/// The version in what a server says of itself (`INFO server`).
///
/// # Errors
/// Code `SINK_VERSION`: it is too old. A server that does not say is taken for new enough.
pub fn version(info: &str) -> Result<&str, KolError> {
    let named = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    let version = named.map_or("unknown", str::trim);
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (major, minor) = (numbers.next(), numbers.next());
    if let (Some(Ok(major)), Some(Ok(minor))) = (major, minor)
        && (major, minor) < OLDEST
    {
        let what = format!("Redis is version {version}; a job needs 6.2 or newer");
        return Err(KolError::user("SINK_VERSION", what)
            .help("Upgrade Redis, or name another one in sink.url."));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_before_6_2_is_refused() {
        for old in ["5.0.14", "6.0.16", "6.1.240", "2.8.19"] {
            let info = format!("# Server\r\nredis_version:{old}\r\nredis_mode:standalone\r\n");
            let error = version(&info).unwrap_err();
            assert_eq!(error.code, "SINK_VERSION");
            assert!(error.message.contains(old), "{error}");
        }
        for new in ["6.2.0", "7.0.15", "8.2.1", "10.0.0", "255.255.255"] {
            let info = format!("redis_version:{new}\r\n");
            assert_eq!(version(&info), Ok(new));
        }
        assert_eq!(version("# Server\r\n"), Ok("unknown"));
        assert_eq!(version("redis_version:unstable\r\n"), Ok("unstable"));
    }
}
