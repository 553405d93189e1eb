//! Looks for hashes of KOLs that only an older generation knew and that nothing names any more: somebody deleted the
//! ranking and the slots of their platform. Only the keys themselves tell of them.
//!
//! A key that matches the pattern of the job's hashes may be anybody's. Which KOL a hash is of, and of which generation,
//! it says itself; it is one of the job's if its key is the one that this KOL has.

use std::collections::BTreeMap;

use kol_common::KolError;
use kol_common::job::KeyTemplates;
use kol_common::redis::{RedisConnection, classify, is_refused, is_wrong_type, scan_hashes};
use kol_common::scoring::schema;
use redis::{FromRedisValue, Pipeline, RedisResult, Value};
use tokio::time::Instant;

use super::call::CallResult;
use super::message::{Hashes, HashesRequest};

/// Keys that Redis looks at in one call, and KOLs that are looked up in one: well below a millisecond of Redis.
const PIECE: usize = 500;

/// What a hash has in a field.
type Text = Option<Vec<u8>>;

/// Looks at one piece.
pub(super) async fn hashes(
    request: &HashesRequest,
    open: &mut RedisConnection,
) -> CallResult<Hashes> {
    let begun = Instant::now();
    let pattern = request.keys.hash_pattern();
    let (keys, next) = match scan_hashes(open, &request.fence, &pattern, PIECE, &request.from).await
    {
        Ok(piece) => piece,
        Err(error) if is_refused(&error) => {
            return Ok(Ok(Hashes {
                refused: Some(Box::new(refused(&classify(&error)))),
                took: begun.elapsed(),
                ..Hashes::default()
            }));
        }
        Err(error) => return Err(error),
    };
    let mut lone = Vec::new();
    for keys in keys.chunks(PIECE) {
        for (platform, kols) in older(request, keys, open).await? {
            let kols = nowhere(&request.keys, &platform, kols, open).await?;
            lone.extend(kols.into_iter().map(|kol| (platform.clone(), kol)));
        }
    }
    Ok(Ok(Hashes {
        next,
        lone,
        refused: None,
        took: begun.elapsed(),
    }))
}

fn refused(why: &KolError) -> KolError {
    let what = format!(
        "Redis does not let its keys be looked through (SCAN), so hashes of creators that only an older generation of \
         the job knew may stay: {}",
        why.message
    );
    KolError::external("SINK_SCAN_REFUSED", what).help(
        "Run `ACL SETUSER USER +scan` in Redis (README, \"A Redis user\"); it is tried again each minute. Everything \
         else continues.",
    )
}

/// Those of these keys that are hashes of KOLs of an older generation of the job, by platform.
async fn older(
    request: &HashesRequest,
    keys: &[String],
    open: &mut RedisConnection,
) -> RedisResult<BTreeMap<String, Vec<String>>> {
    let mut pipe = Pipeline::with_capacity(keys.len());
    for key in keys {
        pipe.cmd("HMGET").arg(key).arg(&schema::IDENTITY);
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, fields) in keys.iter().zip(each::<Text>(pipe, open).await?) {
        // Of a foreign key nothing has to be known, also not why the user may not read it.
        let fields = match fields {
            Err(error) if is_refused(&error) || is_wrong_type(&error) => continue,
            fields => fields?,
        };
        if let Some((platform, kol)) = whose(request, key, fields) {
            found.entry(platform).or_default().push(kol);
        }
    }
    Ok(found)
}

/// The platform and the name of the KOL whose hash of an older generation has this key and these fields.
fn whose(request: &HashesRequest, key: &str, fields: Vec<Text>) -> Option<(String, String)> {
    let texts = fields
        .into_iter()
        .map(|field| String::from_utf8(field?).ok());
    let texts: Vec<String> = texts.collect::<Option<_>>()?;
    let [kol, platform, generation] = texts.try_into().ok()?;
    let generation: u64 = generation.parse().ok()?;
    let is_its_own = request.keys.hash_key(&platform, &kol) == key;
    (is_its_own && generation < request.generation).then_some((platform, kol))
}

