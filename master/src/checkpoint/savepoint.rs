//! The part of a coordinator that people request: savepoints, and the last epoch of a job that stops.
//!
//! 1. A savepoint is an epoch of its own, as soon as no other is open and all partitions can take part.
//!    It is complete under the same rules, but is never committed: it is no parent, and its files are
//!    not the job's.
//! 2. It is tried again when a partition changed hands, until it has waited for as long as an epoch may
//!    take. An error of a partition, or an epoch that takes too long, ends it.
//! 3. A job that stops has one last epoch, at once, after which nothing is read; then comes the
//!    savepoint that the stop overtook, if there is one, of the same positions.

use kol_common::proto::Manifest;
use kol_common::{KolError, Millis, SavepointId};

use super::effect::Effect;

/// What an epoch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Checkpoint,
    Savepoint,
}

/// A savepoint that was requested.
#[derive(Debug)]
struct Wish {
    id: SavepointId,
    folder: String,
    /// When waiting for its epoch to begin ends.
    until: Millis,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Wishes {
    /// How long an epoch may take.
    timeout: Millis,
    savepoint: Option<Wish>,
    /// The job ends: whether its last epoch is committed.
    finish: Option<bool>,
}

impl Wishes {
    pub(super) fn new(timeout: Millis) -> Self {
        Self {
            timeout,
            savepoint: None,
            finish: None,
        }
    }

    /// Why no savepoint can be requested now, if none can.
    pub(super) fn refusal(&self) -> Option<KolError> {
        let wish = self.savepoint.as_ref()?;
        let what = format!("savepoint {} is being taken", wish.id);
        Some(KolError::user("SAVEPOINT_BUSY", what).help("Request it again when that is complete."))
    }

    /// Notes a savepoint that was requested, or refuses it.
    pub(super) fn request(
        &mut self,
        now: Millis,
        id: SavepointId,
        folder: String,
        out: &mut Vec<Effect>,
    ) {
        if let Some(refused) = self.refusal() {
            return out.push(Effect::Savepoint(id, Err(refused)));
        }
        let until = Millis(now.0 + self.timeout.0);
        self.savepoint = Some(Wish { id, folder, until });
    }

    /// The job stops: answers whether that is new.
    pub(super) fn finish(&mut self) -> bool {
        let new = self.finish.is_none();
        self.finish.get_or_insert(false);
        new
    }

    /// Whether the job stops.
    pub(super) fn stops(&self) -> bool {
        self.finish.is_some()
    }

    /// An epoch of the job was committed; of one that stops it was the last one.
    pub(super) fn committed(&mut self) {
        self.finish = self.finish.map(|_| true);
    }

    /// Whether the last epoch is committed, and no savepoint is to come.
    pub(super) fn is_finished(&self) -> bool {
        self.finish == Some(true) && self.savepoint.is_none()
    }

    /// What the next epoch is for, if one is due; `regular` says whether it is time for a checkpoint.
    pub(super) fn due(&self, regular: bool) -> Option<Kind> {
        match (self.finish, &self.savepoint) {
            (Some(false), _) => Some(Kind::Checkpoint),
            (_, Some(_)) => Some(Kind::Savepoint),
            (Some(true), None) => None,
            (None, None) => regular.then_some(Kind::Checkpoint),
        }
    }

    /// Where the savepoint goes that was requested.
    pub(super) fn folder(&self) -> Option<String> {
        self.savepoint.as_ref().map(|wish| wish.folder.clone())
    }

    /// Ends the wait for an epoch that could not begin in time.
    pub(super) fn drop_late(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let late = |wish: &Wish| now >= wish.until;
        if self.savepoint.as_ref().is_some_and(late) {
            let what = format!(
                "no savepoint could begin within {}: not all partitions have an owner that answers",
                self.timeout
            );
            let help = "See kol-client partitions; request it again when all of them run.";
            let error = KolError::external("SAVEPOINT_TIMEOUT", what).help(help);
            self.settle(Err(error), out);
        }
    }

    /// The savepoint is complete, or failed.
    pub(super) fn settle(&mut self, saved: Result<Manifest, KolError>, out: &mut Vec<Effect>) {
        if let Some(wish) = self.savepoint.take() {
            out.push(Effect::Savepoint(wish.id, saved));
        }
    }
}
