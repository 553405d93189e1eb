//! What follows from a look at Kafka and Redis: a job takes over what was found there.

use kol_common::{KolError, Millis};

use super::discovery::{Found, FoundRekeying};
use super::effect::Effect;
use super::epochs::JobParts;
use super::machine::Job;
use super::record::{End, Phase, RekeyRecord};
use super::rekeying::FirstStage;

impl Job {
    /// A root that is not there is a problem of a job that runs, and its new partitions are taken all the same.
    pub(super) fn discovered(
        &mut self,
        now: Millis,
        found: Result<Found, KolError>,
        absent: Option<KolError>,
        out: &mut Vec<Effect>,
    ) {
        let failure = match found {
            Ok(found) => {
                self.adopt(now, found, out);
                absent
            }
            Err(error) => {
                if self.record.phase == Phase::Starting && !error.retryable {
                    self.end(now, End::Failed, error.to_string(), out);
                }
                Some(error)
            }
        };
        let failed = failure.is_some();
        self.lookup.looked(now, &self.record.id, failure);
        if self.outranked && !failed {
            // That look began before.
            self.lookup.hurry(now);
        }
    }

    /// Takes over what was found; a job that starts runs from then on.
    fn adopt(&mut self, now: Millis, found: Found, out: &mut Vec<Effect>) {
        if !matches!(self.record.phase, Phase::Starting | Phase::Running) {
            return;
        }
        if let Some(found) = found.rekeying {
            self.adopt_first(now, found, out);
        }
        for partition in found.partitions {
            if self.partitions.add(now, partition) {
                out.push(Effect::Persist);
            }
        }
        if let (Phase::Running, Some(generation)) = (self.record.phase, found.generation) {
            self.raise(now, generation, out);
        }
        if self.record.phase == Phase::Starting {
            self.record.generation = found.generation.unwrap_or(self.record.generation);
            self.record.phase = Phase::Running;
            out.push(Effect::Persist);
            if let Some(state) = found.state {
                self.measure.resume(&state);
                self.partitions.begin_with(&state);
                let job = JobParts {
                    record: &mut self.record,
                    partitions: &self.partitions,
                    wall: self.wall,
                };
                self.epochs.inherit(now, job, *state, out);
            }
        }
    }

    /// The first stage begins with what was found, or takes over what came to the input since.
    fn adopt_first(&mut self, now: Millis, found: FoundRekeying, out: &mut Vec<Effect>) {
        let (job, drain) = (self.record.id.clone(), self.partitions.drain);
        let first = self.first.get_or_insert_with(|| {
            let record = RekeyRecord {
                internal: found.internal,
                partitions: found.inherited,
            };
            FirstStage::restore(job, record, drain, now)
        });
        for partition in found.partitions {
            if first.partitions.add(now, partition) {
                out.push(Effect::Persist);
            }
        }
    }
}
