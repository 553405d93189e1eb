//! What an error of Redis means, and what to do about it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::KolError;

/// Classifies an error of the Redis client. All are retryable: an operator can repair each of them while
/// the job waits, and it then resumes by itself.
pub fn classify(error: &RedisError) -> KolError {
    let text = error.to_string();
    let (code, what, help) = match error.kind() {
        ErrorKind::AuthenticationFailed => AUTH,
        ErrorKind::Server(ServerErrorKind::NoPerm) => AUTH,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => READ_ONLY,
        ErrorKind::Server(ServerErrorKind::BusyLoading) => LOADING,
        ErrorKind::Server(ServerErrorKind::NoScript) => SCRIPT_MISSING,
        _ => match text {
            ref t if t.contains("OOM") => OUT_OF_MEMORY,
            ref t if t.contains("NOAUTH") || t.contains("WRONGPASS") => AUTH,
            ref t if t.contains("NOPERM") || t.contains("invalid password") => AUTH,
            ref t if t.contains("READONLY") => READ_ONLY,
            ref t if t.contains("MISCONF") => MISCONF,
            ref t if t.contains("NOSCRIPT") => SCRIPT_MISSING,
            _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
                UNREACHABLE
            }
            _ => OTHER,
        },
    };
    KolError::external(code, format!("{what}: {}", short(&text))).help(help)
}

type Meaning = (&'static str, &'static str, &'static str);

const UNREACHABLE: Meaning = (
    "SINK_UNREACHABLE",
    "Redis cannot be reached",
    "Start Redis or correct sink.url; scoring continues in memory and is written when Redis is back.",
);
const AUTH: Meaning = (
    "SINK_AUTH",
    "Redis refuses the login",
    "Check sink.password (env:KOL_SECRET_… or file:…) and the rights of the user.",
);
const OUT_OF_MEMORY: Meaning = (
    "SINK_OUT_OF_MEMORY",
    "Redis refuses writes because its memory is full",
    "Raise maxmemory of Redis or shorten scoring.retire_after; writing then resumes by itself.",
);
const READ_ONLY: Meaning = (
    "SINK_READ_ONLY",
    "Redis is a read-only replica",
    "Point sink.url at the primary, or let the failover finish.",
);
const LOADING: Meaning = (
    "SINK_LOADING",
    "Redis is loading its data",
    "Wait: writing resumes by itself when it is ready.",
);
const MISCONF: Meaning = (
    "SINK_MISCONF",
    "Redis refuses writes because it cannot save its snapshot",
    "Free disk space for Redis, or see its log.",
);
/// Error code: Redis has forgotten the scripts; they are loaded again at once.
pub const SCRIPTS_FORGOTTEN: &str = "SINK_SCRIPT_MISSING";
const SCRIPT_MISSING: Meaning = (
    SCRIPTS_FORGOTTEN,
    "Redis has forgotten the merge script",
    "It is loaded again by itself.",
);
const OTHER: Meaning = (
    "SINK_ERROR",
    "Redis answers with an error",
    "See the log of Redis.",
);

/// Errors of scripts carry the script's text position and more: a line is enough.
fn short(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