/// Those KOLs that have no slots and are in no ranking of their platform. None where one of its keys is of a wrong type:
/// what it should hold is not known.
async fn nowhere(
    keys: &KeyTemplates,
    platform: &str,
    kols: Vec<String>,
    open: &mut RedisConnection,
) -> RedisResult<Vec<String>> {
    let [_, next, before] = keys.flip_keys(platform);
    let mut pipe = Pipeline::with_capacity(4);
    let slots = keys.slots_key(platform);
    pipe.cmd("HMGET").arg(slots).arg(&kols);
    for ranking in [keys.ranking_key(platform), next, before] {
        pipe.cmd("ZMSCORE").arg(ranking).arg(&kols);
    }
    let mut named = vec![false; kols.len()];
    for answer in each::<Value>(pipe, open).await? {
        let found = match answer {
            Err(error) if is_wrong_type(&error) => return Ok(Vec::new()),
            answer => answer?,
        };
        for (named, found) in named.iter_mut().zip(found) {
            *named |= found != Value::Nil;
        }
    }
    let kols = kols.into_iter().zip(named);
    Ok(kols
        .filter(|(_, named)| !named)
        .map(|(kol, _)| kol)
        .collect())
}

/// What each command of a pipeline answers.
async fn each<T: FromRedisValue>(
    mut pipe: Pipeline,
    open: &mut RedisConnection,
) -> RedisResult<Vec<RedisResult<Vec<T>>>> {
    pipe.ignore_errors().query_async(open).await
}

#[cfg(test)]
mod tests {
    use kol_common::redis::Cursor;

    use super::*;

    fn whose_is(template: &str, key: &str, fields: [Option<&[u8]>; 3]) -> Option<(String, String)> {
        let request = HashesRequest {
            from: Cursor::default(),
            keys: KeyTemplates {
                hash: template.into(),
                ..KeyTemplates::default()
            },
            fence: "fence".into(),
            generation: 7,
        };
        let fields = fields.map(|field| field.map(<[u8]>::to_vec));
        whose(&request, key, fields.into())
    }

    #[test]
    fn a_hash_is_the_jobs_if_its_key_is_the_one_of_the_creator_that_it_names() {
        let fields = [&b"a:b"[..], b"tiktok", b"6"].map(Some);
        let own = Some(("tiktok".to_owned(), "a:b".to_owned()));
        for (template, key, is_own) in [
            ("trending:{platform}:{kol}", "trending:tiktok:a:b", true),
            ("{kol}/{platform}", "a:b/tiktok", true),
            ("{{platform}}{kol}", "{tiktok}a:b", true),
            ("trending:{platform}:{kol}", "trending:tiktok:a", false),
            ("trending:{platform}:{kol}", "trending:youtube:a:b", false),
            ("trending:{platform}:x:{kol}", "trending:tiktok:a:b", false),
        ] {
            let found = whose_is(template, key, fields);
            assert_eq!(found, own.clone().filter(|_| is_own), "{template} {key}");
        }
    }

    #[test]
    fn a_hash_that_does_not_say_that_it_is_of_an_older_generation_is_nobodys() {
        let of = |generation| [Some(&b"a"[..]), Some(b"tiktok"), generation];
        let found = |fields| whose_is("t:{platform}:{kol}", "t:tiktok:a", fields).is_some();
        assert!(found(of(Some(b"6"))) && found(of(Some(b"0"))));
        for generation in [&b"7"[..], b"8", b"", b"-1", b"6.5", b"x", b"\xff"] {
            assert!(!found(of(Some(generation))), "{generation:?}");
        }
        assert!(!found(of(None)));
        for at in 0..2 {
            for other in [None, Some(&b"\xff"[..])] {
                let mut fields = of(Some(b"6"));
                fields[at] = other;
                assert!(!found(fields), "{fields:?}");
            }
        }
    }
}
