//! Reads what names creators piece by piece, to find orphans: those that no one else would take out.

use kol_common::redis::{RedisConnection, is_wrong_type};
use kol_common::scoring::unpack_slots;
use redis::{Cmd, RedisError};
use tokio::time::Instant;

use super::call::CallResult;
use super::message::{Listing, ScanRequest, Scanned};

/// Members read in one call: well below a millisecond of Redis.
const PIECE: usize = 500;

/// Reads one piece. A listing of which a key is of a wrong type ends with it.
pub(super) async fn scan(request: &ScanRequest, open: &mut RedisConnection) -> CallResult<Scanned> {
    let begun = Instant::now();
    let ranking = request.keys.ranking_key(&request.platform);
    let [_, _, before] = request.keys.flip_keys(&request.platform);
    let piece = match request.listing {
        Listing::Ranking => ranked(request, &ranking, open).await,
        Listing::Before => ranked(request, &before, open).await,
        Listing::Slots => slots(request, open).await,
    };
    let (cursor, kols) = match piece {
        Ok(piece) => piece,
        Err((key, error)) if is_wrong_type(&error) => {
            return Ok(Ok(Scanned {
                refused: Some(key),
                took: begun.elapsed(),
                ..Scanned::default()
            }));
        }
        Err((_, error)) => return Err(error),
    };
    let kols = kols.into_iter();
    Ok(Ok(Scanned {
        cursor,
        kols: kols
            .filter(|(_, field)| concerns(request, field.as_deref()))
            .map(|(kol, _)| kol)
            .collect(),
        refused: None,
        took: begun.elapsed(),
    }))
}

/// Where to continue, and creators with their packed slots, if they have any.
type Piece = (u64, Vec<(String, Option<Vec<u8>>)>);

/// A piece, or the key that could not be read, and why.
type Read = Result<Piece, (String, RedisError)>;

/// A piece of a ranking.
async fn ranked(request: &ScanRequest, ranking: &str, open: &mut RedisConnection) -> Read {
    let scan = scan_of("ZSCAN", ranking, request.cursor)
        .query_async(open)
        .await;
    let (cursor, members): (u64, Vec<(String, f64)>) =
        scan.map_err(|error| (ranking.to_owned(), error))?;
    if members.is_empty() {
        return Ok((cursor, Vec::new()));
    }
    let key = request.keys.slots_key(&request.platform);
    let mut slots = redis::cmd("HMGET");
    slots.arg(&key);
    for (kol, _) in &members {
        slots.arg(kol);
    }
    let fields = slots.query_async(open).await;
    let fields: Vec<Option<Vec<u8>>> = fields.map_err(|error| (key, error))?;
    let names = members.into_iter().map(|(kol, _)| kol);
    Ok((cursor, names.zip(fields).collect()))
}

/// A piece of the slots.
async fn slots(request: &ScanRequest, open: &mut RedisConnection) -> Read {
    let key = request.keys.slots_key(&request.platform);
    let scan = scan_of("HSCAN", &key, request.cursor)
        .query_async(open)
        .await;
    let (cursor, fields): (u64, Vec<(String, Vec<u8>)>) = scan.map_err(|error| (key, error))?;
    let fields = fields.into_iter();
    Ok((
        cursor,
        fields.map(|(kol, packed)| (kol, Some(packed))).collect(),
    ))
}

fn scan_of(command: &str, key: &str, cursor: u64) -> Cmd {
    let mut scan = redis::cmd(command);
    scan.arg(key).arg(cursor).arg("COUNT").arg(PIECE);
    scan
}

/// Whether a KOL with these slots is for this partition to check. A KOL without slots that can be read is
/// for every partition.
fn concerns(request: &ScanRequest, field: Option<&[u8]>) -> bool {
    let slots = field.and_then(|field| unpack_slots(field).ok());
    let Some(slots) = slots else {
        return true;
    };
    let ours = |generation: u32| u64::from(generation) >= request.generation;
    slots.iter().any(|s| s.partition == request.ordinal)
        || !slots.iter().any(|s| ours(s.generation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kol_common::job::KeyTemplates;
    use kol_common::scoring::Market;
    use kol_common::scoring::{Slot, SlotLayout, pack_slots};

    fn slots(of: &[(u32, u32)]) -> Vec<u8> {
        let slot = |(partition, generation): &(u32, u32)| Slot {
            partition: *partition,
            generation: *generation,
            ..Slot::default()
        };
        pack_slots(
            &SlotLayout::PLAIN,
            &Market::default(),
            &of.iter().map(slot).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_partition_checks_its_own_slots_and_those_of_older_generations() {
        let request = ScanRequest {
            listing: Listing::Ranking,
            platform: "tiktok".into(),
            keys: KeyTemplates::default(),
            cursor: 0,
            ordinal: 3,
            generation: 2,
        };
        let concerns = |field: Option<&[u8]>| concerns(&request, field);
        assert!(concerns(Some(&slots(&[(1, 2), (3, 2)]))));
        assert!(!concerns(Some(&slots(&[(1, 2), (4, 2)]))));
        assert!(concerns(Some(&slots(&[(9, 1)]))), "its generation is over");
        assert!(!concerns(Some(&slots(&[(9, 1), (1, 2)]))));
        assert!(concerns(None) && concerns(Some(b"?")));
    }
}
