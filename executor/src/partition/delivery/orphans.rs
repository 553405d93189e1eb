//! Finds KOLs that Redis has and the state does not: left by an earlier owner, by an older generation of
//! the job, by the system before this one, or restored from an old backup. No one else would ever take
//! them out of the ranking.
//!
//! One sweep goes through the rankings of all platforms that the partition or Redis knows, those that
//! were shown before this generation, and the slots beside them (a ranking that was deleted names nobody),
//! piece by piece, at most a tenth of the time. It is due after each claim of the fence and whenever Redis
//! lost data.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::sink::{Listing, Scanned};

/// Wait after a piece could not be read.
const RETRY: Duration = Duration::from_secs(5);

/// Wait after a sweep that skipped a listing, because a key is of a wrong type.
const AGAIN: Duration = Duration::from_secs(30);

/// Skipped listings whose keys are remembered.
const MOST_SKIPPED: usize = 100;

/// See the module.
#[derive(Debug)]
pub struct Orphans {
    /// When the next piece may be read; `None` once all were.
    next_at: Option<Instant>,
    /// Which of the platforms, which of its listings, and where in that.
    platform: usize,
    listing: Listing,
    cursor: u64,
    /// Platform of the piece that is being read, or was read last.
    current: String,
    /// A piece of this sweep is being read: what else arrives is of a sweep that was given up.
    awaits: bool,
    found: Vec<String>,
    in_flight: usize,
    /// Listings that could not be read, by platform, and the keys of a wrong type because of which.
    skipped: BTreeMap<(String, Listing), String>,
}

/// How far a sweep has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Platform whose listing is swept.
    pub platform: String,
    /// What names creators there.
    pub listing: Listing,
    /// Where to resume; 0 at the beginning.
    pub cursor: u64,
}

impl Orphans {
    /// None found; a sweep begins as soon as it may.
    pub fn due(now: Instant) -> Self {
        Self {
            next_at: Some(now),
            platform: 0,
            listing: Listing::FIRST,
            cursor: 0,
            current: String::new(),
            awaits: false,
            found: Vec::new(),
            in_flight: 0,
            skipped: BTreeMap::new(),
        }
    }

    /// The keys of a wrong type because of which listings were skipped.
    pub fn skipped(&self) -> impl Iterator<Item = &String> {
        self.skipped.values()
    }

    /// A sweep is over. If it skipped something, another one follows: it finds out when the key is right again.
    pub fn ended(&mut self, now: Instant) {
        if !self.skipped.is_empty() {
            self.next_at = Some(now + AGAIN);
            self.platform = 0;
        }
    }

    /// When the next piece may be read: not while orphans wait to be removed.
    pub fn next_at(&self) -> Option<Instant> {
        self.next_at.filter(|_| self.found.is_empty())
    }

    /// Whether there are orphans to remove.
    pub fn are_found(&self) -> bool {
        !self.found.is_empty()
    }

    /// The next piece to read; `None` when the sweep is over. The default platform is looked at even when
    /// no event of it was seen.
    pub fn begin(&mut self, known: &[String], default: &str) -> Option<Place> {
        let others = known.iter().map(String::as_str).filter(|p| *p != default);
        let platform = std::iter::once(default).chain(others).nth(self.platform);
        let Some(platform) = platform else {
            // A platform that is no longer known is not read again.
            self.skipped
                .retain(|(of, _), _| of == default || known.contains(of));
            self.next_at = None;
            return None;
        };
        self.current = platform.to_owned();
        self.awaits = true;
        Some(Place {
            platform: self.current.clone(),
            listing: self.listing,
            cursor: self.cursor,
        })
    }

