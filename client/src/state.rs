//! Reads state files without a cluster, to know that they are whole: every checksum, every record, and
//! that they add up to what their manifest says.

use std::collections::BTreeSet;

use kol_common::checkpoint::frame::{Damage, Decoder};
use kol_common::checkpoint::record::records;
use kol_common::checkpoint::{Record, Store};
use kol_common::proto::{Manifest, PartitionCheckpoint};
use kol_common::{KolError, SourcePartition};

/// What is known of the state of one partition.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Which.
    pub partition: SourcePartition,
    /// How many files it has.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
    /// KOLs in it.
    pub kols: u64,
    /// Videos and profiles in it.
    pub entities: u64,
    /// Why it cannot be used.
    pub damage: Option<KolError>,
}

/// Indexes that are in use after all files so far.
#[derive(Debug, Default)]
struct Contents {
    kols: BTreeSet<u32>,
    readings: BTreeSet<u32>,
}

impl Contents {
    fn file(&mut self, file: &[u8]) -> Result<(), Damage> {
        for (number, chunk) in Decoder::new(file)?.enumerate() {
            for record in records(&chunk?) {
                let record = record.map_err(|_| Damage::Undecodable(number as u32))?;
                self.record(&record);
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Record<'_>) {
        match record {
            Record::Head(_) => {}
            Record::Kol(kol) => drop(self.kols.insert(kol.index)),
            Record::NoKol(index) => drop(self.kols.remove(index)),
            Record::Reading(reading) => drop(self.readings.insert(reading.index)),
            Record::FallenReading(fallen) => drop(self.readings.insert(fallen.reading.index)),
            Record::NoReading(index) => drop(self.readings.remove(index)),
        }
    }
}

/// Reads all files of an epoch.
///
/// # Errors
/// The store does not answer; damage is part of the answer.
pub async fn verify(manifest: &Manifest) -> Result<Vec<Verified>, KolError> {
    let mut all = Vec::new();
    for part in &manifest.partitions {
        all.push(verify_partition(part).await?);
    }
    Ok(all)
}

async fn verify_partition(part: &PartitionCheckpoint) -> Result<Verified, KolError> {
    let store = Store::existing(&part.location).await?;
    let mut contents = Contents::default();
    let mut damage = None;
    for file in &part.files {
        let outcome = match store.read(file).await {
            Ok(content) => contents.file(&content),
            Err(error) if error.retryable && error.code != kol_common::checkpoint::DAMAGED => {
                return Err(error);
            }
            Err(error) => {
                damage.get_or_insert(error);
                continue;
            }
        };
        if let Err(found) = outcome {
            damage.get_or_insert(store.damaged(&file.path, &found.to_string()));
        }
    }
    let (kols, entities) = (contents.kols.len() as u64, contents.readings.len() as u64);
    let counted = (kols, entities) == (part.kols, part.entities);
    if damage.is_none() && !counted {
        let last = part.files.last().map_or("", |f| &f.path);
        let what = format!(
            "the files hold {kols} KOLs and {entities} videos, and the manifest says {} and {}",
            part.kols, part.entities
        );
        damage = Some(store.damaged(last, &what));
    }
    Ok(Verified {
        partition: part.partition.clone().unwrap_or_default().into(),
        files: part.files.len(),
        bytes: part.files.iter().map(|f| f.bytes).sum(),
        kols,
        entities,
        damage,
    })
}
