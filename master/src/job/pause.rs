//! How long nobody processes a partition while it changes hands: a machine. Rules:
//!
//! 1. A pause begins when the owner stopped reading, as that one says when it gives the partition back; of an owner that
//!    says nothing it begins with its last report.
//! 2. It ends when a flush has arrived in Redis that the next owner began where the one before had stopped, or later: it
//!    shows what is new. Scores that only the time or the market changed may come later, as always. An owner in between
//!    that does not get so far does not end it.
//! 3. With another log under the same name there is nothing to wait for, and nothing is measured.
//!
//! All times are this master's: what a message takes is in both ends of a pause.

use kol_common::Millis;
use kol_common::proto::PartitionReport;

/// The pauses of one partition.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    open: Option<Pause>,
    last: Option<Millis>,
    steps: Steps,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Millis,
    /// Where the owner before had read to.
    read_to: u64,
}

/// What a pause was made of, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// From its beginning until the next owner was assigned; the rest is that one's.
    pub assigned: Millis,
    /// Records that the next owner read again.
    pub again: u64,
}

impl Pauses {
    /// An owner that had read so far does not read any more.
    pub fn begin(&mut self, since: Millis, read_to: u64) {
        self.last = None;
        let pause = self.open.get_or_insert(Pause { since, read_to });
        pause.read_to = pause.read_to.max(read_to);
    }

    /// Where an owner before had read to, while nobody has got that far since.
    pub fn read_before(&self) -> Option<u64> {
        self.open.map(|pause| pause.read_to)
    }

    /// The next owner is assigned, and begins to read at this offset. Where an owner before had read to, while nobody has got
    /// that far since.
    pub fn assigned(&mut self, now: Millis, from: u64) -> Option<u64> {
        let Pause { since, read_to } = self.open?;
        self.steps = Steps {
            assigned: now.since(since),
            again: read_to.saturating_sub(from),
        };
        Some(read_to)
    }

    /// What the newest pause was made of.
    pub fn steps(&self) -> Steps {
        self.steps
    }

    /// Its owner reports; how long it paused, if that is over now.
    pub fn reported(&mut self, now: Millis, report: &PartitionReport) -> Option<Millis> {
        let Pause { since, read_to } = self.open?;
        // An executor of an older version says what Redis has all of.
        let confirmed = report.confirmed.map(|confirmed| confirmed.position);
        let arrived = report.arrived.or(confirmed)?;
        if arrived < read_to {
            return None;
        }
        self.open = None;
        self.last = Some(now.since(since));
        self.last
    }

    /// Its log lost what came from this offset on.
    pub fn cut(&mut self, end: u64) {
        if let Some(pause) = &mut self.open {
            pause.read_to = pause.read_to.min(end);
        }
    }

    /// Another log has its name.
    pub fn forget(&mut self) {
        self.open = None;
    }

    /// How long it paused last; `None` before that, and while it pauses.
    pub fn last(&self) -> Option<Millis> {
        self.last
    }
}

#[cfg(test)]
#[path = "pause_tests.rs"]
mod tests;