    /// A piece was read, or could not be; one of an earlier sweep says nothing about this one. `is_orphan`
    /// says of a platform's KOL whether the state does not know it.
    pub fn scanned(
        &mut self,
        now: Instant,
        piece: Option<&Scanned>,
        mut is_orphan: impl FnMut(&str, &str) -> bool,
    ) {
        if !std::mem::take(&mut self.awaits) {
            return;
        }
        let Some(piece) = piece else {
            self.next_at = Some(now + RETRY);
            return;
        };
        let listing = (self.current.clone(), self.listing);
        match &piece.refused {
            None => drop(self.skipped.remove(&listing)),
            Some(_) if self.skipped.len() >= MOST_SKIPPED => {}
            Some(key) => drop(self.skipped.insert(listing, key.clone())),
        }
        for kol in &piece.kols {
            if is_orphan(&self.current, kol) {
                self.found.push(kol.clone());
            }
        }
        self.cursor = piece.cursor;
        if piece.cursor == 0 {
            let next = self.listing.next();
            self.platform += usize::from(next.is_none());
            self.listing = next.unwrap_or(Listing::FIRST);
        }
        // One that was not answered for long, or waited in a stopped process, took Redis less than that.
        self.next_at = Some(now + (9 * piece.took).min(RETRY));
    }

    /// Orphans to remove now, at most `limit`, with their platform; they count as in flight until
    /// `removed`. A KOL that the state has come to know is no longer an orphan.
    pub fn take(
        &mut self,
        limit: usize,
        is_known: impl Fn(&str, &str) -> bool,
    ) -> Option<(&str, &[String])> {
        self.found.retain(|kol| !is_known(&self.current, kol));
        self.in_flight = self.found.len().min(limit);
        (self.in_flight > 0).then(|| (&*self.current, &self.found[..self.in_flight]))
    }

