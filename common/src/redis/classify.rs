//! What an error of Redis means, what to do about it, and whether the connection can still be used.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::KolError;

/// What is known of one kind of error.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) code: &'static str,
    what: &'static str,
    help: &'static str,
    /// Whether another connection may fare better: another server may have the name by now, the password
    /// may have been rotated, or the session may be gone. Otherwise the server that answers is the right
    /// one, and its answer does not depend on the connection.
    reconnect: bool,
}

/// Classifies an error of the Redis client. All are retryable: an operator can repair each of them while
/// the job waits, and it then resumes by itself.
pub fn classify(error: &RedisError) -> KolError {
    let Meaning {
        code, what, help, ..
    } = meaning(error);
    KolError::external(code, format!("{what}: {}", short(&error.to_string()))).help(help)
}

/// Whether the connection that gave this error must be dropped. The next one resolves the name and reads
/// the secrets again.
pub fn needs_reconnect(error: &RedisError) -> bool {
    meaning(error).reconnect
}

/// Whether Redis refuses a command as such: the user may not run it, or the server does not have it.
pub fn is_refused(error: &RedisError) -> bool {
    meaning(error).code == RIGHTS_MISSING || error.to_string().contains("unknown command")
}

/// The error for a server that hung up with these words.
pub(super) fn denied(words: &str) -> KolError {
    let Meaning {
        code, what, help, ..
    } = DENIED;
    KolError::external(code, format!("{what}: {}", short(words))).help(help)
}

pub(super) fn meaning(error: &RedisError) -> Meaning {
    use ServerErrorKind as Server;
    match error.kind() {
        ErrorKind::AuthenticationFailed => AUTH,
        ErrorKind::Server(Server::NoPerm) => RIGHTS,
        ErrorKind::Server(Server::ReadOnly) => READ_ONLY,
        ErrorKind::Server(Server::BusyLoading) => LOADING,
        ErrorKind::Server(Server::MasterDown) => MASTER_DOWN,
        ErrorKind::Server(Server::ClusterDown) => CLUSTER_DOWN,
        ErrorKind::Server(Server::Moved | Server::Ask | Server::TryAgain) => SLOT_MOVES,
        ErrorKind::Server(Server::CrossSlot) => CROSS_SLOT,
        ErrorKind::Server(Server::NoScript) => SCRIPT_MISSING,
        ErrorKind::MasterNameNotFoundBySentinel => SENTINEL,
        ErrorKind::ClusterConnectionNotFound => UNREACHABLE,
        _ => by_words(error),
    }
}

/// Errors of scripts, and codes that the client does not know, are recognized by their words.
fn by_words(error: &RedisError) -> Meaning {
    let text = error.to_string();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["OOM"]) {
        OUT_OF_MEMORY
    } else if has(&["NOAUTH", "WRONGPASS", "invalid password"]) {
        AUTH
    } else if has(&["NOPERM", "The user executing the script can't"]) {
        RIGHTS
    } else if has(&["DENIED", "max number of clients"]) {
        DENIED
    } else if has(&["READONLY"]) {
        READ_ONLY
    } else if has(&["MISCONF"]) {
        MISCONF
    } else if has(&["NOSCRIPT"]) {
        SCRIPT_MISSING
    } else if has(&["LOADING"]) {
        LOADING
    } else if has(&["MASTERDOWN"]) {
        MASTER_DOWN
    } else if has(&["CLUSTERDOWN"]) {
        CLUSTER_DOWN
    } else if has(&["certificate", "TLS", "CorruptMessage"]) {
        TLS
    } else if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        UNREACHABLE
    } else if has(&["WRONGTYPE"]) {
        WRONG_TYPE
    } else {
        OTHER
    }
}

