//! How a call to Redis ends: within a deadline, and sorted into what the partition must do and what is
//! wrong with the connection.

use std::io::ErrorKind;
use std::time::Duration;

use kol_common::KolError;
use kol_common::redis::{classify, is_wrong_type, needs_reconnect, wrong_type};
use redis::RedisError;
use tokio_util::sync::CancellationToken;

use super::message::{Operation, SinkError};
use super::turns::Turns;

/// Longest time one request may take in Redis.
pub(super) const DEADLINE: Duration = Duration::from_secs(15);

/// How a call ends: inside, what a script or a check says; outside, what the client says.
pub(super) type CallResult<T> = Result<Result<T, SinkError>, RedisError>;

/// How a request ended, for the loop.
pub(super) struct Served {
    /// The kind of request.
    pub(super) operation: Operation,
    /// Number of a connection that proved broken, or whose server does not serve now.
    pub(super) broken: Option<u64>,
    /// What the client said, if something.
    pub(super) error: Option<KolError>,
}

/// Waits for a call, within the deadline, and while its connection is not `closed`: then nothing on it is answered.
pub(super) async fn within<T>(
    closed: &CancellationToken,
    call: impl Future<Output = CallResult<T>>,
) -> CallResult<T> {
    let kind = tokio::select! {
        biased;
        result = call => return result,
        () = closed.cancelled() => ErrorKind::ConnectionAborted,
        () = tokio::time::sleep(DEADLINE) => ErrorKind::TimedOut,
    };
    Err(RedisError::from(std::io::Error::from(kind)))
}

/// A call whose time Redis was busy with us. One that failed says nothing of that.
pub(super) async fn timed<T>(
    turns: &Turns,
    call: impl Future<Output = CallResult<T>>,
) -> CallResult<T> {
    let request = turns.request();
    let called = call.await;
    if called.is_ok() {
        request.answered();
    }
    called
}

/// A call whose scripts met a key of a wrong type where they do not look for that: only at the fence record. The
/// error names it.
pub(super) fn on_fence<T>(called: CallResult<T>, fence: &str) -> CallResult<T> {
    match called {
        Err(error) if is_wrong_type(&error) => {
            let error = wrong_type(
                fence,
                "nothing of this partition is written until it is gone",
            );
            Ok(Err(error.into()))
        }
        other => other,
    }
}

/// Sorts the result of a call on connection `number`.
pub(super) fn settle<T>(
    operation: Operation,
    number: u64,
    result: CallResult<T>,
) -> (Result<T, SinkError>, Served) {
    match result {
        Ok(reply) => {
            let error = match &reply {
                Err(SinkError::Unavailable(error)) => Some(error.clone()),
                _ => None,
            };
            let served = Served {
                operation,
                broken: None,
                error,
            };
            (reply, served)
        }
        Err(error) => {
            let broken = needs_reconnect(&error);
            let error = classify(&error);
            let served = Served {
                operation,
                broken: broken.then_some(number),
                error: Some(error.clone()),
            };
            (Err(error.into()), served)
        }
    }
}
