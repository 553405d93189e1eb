//! The law of epochs: what a committed epoch covers is in Redis, and what of it cannot be used is in the topic of
//! dead letters. Looked at whenever a manifest file was written: no slot of its generation may count less than the
//! fold of each partition up to the offset of the epoch. A creator that had left by the window end of the epoch may
//! still stand as an owner before had sent it: an owner that never saw it live finds it by a sweep, which no epoch
//! waits for. Where Redis lost data, only epochs that began after the
//! owner had claimed its fence again count. A partition whose log lost its tail is left out from then on: an offset
//! is no longer of one record.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::Millis;
use kol_common::checkpoint::snapshot;
use kol_common::job::{JobSpec, Profile};
use kol_common::proto::{Manifest, PartitionCheckpoint};
use kol_common::scoring::{Slot, unpack_slots};

use super::log::MemoryLog;
use super::redis::Redis;
use super::run::PRESENT;
use kol_fold::{Fold, Kol};

/// Problems that are kept.
const MOST: usize = 20;

/// What the newest epoch covers.
#[derive(Debug, Default)]
pub struct Covered {
    /// Of the job with this id, up to these offsets.
    fold: Option<(String, Fold)>,
    offsets: BTreeMap<u32, u64>,
    /// Partitions whose log lost its tail.
    cut: BTreeSet<u32>,
    /// Whether the job has a topic of dead letters.
    letters: bool,
    problems: Vec<String>,
}

impl Covered {
    /// Of a job with a topic of dead letters, or without.
    pub fn new(letters: bool) -> Self {
        Self {
            letters,
            ..Self::default()
        }
    }

    /// The log of a partition lost its tail.
    pub fn log_was_cut(&mut self, partition: u32) {
        self.cut.insert(partition);
    }

    /// A manifest file was written: judges by what Redis holds now.
    pub fn look(&mut self, file: &[u8], log: &MemoryLog, redis: &Redis) {
        let Ok(snapshot) = snapshot::decode(file) else {
            return self.problem("a manifest file that cannot be read".to_owned());
        };
        let spec: Option<JobSpec> = serde_json::from_str(&snapshot.spec_json).ok();
        let (Some(manifest), Some(spec)) = (snapshot.manifest, spec) else {
            return self.problem("a manifest file that says nothing".to_owned());
        };
        // Redis knows nothing yet of the generation of a job that continues another.
        if !manifest.origin.is_empty() {
            return;
        }
        self.read_up_to(&manifest, &spec, log);
        let confirmed: BTreeMap<u32, &PartitionCheckpoint> = manifest
            .partitions
            .iter()
            .filter(|p| !self.cut.contains(&p.ordinal))
            .filter(|p| {
                redis.has_lost_nothing_of(manifest.generation, p, Millis(manifest.begun_ms))
            })
            .map(|p| (p.ordinal, p))
            .collect();
        // What came later may have taken a rise back.
        let gains_stay = spec.scoring.profile != Profile::Rising;
        for (key, packed, _) in redis.db().slots() {
            let key = String::from_utf8_lossy(&key);
            let Some((platform, kol)) = key
                .strip_prefix("trending:")
                .and_then(|k| k.split_once(':'))
            else {
                continue;
            };
            let kol = (platform.to_owned(), kol.to_owned());
            for slot in unpack_slots(packed).unwrap_or_default() {
                let same = u64::from(slot.generation) == manifest.generation;
                if let Some(part) = confirmed.get(&slot.partition).filter(|_| same) {
                    self.compare((&kol, &slot), manifest.epoch, part, gains_stay);
                }
            }
        }
    }

    /// Epochs of which Redis did not hold all.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Takes in what the epoch covers; from the beginning when it goes back or is of another job.
    fn read_up_to(&mut self, manifest: &Manifest, spec: &JobSpec, log: &MemoryLog) {
        let advances =
            |p: &PartitionCheckpoint| self.offsets.get(&p.ordinal).is_none_or(|o| p.offset >= *o);
        let same = self.fold.take_if(|(job, _)| *job == manifest.job_id);
        let same = same.filter(|_| manifest.partitions.iter().all(advances));
        let (_, mut fold) = same.unwrap_or_else(|| {
            self.offsets.clear();
            let mut fold = Fold::new(&spec.scoring);
            fold.set_present(PRESENT.0);
            (String::new(), fold)
        });
        for part in &manifest.partitions {
            let from = self.offsets.insert(part.ordinal, part.offset).unwrap_or(0);
            for record in log.between(part.ordinal, from, part.offset) {
                let unusable = fold.rejects(&record);
                let known = !self.letters || self.cut.contains(&part.ordinal);
                if unusable && !known && !log.letters().has(part.ordinal, record.offset) {
                    let (epoch, ordinal, offset) = (manifest.epoch, part.ordinal, record.offset);
                    self.problem(format!("epoch {epoch} covers the record {ordinal}/{offset}, whose dead letter has not arrived"));
                }
            }
        }
        self.fold = Some((manifest.job_id.clone(), fold));
    }

    fn compare(
        &mut self,
        (kol, slot): (&Kol, &Slot),
        epoch: u64,
        part: &PartitionCheckpoint,
        gains_stay: bool,
    ) {
        let end = part.confirmed_as_of.map_or(0, |as_of| as_of.window_end_ms);
        let fold = self.fold.as_ref().map(|(_, fold)| fold);
        let fold = fold.filter(|fold| !fold.has_left(slot.partition, kol, end));
        let covered = fold.and_then(|fold| fold.window_of(slot.partition, kol, slot.window_end));
        if let Some((engagement, events)) = covered
            && ((gains_stay && slot.engagement_e6 < engagement) || f64::from(slot.events) < events)
        {
            self.problem(format!(
                "epoch {epoch} covers {events} events and {engagement} of {kol:?}, and Redis has {slot:?}"
            ));
        }
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < MOST {
            self.problems.push(what);
        }
    }
}
