//! Folders of state files: what they hold and whether they are damaged.

use kol_common::Millis;
use kol_common::proto::{Manifest, Snapshot};

use super::{Table, bytes, facts, grouped};
use crate::state::Verified;

/// Everything that a folder's manifest says, and one line a partition.
pub fn details(location: &str, snapshot: &Snapshot, manifest: &Manifest) -> String {
    let clock = manifest
        .clock_ms
        .map_or("none yet".into(), |ms| Millis(ms).iso());
    let rows = [
        ("location", location.to_owned()),
        (
            "job",
            format!("{} ({})", manifest.job_name, manifest.job_id),
        ),
        (
            "epoch",
            format!("{} of generation {}", manifest.epoch, manifest.generation),
        ),
        ("made", Millis(manifest.begun_ms).iso()),
        ("job clock", clock),
        ("written by", format!("kol {}", snapshot.version)),
    ];
    let mut out = facts(&rows);
    let headings = ["PARTITION", "OFFSET", "KOLS", "VIDEOS", "FILES", "SIZE"];
    let mut table = Table::new(&headings);
    for part in &manifest.partitions {
        let name = part.partition.clone().unwrap_or_default();
        table.row([
            format!("{}/{}", name.topic, name.partition),
            grouped(part.offset),
            grouped(part.kols),
            grouped(part.entities),
            part.files.len().to_string(),
            bytes(part.files.iter().map(|f| f.bytes).sum()),
        ]);
    }
    out.push('\n');
    out.push_str(&table.render());
    out
}

/// Several folders, a line each.
pub fn list<'a>(found: impl Iterator<Item = (&'a str, &'a Manifest)>) -> String {
    let mut table = Table::new(&["JOB", "EPOCH", "MADE", "SIZE", "LOCATION"]);
    for (location, manifest) in found {
        let files = manifest.partitions.iter().flat_map(|p| &p.files);
        table.row([
            manifest.job_name.clone(),
            manifest.epoch.to_string(),
            Millis(manifest.begun_ms).iso(),
            bytes(files.map(|f| f.bytes).sum()),
            location.to_owned(),
        ]);
    }
    table.render()
}

/// One line a partition: what its files hold, and whether they are undamaged.
pub fn verified(all: &[Verified]) -> String {
    let mut table = Table::new(&["PARTITION", "FILES", "SIZE", "KOLS", "VIDEOS", "RESULT"]);
    for v in all {
        let result = v.damage.as_ref();
        table.row([
            v.partition.to_string(),
            v.files.to_string(),
            bytes(v.bytes),
            grouped(v.kols),
            grouped(v.entities),
            result.map_or("undamaged".to_owned(), |error| error.message.clone()),
        ]);
    }
    table.render()
}
