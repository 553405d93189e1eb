//! Looks through all keys of a Redis, piece by piece.

use redis::RedisResult;

use super::RedisConnection;
use super::classify::is_refused;
use super::connection::beside;

/// How far a look through all keys has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The process whose keys they are: a place means nothing in another one, which has its keys in another order.
    server: String,
    /// What it answered last; 0 at the beginning.
    place: u64,
}

/// Of the next piece of all keys the hashes whose keys match a pattern, and where to continue; `None` after the last
/// piece. Looked through is the database of the connection, in a Cluster the node that has the hash slot of a `key`; from
/// the beginning where it is another process than the one that the last piece was of. Redis looks at about `count` keys.
/// What is there from the first piece to the last is found at least once; what comes or goes meanwhile may be.
///
/// # Errors
/// As the client says; [`is_refused`] where the user may not look through the keys.
pub async fn scan_hashes(
    open: &mut RedisConnection,
    key: &str,
    pattern: &str,
    count: usize,
    from: &Cursor,
) -> RedisResult<(Vec<String>, Option<Cursor>)> {
    let server = server_of(open, key).await?;
    let place = if server == from.server { from.place } else { 0 };
    let mut scan = redis::cmd("SCAN");
    scan.arg(place).arg("MATCH").arg(pattern);
    scan.arg("COUNT").arg(count).arg("TYPE").arg("hash");
    let (place, keys): (u64, Vec<Vec<u8>>) = beside(open, key, scan).await?;
    let next = (place > 0).then_some(Cursor { server, place });
    // A key of a job is text.
    let keys = keys.into_iter().map(String::from_utf8);
    Ok((keys.filter_map(Result::ok).collect(), next))
}

/// The process that has this key, as it names itself; always the same where it does not say.
async fn server_of(open: &mut RedisConnection, key: &str) -> RedisResult<String> {
    let info = redis::cmd("INFO").arg("server").take();
    let text: String = match beside(open, key, info).await {
        Err(error) if is_refused(&error) => String::new(),
        answer => answer?,
    };
    let mut lines = text.lines();
    let id = lines.find_map(|line| line.strip_prefix("run_id:"));
    Ok(id.unwrap_or_default().trim().to_owned())
}
