//! Finds KOLs that Redis has and the state does not: left by an owner before, by an older generation of
//! the job, by the system before this one, or brought back by an old backup. Nobody else would ever take
//! them out of the ranking.
//!
//! One sweep goes through the rankings of all platforms that the partition or Redis knows, and those that
//! were shown before this generation, piece by piece, at most a tenth of the time. It is due after each
//! claim of the fence and whenever Redis lost data.

use std::time::Duration;

use tokio::time::Instant;

use crate::sink::Scanned;
use crate::state::State;

/// Wait after a piece could not be read.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Sweep {
    /// When the next piece may be read; `None` once all were.
    next_at: Option<Instant>,
    /// Which of the platforms, which of its rankings, and where in that.
    platform: usize,
    before: bool,
    cursor: u64,
    /// Platform of the piece that is being read, or was read last.
    current: String,
    strays: Vec<String>,
    in_flight: usize,
}

/// Where a sweep is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Platform.
    pub platform: String,
    /// In the ranking that was shown before this generation, not in the one that is.
    pub before: bool,
    /// Where to go on; 0 at the beginning.
    pub cursor: u64,
}

impl Sweep {
    /// One that begins as soon as it may.
    pub fn due(now: Instant) -> Self {
        Self {
            next_at: Some(now),
            platform: 0,
            before: false,
            cursor: 0,
            current: String::new(),
            strays: Vec::new(),
            in_flight: 0,
        }
    }

    /// When the next piece may be read: not while strays wait to be sent.
    pub fn next_at(&self) -> Option<Instant> {
        self.next_at.filter(|_| self.strays.is_empty())
    }

    /// Whether there are strays to send.
    pub fn found_some(&self) -> bool {
        !self.strays.is_empty()
    }

    /// The next piece; `None` when the sweep is over. The default platform is looked at even when no
    /// event of it was seen.
    pub fn begin(&mut self, known: &[String], default: &str) -> Option<Place> {
        let others = known.iter().map(String::as_str).filter(|p| *p != default);
        let platform = std::iter::once(default).chain(others).nth(self.platform);
        let Some(platform) = platform else {
            self.next_at = None;
            return None;
        };
        self.current = platform.to_owned();
        Some(Place {
            platform: self.current.clone(),
            before: self.before,
            cursor: self.cursor,
        })
    }

    /// A piece was read, or could not be.
    pub fn scanned(&mut self, now: Instant, piece: Option<&Scanned>, state: &mut State) {
        let Some(piece) = piece else {
            self.next_at = Some(now + RETRY);
            return;
        };
        for kol in &piece.kols {
            if state.found_in_redis(&self.current, kol) {
                self.strays.push(kol.clone());
            }
        }
        self.cursor = piece.cursor;
        if piece.cursor == 0 {
            self.platform += usize::from(self.before);
            self.before = !self.before;
        }
        self.next_at = Some(now + 9 * piece.took);
    }

    /// Strays to take out now, at most `limit`, with their platform; they count as on their way until
    /// `removed`. One that the state has come to know is none any more.
    pub fn take(&mut self, limit: usize, state: &State) -> Option<(&str, &[String])> {
        self.strays.retain(|kol| !state.knows(&self.current, kol));
        self.in_flight = self.strays.len().min(limit);
        (self.in_flight > 0).then(|| (&*self.current, &self.strays[..self.in_flight]))
    }

    /// What was taken is gone, or must be taken again.
    pub fn removed(&mut self, confirmed: bool) {
        if confirmed {
            self.strays.drain(..self.in_flight);
        }
        self.in_flight = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use kol_common::Millis;
    use kol_common::event::{Decoder, Event};
    use kol_common::job::{Counters, Profile, ScoringSpec};
    use kol_common::scoring::Scoring;

    fn state(knows: &str) -> State {
        let spec = ScoringSpec::defaults(Profile::Default, Counters::Delta);
        let mut state = State::new(Arc::new(Scoring::new(&spec)));
        let json = format!(r#"{{"username":"{knows}","like_count":1}}"#);
        let decoder = Decoder::new("tiktok");
        let event: Event<'_> = decoder.decode(Some(json.as_bytes())).unwrap();
        state.apply(&event, Millis(1_750_000_000_000));
        state
    }

    fn place(platform: &str, before: bool, cursor: u64) -> Option<Place> {
        Some(Place {
            platform: platform.into(),
            before,
            cursor,
        })
    }

    fn piece(kols: &[&str], cursor: u64) -> Scanned {
        Scanned {
            cursor,
            kols: kols.iter().map(|k| (*k).to_owned()).collect(),
            took: Duration::from_millis(2),
        }
    }

    #[test]
    fn only_kols_that_the_state_does_not_know_are_taken_out() {
        let now = Instant::now();
        let mut state = state("known");
        let mut sweep = Sweep::due(now);
        let platforms = ["tiktok".into()];
        assert_eq!(sweep.begin(&platforms, "tiktok"), place("tiktok", false, 0));
        sweep.scanned(now, Some(&piece(&["known", "a", "b"], 7)), &mut state);
        assert_eq!(sweep.next_at(), None, "first what was found");
        let taken = sweep.take(1, &state).unwrap();
        assert_eq!(taken, ("tiktok", &["a".to_owned()][..]));
        sweep.removed(false);
        assert_eq!(
            sweep.take(9, &state).unwrap().1.len(),
            2,
            "it failed: again"
        );
        sweep.removed(true);
        assert!(!sweep.found_some());
        assert_eq!(sweep.next_at(), Some(now + Duration::from_millis(18)));
        assert_eq!(sweep.begin(&platforms, "tiktok"), place("tiktok", false, 7));
        sweep.scanned(now, Some(&piece(&[], 0)), &mut state);
        assert_eq!(sweep.begin(&platforms, "tiktok"), place("tiktok", true, 0));
        sweep.scanned(now, Some(&piece(&[], 0)), &mut state);
        assert_eq!(sweep.begin(&platforms, "tiktok"), None);
        assert_eq!(sweep.next_at(), None, "over");
    }

    #[test]
    fn every_platform_is_swept_and_the_default_one_first() {
        let now = Instant::now();
        let mut state = state("known");
        let mut sweep = Sweep::due(now);
        let platforms = ["youtube".into(), "tiktok".into()];
        for (platform, before) in [
            ("tiktok", false),
            ("tiktok", true),
            ("youtube", false),
            ("youtube", true),
        ] {
            assert_eq!(
                sweep.begin(&platforms, "tiktok"),
                place(platform, before, 0)
            );
            sweep.scanned(now, None, &mut state);
            assert_eq!(sweep.next_at(), Some(now + RETRY));
            sweep.scanned(now, Some(&piece(&[], 0)), &mut state);
        }
        assert_eq!(sweep.begin(&platforms, "tiktok"), None);
    }
}
