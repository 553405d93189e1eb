//! Checkpoints and savepoints, with what each one cost.

use kol_common::Millis;
use kol_common::proto::{
    CheckpointStatus, ListCheckpointsReply, Manifest, PartitionCheckpoint, Savepoint,
};

use super::{Table, age, bytes, grouped};
use crate::print::visible;

/// The kept checkpoints and the savepoints, newest first.
pub fn list(kept: &ListCheckpointsReply) -> String {
    let mut text = if kept.checkpoints.is_empty() {
        format!("No checkpoint yet in {}.\n", visible(&kept.location))
    } else {
        checkpoints(kept)
    };
    if !kept.savepoints.is_empty() {
        text.push('\n');
        text.push_str(&savepoints(kept));
    }
    text
}

/// One savepoint, as it was taken.
pub fn savepoint(savepoint: &Savepoint) -> String {
    format!(
        "{} in {} ({}, {} KOLs, {} ms)",
        visible(&savepoint.id),
        visible(&savepoint.location),
        bytes(savepoint.bytes),
        grouped(savepoint.kols),
        savepoint.took_ms
    )
}

fn savepoints(kept: &ListCheckpointsReply) -> String {
    let mut table = Table::new(&[
        "SAVEPOINT",
        "MADE",
        "OF",
        "EPOCH",
        "STATE",
        "KOLS",
        "LOCATION",
    ]);
    for s in &kept.savepoints {
        table.row([
            s.id.clone(),
            Millis(s.made_ms).iso(),
            s.job_id.clone(),
            s.epoch.to_string(),
            bytes(s.bytes),
            grouped(s.kols),
            s.location.clone(),
        ]);
    }
    table.render()
}

fn checkpoints(kept: &ListCheckpointsReply) -> String {
    let mut table = Table::new(&[
        "EPOCH",
        "MADE",
        "TOOK",
        "WRITTEN",
        "STATE",
        "FILES",
        "DURABLE",
        "CONFIRMED",
        "PAUSE",
        "ORIGIN",
    ]);
    for manifest in &kept.checkpoints {
        let ms = |of: fn(&PartitionCheckpoint) -> u64| format!("{} ms", most(manifest, of));
        let files = manifest.partitions.iter().map(|p| p.files.len() as u64);
        table.row([
            manifest.epoch.to_string(),
            Millis(manifest.begun_ms).iso(),
            format!("{} ms", manifest.took_ms),
            bytes(sum(manifest, |p| p.written_bytes)),
            bytes(sum(manifest, |p| p.files.iter().map(|f| f.bytes).sum())),
            grouped(files.sum()),
            ms(|p| p.durable_ms),
            ms(|p| p.confirmed_ms),
            format!("{:.1} ms", most(manifest, |p| p.pause_us) as f64 / 1e3),
            manifest.origin.clone(),
        ]);
    }
    table.render()
}

/// A line for the status of a job.
pub fn line(status: &CheckpointStatus, now_ms: u64) -> String {
    if status.epoch == 0 {
        return "none yet".to_owned();
    }
    let ago = age(now_ms.saturating_sub(status.committed_ms));
    let failed = match status.failures {
        0 => String::new(),
        n => format!(", {n} failed since"),
    };
    format!(
        "epoch {} {ago} ago, took {} ms, {} written{failed}",
        status.epoch,
        status.took_ms,
        bytes(status.written_bytes)
    )
}

fn sum(manifest: &Manifest, of: fn(&PartitionCheckpoint) -> u64) -> u64 {
    manifest.partitions.iter().map(of).sum()
}

fn most(manifest: &Manifest, of: fn(&PartitionCheckpoint) -> u64) -> u64 {
    manifest.partitions.iter().map(of).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_shows_what_it_cost_and_a_status_how_old_it_is() {
        let partition = |ms, us| PartitionCheckpoint {
            durable_ms: ms,
            pause_us: us,
            written_bytes: 2_048,
            ..PartitionCheckpoint::default()
        };
        let manifest = Manifest {
            epoch: 7,
            took_ms: 31,
            partitions: vec![partition(12, 450), partition(9, 1_200)],
            ..Manifest::default()
        };
        let reply = ListCheckpointsReply {
            location: "file:///x".into(),
            checkpoints: vec![manifest],
            savepoints: vec![Savepoint {
                id: "sav_1".into(),
                location: "file:///y".into(),
                ..Savepoint::default()
            }],
        };
        let text = list(&reply);
        for part in ["31 ms", "12 ms", "1.2 ms", "4 KiB", "sav_1", "file:///y"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let status = CheckpointStatus {
            epoch: 7,
            committed_ms: 1_000,
            took_ms: 31,
            failures: 2,
            ..CheckpointStatus::default()
        };
        let text = line(&status, 3_000);
        assert!(
            text.starts_with("epoch 7 ") && text.ends_with("2 failed since"),
            "{text}"
        );
    }
}
