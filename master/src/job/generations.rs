//! The generations of rankings that are on record in Redis: a job that starts there takes a newer one.

use kol_common::job::JobSpec;
use kol_common::redis::{
    Connect, RIGHTS_MISSING, RedisConnection, classify, is_wrong_type, name_missing_rights,
};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};

/// Field of a fence record in Redis that holds the generation.
const GENERATION_FIELD: &str = "gen";

/// The newest generation in the fence records of these partitions, and of the rankings that there are, of any
/// platform; 0 without any.
///
/// # Errors
/// Redis does not answer, or the job may not read there.
pub(super) async fn newest_in_redis(
    spec: &JobSpec,
    partitions: impl Iterator<Item = &SourcePartition>,
    redis: &dyn Connect,
    secrets: &Secrets,
) -> Result<u64, KolError> {
    let connected = redis.connect(&spec.sink, secrets);
    let mut connection = connected.await?;
    let found = match generations(spec, partitions, &mut connection).await {
        Ok(found) => found,
        Err(error) if error.code == RIGHTS_MISSING => {
            return Err(name_missing_rights(error, &spec.sink, &mut connection).await);
        }
        Err(error) => return Err(error),
    };
    // A fence has the number alone, a ranking "N live" or "N next".
    let number = |text: &String| text.split(' ').next()?.parse::<u64>().ok();
    let numbers = found.iter().flatten().filter_map(number);
    Ok(numbers.max().unwrap_or(0))
}

/// The generations on record, as they are written.
async fn generations(
    spec: &JobSpec,
    partitions: impl Iterator<Item = &SourcePartition>,
    connection: &mut RedisConnection,
) -> Result<Vec<Option<String>>, KolError> {
    let keys = &spec.sink.keys;
    let mut pipeline = redis::pipe();
    for partition in partitions {
        pipeline.hget(keys.fence_key(&spec.name, partition), GENERATION_FIELD);
    }
    let mut listed = redis::cmd("SMEMBERS");
    let listed = listed.arg(keys.platforms_key());
    let listed: Vec<String> = match listed.query_async(connection).await {
        // The job says so when it runs.
        Err(error) if is_wrong_type(&error) => Vec::new(),
        listed => listed.map_err(|e| classify(&e))?,
    };
    let always = spec.scoring.always_admitted().map(str::to_owned);
    for platform in always.chain(listed) {
        let [record, ..] = keys.flip_keys(&platform);
        pipeline.get(record);
    }
    let found = pipeline.query_async(connection).await;
    found.map_err(|e| classify(&e))
}
