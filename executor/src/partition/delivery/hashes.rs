//! Finds hashes of KOLs in Redis that only an older generation of the job knew and that nothing names: somebody deleted
//! the ranking and the slots of their platform, and before they were noticed to be gone the job began a generation that
//! does not know these KOLs. A machine without I/O.
//!
//! 1. One partition of a job does it: the first one. It looks through all keys of Redis, piece by piece, at most a tenth of
//!    the time, since most of them may be other people's.
//! 2. It begins when the listings were swept: whoever they name is taken out by that.
//! 3. What is found is removed by a flush, so that it is confirmed, and done again if Redis loses it. A KOL that the state
//!    knows is not: it is sent.
//! 4. Where Redis does not let its keys be looked through, such hashes stay. That is a problem, and it is tried again.

use std::time::Duration;

use kol_common::KolError;
use kol_common::redis::Cursor;
use tokio::time::Instant;

use crate::sink::Hashes;

/// Which partition of a job looks, by its number in the job.
const WHO: u32 = 0;
/// Wait after a piece could not be read, and the longest one between two pieces.
const RETRY: Duration = Duration::from_secs(5);
/// Wait after Redis refused to let its keys be looked through.
const REFUSED: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct LoneHashes {
    looks: bool,
    stage: Stage,
    /// Found and not removed: platform and name.
    found: Vec<(String, String)>,
    in_flight: usize,
    refused: Option<Box<KolError>>,
}

/// How far the look has come.
#[derive(Debug)]
enum Stage {
    /// The listings come first.
    Waits,
    /// The next piece, and when it may be read.
    Next(Instant, Cursor),
    Over,
}

impl LoneHashes {
    /// None found, by the partition with this number in its job.
    pub fn new(ordinal: u32) -> Self {
        Self {
            looks: ordinal == WHO,
            stage: Stage::Waits,
            found: Vec::new(),
            in_flight: 0,
            refused: None,
        }
    }

    /// Redis may have such hashes (again): the look starts over, behind the listings.
    pub fn start_over(&mut self) {
        self.stage = Stage::Waits;
        self.found.clear();
        self.in_flight = 0;
    }

    /// All listings were swept.
    pub fn listings_swept(&mut self, now: Instant) {
        if self.looks && matches!(self.stage, Stage::Waits) {
            self.stage = Stage::Next(now, Cursor::default());
        }
    }

    /// When the next piece may be read: not while hashes wait to be removed.
    pub fn next_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Next(at, _) if self.found.is_empty() => Some(at),
            _ => None,
        }
    }

    /// Where the piece begins that is to be read now, if one is.
    pub fn begin(&self, now: Instant) -> Option<Cursor> {
        match &self.stage {
            Stage::Next(at, from) if self.found.is_empty() && now >= *at => Some(from.clone()),
            _ => None,
        }
    }

    /// A piece was read, or could not be. How many hashes were found that are to be removed.
    pub fn read(
        &mut self,
        now: Instant,
        piece: Option<&Hashes>,
        is_known: impl Fn(&str, &str) -> bool,
    ) -> usize {
        // The answer to a look that was given up says nothing of this one.
        let Stage::Next(at, from) = &mut self.stage else {
            return 0;
        };
        let Some(piece) = piece else {
            *at = now + RETRY;
            return 0;
        };
        self.refused.clone_from(&piece.refused);
        if piece.refused.is_some() {
            (*at, *from) = (now + REFUSED, Cursor::default());
            return 0;
        }
        let lone = piece.lone.iter();
        let lone = lone.filter(|(platform, kol)| !is_known(platform, kol));
        self.found = lone.cloned().collect();
        self.stage = match &piece.next {
            // One that was not answered for long took Redis less than that.
            Some(next) => Stage::Next(now + (9 * piece.took).min(RETRY), next.clone()),
            None => Stage::Over,
        };
        self.found.len()
    }

    /// Whether there are hashes to remove.
    pub fn are_found(&self) -> bool {
        !self.found.is_empty()
    }

    /// KOLs of one platform whose hashes are to be removed now, at most `limit`; they count as in flight until `removed`.
    /// One that the state has come to know keeps its hash.
    pub fn take(
        &mut self,
        limit: usize,
        is_known: impl Fn(&str, &str) -> bool,
    ) -> Option<(String, Vec<String>)> {
        self.found
            .retain(|(platform, kol)| !is_known(platform, kol));
        let (platform, _) = self.found.first()?.clone();
        let same = self.found.iter().take(limit);
        let kols: Vec<String> = same
            .take_while(|(of, _)| *of == platform)
            .map(|(_, kol)| kol.clone())
            .collect();
        self.in_flight = kols.len();
        Some((platform, kols))
    }

    /// Those in flight are removed, or must be taken again.
    pub fn removed(&mut self, confirmed: bool) {
        if confirmed {
            self.found.drain(..self.in_flight);
        }
        self.in_flight = 0;
    }

    /// Why such hashes may stay.
    pub fn problem(&self) -> Option<&KolError> {
        self.refused.as_deref()
    }
}

#[cfg(test)]
#[path = "hashes_tests.rs"]
mod tests;
