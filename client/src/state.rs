//! Verifies state files without a cluster: every checksum and every record is read, and the totals must
//! equal those of the manifest.

use std::collections::BTreeSet;

use kol_common::checkpoint::frame::{Damage, Decoder};
use kol_common::checkpoint::record::records;
use kol_common::checkpoint::{Record, Stores};
use kol_common::proto::{Manifest, PartitionCheckpoint};
use kol_common::{KolError, SourcePartition};

/// What reading all state files of one partition found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// As the manifest names it.
    pub partition: SourcePartition,
    /// Files that the manifest names: the base and those of changes after it.
    pub files: usize,
    /// Size of all files together.
    pub bytes: u64,
    /// KOLs that are in use after all files.
    pub kols: u64,
    /// Videos and profiles that have a reading after all files.
    pub entities: u64,
    /// The first damage that was found.
    pub damage: Option<KolError>,
}

/// Indexes that are in use after the files read so far.
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
            Record::CarriedKol(carried) => drop(self.kols.insert(carried.kol.index)),
            Record::NoKol(index) => drop(self.kols.remove(index)),
            Record::Reading(reading) => drop(self.readings.insert(reading.index)),
            Record::FallenReading(fallen) => drop(self.readings.insert(fallen.reading.index)),
            Record::CarriedReading(it) => drop(self.readings.insert(it.reading.reading.index)),
            Record::NoReading(index) => drop(self.readings.remove(index)),
        }
    }
}

/// Reads all files of an epoch.
///
/// # Errors
/// The store does not answer; damage is part of the answer.
pub async fn verify(stores: &Stores, manifest: &Manifest) -> Result<Vec<Verified>, KolError> {
    let mut all = Vec::new();
    for part in &manifest.partitions {
        all.push(verify_partition(stores, part).await?);
    }
    Ok(all)
}

async fn verify_partition(
    stores: &Stores,
    part: &PartitionCheckpoint,
) -> Result<Verified, KolError> {
    let store = stores.existing(&part.location).await?;
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