    /// Those in flight are removed, or must be taken again.
    pub fn removed(&mut self, confirmed: bool) {
        if confirmed {
            self.found.drain(..self.in_flight);
        }
        self.in_flight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(_: &str, kol: &str) -> bool {
        kol != "known"
    }

    fn known(platform: &str, kol: &str) -> bool {
        !unknown(platform, kol)
    }

    fn place(platform: &str, listing: Listing, cursor: u64) -> Option<Place> {
        Some(Place {
            platform: platform.into(),
            listing,
            cursor,
        })
    }

    fn piece(kols: &[&str], cursor: u64) -> Scanned {
        Scanned {
            cursor,
            kols: kols.iter().map(|k| (*k).to_owned()).collect(),
            refused: None,
            took: Duration::from_millis(2),
        }
    }

    #[test]
    fn a_piece_that_was_not_answered_for_long_puts_the_next_off_for_seconds_only() {
        let now = Instant::now();
        let mut orphans = Orphans::due(now);
        for (took, wait) in [(2, 18), (60_000, 5_000)] {
            assert!(orphans.begin(&[], "tiktok").is_some());
            let slow = Scanned {
                took: Duration::from_millis(took),
                ..piece(&[], 1)
            };
            orphans.scanned(now, Some(&slow), known);
            assert_eq!(orphans.next_at(), Some(now + Duration::from_millis(wait)));
        }
    }

    #[test]
    fn a_listing_that_was_skipped_is_forgotten_with_its_platform() {
        let now = Instant::now();
        let mut orphans = Orphans::due(now);
        let refused = Scanned {
            refused: Some("key".into()),
            ..piece(&[], 0)
        };
        let platforms = ["youtube".to_owned()];
        while orphans.begin(&platforms, "tiktok").is_some() {
            let is_youtube = orphans.current == "youtube";
            let read = if is_youtube { &refused } else { &piece(&[], 0) };
            orphans.scanned(now, Some(read), known);
        }
        assert!(orphans.skipped().count() > 0);
        orphans.ended(now);
        while orphans.begin(&[], "tiktok").is_some() {
            orphans.scanned(now, Some(&piece(&[], 0)), known);
        }
        assert_eq!(orphans.skipped().count(), 0);
        orphans.ended(now);
        assert_eq!(orphans.next_at(), None, "nothing is left to look at again");
    }

    #[test]
    fn only_kols_that_the_state_does_not_know_are_taken_out() {
        let now = Instant::now();
        let mut orphans = Orphans::due(now);
        let platforms = ["tiktok".into()];
        assert_eq!(
            orphans.begin(&platforms, "tiktok"),
            place("tiktok", Listing::Ranking, 0)
        );
        orphans.scanned(now, Some(&piece(&["known", "a", "b"], 7)), unknown);
        assert_eq!(orphans.next_at(), None, "first what was found");
        let taken = orphans.take(1, known).unwrap();
        assert_eq!(taken, ("tiktok", &["a".to_owned()][..]));
        orphans.removed(false);
        assert_eq!(
            orphans.take(9, known).unwrap().1.len(),
            2,
            "it failed: again"
        );
        orphans.removed(true);
        assert!(!orphans.are_found());
        assert_eq!(orphans.next_at(), Some(now + Duration::from_millis(18)));
        assert_eq!(
            orphans.begin(&platforms, "tiktok"),
            place("tiktok", Listing::Ranking, 7)
        );
        orphans.scanned(now, Some(&piece(&[], 0)), unknown);
        for listing in [Listing::Before, Listing::Slots] {
            let next = orphans.begin(&platforms, "tiktok");
            assert_eq!(next, place("tiktok", listing, 0));
            orphans.scanned(now, Some(&piece(&[], 0)), unknown);
        }
        assert_eq!(orphans.begin(&platforms, "tiktok"), None);
        assert_eq!(orphans.next_at(), None, "over");
    }

    #[test]
    fn every_platform_is_swept_and_the_default_one_first() {
        let now = Instant::now();
        let mut orphans = Orphans::due(now);
        let platforms = ["youtube".into(), "tiktok".into()];
        let all = [Listing::Ranking, Listing::Before, Listing::Slots];
        for (platform, listing) in ["tiktok", "youtube"]
            .iter()
            .flat_map(|p| all.map(|l| (p, l)))
        {
            let next = orphans.begin(&platforms, "tiktok");
            assert_eq!(next, place(platform, listing, 0));
            orphans.scanned(now, None, unknown);
            assert_eq!(orphans.next_at(), Some(now + RETRY));
            let again = orphans.begin(&platforms, "tiktok");
            assert_eq!(again, place(platform, listing, 0));
            orphans.scanned(now, Some(&piece(&[], 0)), unknown);
        }
        assert_eq!(orphans.begin(&platforms, "tiktok"), None);
    }

    #[test]
    fn a_listing_of_a_wrong_type_is_skipped_named_and_read_again_until_it_is_right() {
        let now = Instant::now();
        let mut orphans = Orphans::due(now);
        let spoiled = Scanned {
            refused: Some("slots".into()),
            ..piece(&[], 0)
        };
        for (wrong, left) in [(&spoiled, 1), (&spoiled, 1), (&piece(&["a"], 0), 0)] {
            for listing in [Listing::Ranking, Listing::Before, Listing::Slots] {
                assert_eq!(orphans.begin(&[], "tiktok"), place("tiktok", listing, 0));
                let is_slots = listing == Listing::Slots;
                let read = if is_slots { wrong } else { &piece(&[], 0) };
                orphans.scanned(now, Some(read), unknown);
            }
            assert_eq!(orphans.skipped().count(), left);
            assert_eq!(orphans.begin(&[], "tiktok"), None);
            orphans.ended(now);
            assert_eq!(orphans.next_at.is_some(), left == 1);
        }
        assert!(orphans.are_found(), "what it names now");
    }

    #[test]
    fn a_piece_that_arrives_after_its_sweep_was_given_up_counts_for_nothing() {
        let now = Instant::now();
        let mut given_up = Orphans::due(now);
        given_up.begin(&[], "tiktok").unwrap();
        let mut orphans = Orphans::due(now);
        orphans.scanned(now, Some(&piece(&["a"], 7)), unknown);
        assert!(!orphans.are_found(), "of no platform");
        assert_eq!(
            orphans.begin(&[], "tiktok"),
            place("tiktok", Listing::Ranking, 0)
        );
    }
}
