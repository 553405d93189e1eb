//! The part of a coordinator that people ask for: savepoints, and the last epoch of a job that stops.
//!
//! 1. A savepoint is an epoch of its own, as soon as no other is open and all partitions can take part.
//!    It is complete under the same rules, but is never committed: it is no parent, and its files are
//!    not the job's.
//! 2. It is tried again when a partition changed hands, until it has waited for as long as an epoch may
//!    take. An error of a partition, or an epoch that takes too long, ends it.
//! 3. A job that stops has one last epoch, at once, after which nothing is read; then comes the
//!    savepoint, if one was asked for, of the same positions.

use kol_common::proto::Manifest;
use kol_common::{KolError, Millis, SavepointId};

use super::coordinator::Coordinator;

/// What an epoch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Checkpoint,
    Savepoint,
}

/// A savepoint that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    id: SavepointId,
    pub(super) folder: String,
    /// When waiting for its epoch to begin ends.
    until: Millis,
}

impl Coordinator {
    /// Asks for a savepoint in a folder; `take_savepoints` has what becomes of it.
    ///
    /// # Errors
    /// Another one was asked for, and is not complete.
    pub fn ask_for_savepoint(
        &mut self,
        now: Millis,
        id: SavepointId,
        folder: String,
    ) -> Result<(), KolError> {
        if let Some(wish) = &self.wish {
            let what = format!("savepoint {} is being taken", wish.id);
            return Err(KolError::user("SAVEPOINT_BUSY", what).help("Ask again when it is done."));
        }
        let until = Millis(now.0 + self.timeout().0);
        self.wish = Some(Wish { id, folder, until });
        Ok(())
    }

    /// Savepoints that are complete in their folders but for the manifest, and those that came to
    /// nothing.
    pub fn take_savepoints(&mut self) -> Vec<(SavepointId, Result<Manifest, KolError>)> {
        std::mem::take(&mut self.savepoints)
    }

    /// The job stops: one last epoch.
    pub fn finish(&mut self, now: Millis) {
        if self.finish.is_none() {
            self.give_up(now);
            self.finish = Some(false);
        }
    }

    /// Whether the last epoch is committed, and no savepoint is to come.
    pub fn is_finished(&self) -> bool {
        self.finish == Some(true) && self.wish.is_none()
    }

    /// The job has ended, whatever is still open.
    pub fn end(&mut self, now: Millis) {
        self.give_up(now);
        self.drop_wish(KolError::user(
            "SAVEPOINT_FAILED",
            "the job ended before its savepoint was complete",
        ));
    }

    /// What the next epoch is for, if one is due; `regular` says whether it is time for a checkpoint.
    pub(super) fn due(&self, regular: bool) -> Option<Kind> {
        match (self.finish, &self.wish) {
            (Some(false), _) => Some(Kind::Checkpoint),
            (_, Some(_)) => Some(Kind::Savepoint),
            (Some(true), None) => None,
            (None, None) => regular.then_some(Kind::Checkpoint),
        }
    }

    pub(super) fn drop_late_wish(&mut self, now: Millis) {
        if self.wish.as_ref().is_some_and(|wish| now >= wish.until) {
            let what = format!(
                "no savepoint could begin within {}: not all partitions have an owner that answers",
                self.timeout()
            );
            let help = "See kol-client partitions; ask again when all of them run.";
            self.drop_wish(KolError::external("SAVEPOINT_TIMEOUT", what).help(help));
        }
    }

    pub(super) fn drop_wish(&mut self, error: KolError) {
        if let Some(wish) = self.wish.take() {
            self.savepoints.push((wish.id, Err(error)));
        }
    }

    pub(super) fn grant(&mut self, manifest: Manifest) {
        if let Some(wish) = self.wish.take() {
            self.savepoints.push((wish.id, Ok(manifest)));
        }
    }
}
