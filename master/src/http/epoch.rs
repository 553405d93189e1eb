//! An epoch in one line, as `kol-client checkpoints` has it, and what its time went to.

use kol_common::proto::{Manifest, PartitionCheckpoint};
use serde_json::{Value, json};

/// Times are those of its slowest partition.
pub(super) fn epoch(manifest: &Manifest) -> Value {
    let parts = || manifest.partitions.iter();
    let most = |of: fn(&PartitionCheckpoint) -> u64| parts().map(of).max();
    let files = || parts().flat_map(|part| &part.files);
    json!({
        "epoch": manifest.epoch,
        "begun_ms": manifest.begun_ms,
        "took_ms": manifest.took_ms,
        "written_bytes": parts().map(|part| part.written_bytes).sum::<u64>(),
        "state_bytes": files().map(|file| file.bytes).sum::<u64>(),
        "files": files().count(),
        "pause_us": most(|part| part.pause_us),
        "durable_ms": most(|part| part.durable_ms),
        "confirmed_ms": most(|part| part.confirmed_ms),
        "spent": spent(manifest),
        "origin": manifest.origin,
    })
}

/// What the time of an epoch went to, by the partition that was ready last: parts that add up to the whole. Copying is
/// not known of partitions whose executor does not report it; then it is part of writing.
fn spent(manifest: &Manifest) -> Value {
    let slowest = manifest.partitions.iter().max_by_key(|part| ready_ms(part));
    let Some(part) = slowest else {
        return Value::Null;
    };
    let ready = ready_ms(part);
    let copied = part.copied_ms.unwrap_or_default().min(part.durable_ms);
    json!({
        // Barriers on their way, dead letters, acknowledgements, and the commit.
        "align_ms": manifest.took_ms.saturating_sub(ready),
        "copy_ms": part.copied_ms.map(|_| copied),
        "write_ms": part.durable_ms - copied,
        // Longer than for its file.
        "redis_ms": ready - part.durable_ms,
    })
}

/// When a partition had its file, and Redis everything from before the barrier.
fn ready_ms(part: &PartitionCheckpoint) -> u64 {
    part.durable_ms.max(part.confirmed_ms)
}

#[cfg(test)]
mod tests {
    use kol_common::proto::StateFile;

    use super::*;

    #[test]
    fn an_epoch_has_the_times_of_its_slowest_partition_and_the_bytes_of_all() {
        let part = |ms, bytes| PartitionCheckpoint {
            durable_ms: ms,
            confirmed_ms: ms * 10,
            pause_us: ms + 1,
            written_bytes: bytes,
            files: vec![StateFile {
                bytes: bytes * 3,
                ..StateFile::default()
            }],
            ..PartitionCheckpoint::default()
        };
        let manifest = Manifest {
            epoch: 9,
            took_ms: 44,
            partitions: vec![part(5, 100), part(8, 10)],
            ..Manifest::default()
        };
        let shown = epoch(&manifest);
        for (key, value) in [
            ("epoch", 9),
            ("took_ms", 44),
            ("durable_ms", 8),
            ("confirmed_ms", 80),
            ("pause_us", 9),
            ("written_bytes", 110),
            ("state_bytes", 330),
            ("files", 2),
        ] {
            assert_eq!(shown[key], value, "{key} in {shown}");
        }
    }

    #[test]
    fn what_the_time_of_an_epoch_went_to_adds_up_to_it() {
        let part = |copied, durable, confirmed| PartitionCheckpoint {
            copied_ms: copied,
            durable_ms: durable,
            confirmed_ms: confirmed,
            ..PartitionCheckpoint::default()
        };
        let spent = |partitions| {
            let took_ms = 50;
            spent(&Manifest {
                took_ms,
                partitions,
                ..Manifest::default()
            })
        };
        let parts = |align, copy: Option<u64>, write, redis| json!({"align_ms": align, "copy_ms": copy, "write_ms": write, "redis_ms": redis});
        // Redis was last, in the second partition.
        let both = vec![part(Some(9), 30, 2), part(Some(4), 10, 40)];
        assert_eq!(spent(both), parts(10, Some(4), 6, 30));
        // The file was last.
        assert_eq!(spent(vec![part(Some(9), 30, 2)]), parts(20, Some(9), 21, 0));
        assert_eq!(spent(vec![part(None, 30, 2)]), parts(20, None, 30, 0));
        assert_eq!(spent(vec![]), Value::Null);
    }
}