const UNREACHABLE: Meaning = Meaning {
    code: UNREACHABLE_CODE,
    what: "Redis cannot be reached",
    help: "Start Redis or correct its URL (sink.url, --redis); a job that runs continues in memory and writes when Redis \
           is back.",
    reconnect: true,
};
const AUTH: Meaning = Meaning {
    code: "SINK_AUTH",
    what: "Redis refuses the login",
    help: "Check the user in sink.url and sink.password (env:KOL_SECRET_… or file:…); a file is read again \
           at each attempt.",
    reconnect: true,
};
const DENIED: Meaning = Meaning {
    code: "SINK_DENIED",
    what: "Redis hangs up and says",
    help: "Protected mode: give its users a password (requirepass or ACL SETUSER) and name it in sink.password. \
           Too many clients: raise maxclients.",
    reconnect: true,
};
/// Error code: the user may not do what was sent; which rights it lacks must be looked up.
pub const RIGHTS_MISSING: &str = "SINK_RIGHTS";
/// What is said of it.
pub(super) const RIGHTS_LACKING: &str = "the Redis user lacks rights";
const RIGHTS: Meaning = Meaning {
    code: RIGHTS_MISSING,
    what: RIGHTS_LACKING,
    help: "Give the user the rights that the README lists (ACL SETUSER); the job resumes by itself.",
    reconnect: true,
};
const OUT_OF_MEMORY: Meaning = Meaning {
    code: "SINK_OUT_OF_MEMORY",
    what: "Redis refuses writes because its memory is full",
    help: "Raise maxmemory of Redis or shorten scoring.retire_after; writing then resumes by itself.",
    reconnect: false,
};
const READ_ONLY: Meaning = Meaning {
    code: "SINK_READ_ONLY",
    what: "Redis is a read-only replica",
    help: "Point sink.url at the primary, or let the failover finish: the name is resolved again at each attempt.",
    reconnect: true,
};
const LOADING: Meaning = Meaning {
    code: "SINK_LOADING",
    what: "Redis is loading its data",
    help: "Wait: writing resumes by itself when it is ready.",
    reconnect: true,
};
const MASTER_DOWN: Meaning = Meaning {
    code: "SINK_MASTER_DOWN",
    what: "Redis is a replica that has lost its primary",
    help: "Let the failover finish or start the primary; the name is resolved again at each attempt.",
    reconnect: true,
};
const CLUSTER_DOWN: Meaning = Meaning {
    code: "SINK_CLUSTER_DOWN",
    what: "the Redis Cluster does not serve these keys",
    help: "See `redis-cli --cluster check`: a node without a replica is down, or hash slots have no owner.",
    reconnect: true,
};
/// The client looks the hash slot up again by itself; the writer sends what failed under a new sequence.
const SLOT_MOVES: Meaning = Meaning {
    code: "SINK_SLOT_MOVES",
    what: "a hash slot of the Redis Cluster moves to another node",
    help: "Nothing: writing resumes by itself when the hash slot has moved.",
    reconnect: false,
};
const CROSS_SLOT: Meaning = Meaning {
    code: "SINK_CROSS_SLOT",
    what: "the keys of the job lie in several hash slots of a Redis Cluster",
    help: "Write sink.url as redis+cluster://…, and give all [sink.keys] one hash tag.",
    reconnect: false,
};
const MISCONF: Meaning = Meaning {
    code: "SINK_MISCONF",
    what: "Redis refuses writes because it cannot save its snapshot",
    help: "Free disk space for Redis, or see its log.",
    reconnect: true,
};
const SENTINEL: Meaning = Meaning {
    code: "SINK_SENTINEL",
    what: "no Sentinel names a primary of this service",
    help: "Check the service name in sink.url (SENTINEL MASTERS lists them), or let the failover finish.",
    reconnect: true,
};
const TLS: Meaning = Meaning {
    code: "SINK_TLS",
    what: "no TLS connection to Redis",
    help: "Name the CA that signed its certificate in sink.tls.ca (file:NAME), and see that the certificate has \
           the host of sink.url.",
    reconnect: true,
};
/// Error code: Redis cannot be reached; any answer disproves it.
pub const UNREACHABLE_CODE: &str = "SINK_UNREACHABLE";
/// Error code: Redis has forgotten the scripts; they are loaded again at once.
pub const SCRIPTS_FORGOTTEN: &str = "SINK_SCRIPT_MISSING";
const SCRIPT_MISSING: Meaning = Meaning {
    code: SCRIPTS_FORGOTTEN,
    what: "Redis has forgotten the merge script",
    help: "It is loaded again by itself.",
    reconnect: false,
};
/// Error code: a key has a type that the job did not give it.
pub const KEY_TYPE: &str = "SINK_KEY_TYPE";
/// What to do about it.
pub const KEY_TYPE_HELP: &str = "Look at the key (TYPE), then delete or rename it: what was left out comes back within a minute. \
     Or give the job other keys ([sink.keys] in its spec).";
const WRONG_TYPE: Meaning = Meaning {
    code: KEY_TYPE,
    what: "a Redis key has a type that the job did not give it",
    help: KEY_TYPE_HELP,
    reconnect: false,
};
const OTHER: Meaning = Meaning {
    code: "SINK_ERROR",
    what: "Redis answers with an error",
    help: "See the log of Redis.",
    reconnect: false,
};

/// Errors of scripts carry the script's text position and more: a line is enough.
fn short(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the client reads it from a server.
    fn error(line: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        reply.extract_error().unwrap_err()
    }

    #[test]
    fn a_server_that_does_not_serve_now_is_left_for_another_connection() {
        for (line, code) in [
            (
                "READONLY You can't write against a read only replica.",
                "SINK_READ_ONLY",
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                "SINK_LOADING",
            ),
            ("MASTERDOWN Link with MASTER is down", "SINK_MASTER_DOWN"),
            ("CLUSTERDOWN Hash slot not served", "SINK_CLUSTER_DOWN"),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                "SINK_MISCONF",
            ),
            ("NOAUTH Authentication required.", "SINK_AUTH"),
            ("WRONGPASS invalid username-password pair", "SINK_AUTH"),
            ("DENIED Redis is running in protected mode", "SINK_DENIED"),
            ("ERR max number of clients reached", "SINK_DENIED"),
            ("NOPERM this user has no permissions", "SINK_RIGHTS"),
            (
                "ERR Error running script: @user_script:9: -READONLY You can't write",
                "SINK_READ_ONLY",
            ),
        ] {
            let error = error(line);
            assert_eq!(classify(&error).code, code, "{line}");
            assert!(needs_reconnect(&error), "{line}");
            assert_eq!(is_refused(&error), code == RIGHTS_MISSING, "{line}");
        }
        let reset = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        assert!(needs_reconnect(&reset));
    }

    #[test]
    fn an_answer_that_would_be_the_same_on_any_connection_keeps_it() {
        for (line, code) in [
            ("NOSCRIPT No matching script.", "SINK_SCRIPT_MISSING"),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "SINK_OUT_OF_MEMORY",
            ),
            ("WRONGTYPE Operation against a key", "SINK_KEY_TYPE"),
            ("ERR unknown command", "SINK_ERROR"),
            ("MOVED 3999 127.0.0.1:6381", "SINK_SLOT_MOVES"),
            ("ASK 3999 127.0.0.1:6381", "SINK_SLOT_MOVES"),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                "SINK_SLOT_MOVES",
            ),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                "SINK_CROSS_SLOT",
            ),
        ] {
            let error = error(line);
            assert_eq!(classify(&error).code, code, "{line}");
            assert!(!needs_reconnect(&error), "{line}");
            assert_eq!(is_refused(&error), line.contains("unknown"), "{line}");
        }
    }
}
