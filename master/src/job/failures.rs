//! What follows for a job from a partition that failed.

use kol_common::checkpoint::DAMAGED;
use kol_common::job::Flip;
use kol_common::proto::{PartitionFailed, StateFile};
use kol_common::{ExecutorId, Millis};

use super::effect::Effect;
use super::losses::Failure;
use super::machine::Job;
use super::record::{End, PartitionRecord};

/// A file of a state that an executor could not read.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// Where it is.
    pub location: String,
    /// That is the checkpoint root of the job.
    pub is_in_root: bool,
    /// The file as its epoch has it.
    pub file: StateFile,
}

impl Job {
    /// The file of the state of its assignment that a partition failed for, if that is the reason.
    pub fn missed(&self, executor: &ExecutorId, failed: &PartitionFailed) -> Option<Missed> {
        let error = failed.error.as_ref().filter(|e| e.code == DAMAGED)?;
        let partition = self.partitions.given_up(executor, failed)?;
        let mut usable = self.epochs.coordinator().usable(partition.record.ordinal);
        let (_, state) = usable.find(|(epoch, _)| Some(*epoch) == partition.restored)?;
        let file = state.files.iter().find(|file| file.path == error.file)?;
        let is_in_root = state.location.is_empty();
        let location = match is_in_root {
            true => &self.record.spec.checkpoint.location,
            false => &state.location,
        };
        Some(Missed {
            location: location.clone(),
            is_in_root,
            file: file.clone(),
        })
    }

    pub(super) fn partition_failed(
        &mut self,
        now: Millis,
        failure: Failure,
        out: &mut Vec<Effect>,
    ) {
        match failure {
            Failure::Tolerated => {}
            Failure::Damaged {
                ordinal,
                epoch,
                text,
            } => {
                self.epochs.mark_damaged(ordinal, epoch);
                let epochs = self.epochs.coordinator();
                let is_lost = epochs.is_lost(ordinal);
                // Without an epoch of its own the job has not begun: the state is still what a person gave it.
                let has_begun = epochs.head().is_some_and(|head| head.origin.is_empty());
                if epochs.is_inherited(epoch) && !(is_lost && has_begun) {
                    let why = format!("the state to begin with cannot be used: {text}");
                    self.fail_without_state(now, &why, out);
                } else if is_lost && !self.partitions.is_from_log(ordinal) {
                    let why = format!(
                        "none of the checkpoints can be read, and {} does not say from where on the log \
                         gives the state: {text}",
                        self.record.origin
                    );
                    self.fail_without_state(now, &why, out);
                } else if is_lost {
                    self.warn_of_lost_state(ordinal);
                }
            }
            Failure::LostTail { ordinal, lost } => {
                let usable = self.epochs.coordinator().usable(ordinal);
                self.partitions
                    .lost_tail(ordinal, lost, usable.map(|(_, checkpoint)| checkpoint));
            }
            Failure::NotWhole { ordinal, text } => {
                if self.epochs.coordinator().usable(ordinal).next().is_none() {
                    return self.end(now, End::Failed, text, out);
                }
                let usable = self.epochs.coordinator().usable(ordinal);
                self.partitions
                    .log_is_not_whole(ordinal, usable.map(|(_, checkpoint)| checkpoint));
            }
            Failure::Outranked => {
                self.outranked = true;
                self.lookup.hurry(now);
            }
            Failure::Fatal(why) => self.end(now, End::Failed, why, out),
        }
    }

    /// Its generation, if Redis refused it as older than another one.
    pub fn outranked(&self) -> Option<u64> {
        self.outranked.then_some(self.record.generation)
    }

    /// A generation above all that are on record in Redis. A job that runs already continues with its state.
    pub(super) fn raise(&mut self, now: Millis, generation: u64, out: &mut Vec<Effect>) {
        self.outranked = false;
        if generation > self.record.generation {
            self.record.generation = generation;
            self.record.shown = self.record.spec.sink.flip == Flip::AtOnce;
            self.assign_again(now);
            out.push(Effect::Persist);
        }
    }

    /// A job never drops its state unasked.
    fn fail_without_state(&mut self, now: Millis, why: &str, out: &mut Vec<Effect>) {
        let name = &self.record.spec.name;
        let why = format!(
            "{why} Bring the files back and submit it again. To continue without them: kol-client rewind {name} \
             --to-earliest, or kol-client submit FILE --discard-state"
        );
        self.end(now, End::Failed, why, out);
    }

    /// It is read again from the log. The caller persists.
    fn warn_of_lost_state(&mut self, ordinal: u32) {
        if let Some(partition) = self.partitions.get(ordinal) {
            let PartitionRecord {
                partition,
                start_offset,
                ..
            } = &partition.record;
            self.record.warnings.push(format!(
                "partition {partition}: none of its checkpoints could be read, so its state is made again from \
                 the whole log, from offset {start_offset} on; the result is exact, because the job fails if \
                 the log no longer has all of it"
            ));
        }
    }
}
