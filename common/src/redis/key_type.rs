//! Keys of a wrong type. Redis says that a command met one, and not which: the keys are looked at.

use redis::RedisError;

use super::RedisConnection;
use super::classify::{KEY_TYPE, KEY_TYPE_HELP, meaning};
use crate::KolError;

/// Whether Redis refused a command because its key is of another type.
pub fn is_wrong_type(error: &RedisError) -> bool {
    meaning(error).code == KEY_TYPE
}

/// The error for a key of a wrong type; `without` says what cannot be done because of it.
pub fn wrong_type(key: &str, without: &str) -> KolError {
    let what = format!("the Redis key {key} has a type that the job did not give it: {without}");
    KolError::external(KEY_TYPE, what).help(KEY_TYPE_HELP)
}

/// The first of these keys that is there and no hash; `None` also where Redis does not say.
pub async fn not_a_hash(keys: Vec<String>, open: &mut RedisConnection) -> Option<String> {
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(open).await.ok()?;
        if kind != "hash" && kind != "none" {
            return Some(key);
        }
    }
    None
}
