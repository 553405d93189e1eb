//! Reads a ranking piece by piece, to find orphans: creators that no one else would take out of it.

use kol_common::redis::RedisConnection;
use kol_common::scoring::unpack_slots;
use tokio::time::Instant;

use super::call::CallResult;
use super::message::{ScanRequest, Scanned};

/// Members read in one call: well below a millisecond of Redis.
const PIECE: usize = 500;

/// Reads one piece.
pub(super) async fn scan(request: &ScanRequest, open: &mut RedisConnection) -> CallResult<Scanned> {
    let begun = Instant::now();
    let (cursor, members): (u64, Vec<(String, f64)>) = redis::cmd("ZSCAN")
        .arg(&request.ranking)
        .arg(request.cursor)
        .arg("COUNT")
        .arg(PIECE)
        .query_async(open)
        .await?;
    let mut fields: Vec<Option<Vec<u8>>> = Vec::new();
    if !members.is_empty() {
        let mut slots = redis::cmd("HMGET");
        slots.arg(request.keys.slots_key(&request.platform));
        for (kol, _) in &members {
            slots.arg(kol);
        }
        fields = slots.query_async(open).await?;
    }
    let kols = members.into_iter().zip(fields);
    Ok(Ok(Scanned {
        cursor,
        kols: kols
            .filter(|(_, field)| concerns(request, field.as_deref()))
            .map(|((kol, _), _)| kol)
            .collect(),
        took: begun.elapsed(),
    }))
}

/// Whether a KOL with these slots is for this partition to check. A KOL without slots that can be read is
/// for every partition.
fn concerns(request: &ScanRequest, field: Option<&[u8]>) -> bool {
    let slots = field.and_then(|field| unpack_slots(field).ok());
    let Some(slots) = slots else {
        return true;
    };
    let ours = |generation: u32| u64::from(generation) >= request.generation;
    slots.iter().any(|s| s.partition == request.slot) || !slots.iter().any(|s| ours(s.generation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kol_common::job::KeyTemplates;
    use kol_common::scoring::Market;
    use kol_common::scoring::{Slot, pack_slots};

    fn slots(of: &[(u32, u32)]) -> Vec<u8> {
        let slot = |(partition, generation): &(u32, u32)| Slot {
            partition: *partition,
            generation: *generation,
            ..Slot::default()
        };
        pack_slots(&Market::default(), &of.iter().map(slot).collect::<Vec<_>>())
    }

    #[test]
    fn a_partition_checks_its_own_slots_and_those_of_older_generations() {
        let request = ScanRequest {
            ranking: "r".into(),
            platform: "tiktok".into(),
            keys: KeyTemplates::default(),
            cursor: 0,
            slot: 3,
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
