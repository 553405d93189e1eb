//! Which rankings there are, and whether Redis was sent that those of this generation may be shown.

use kol_common::proto::JobTick;

/// See the module.
#[derive(Debug, Default)]
pub struct Rankings {
    /// Platforms that had a ranking when the fence was claimed, and those of states that were dropped
    /// since: the partition may have slots in their rankings.
    platforms: Vec<String>,
    flip: Flip,
}

/// How far "the rankings of this generation may be shown" has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flip {
    #[default]
    Owed,
    InFlight,
    Confirmed,
}

impl Rankings {
    /// The fence was claimed; these platforms have a ranking.
    pub fn claimed(&mut self, platforms: &[String]) {
        add(&mut self.platforms, platforms.iter().map(String::as_str));
    }

    /// A state with these platforms is dropped: Redis has what was sent of them.
    pub fn dropped(&mut self, of_state: &[Box<str>]) {
        add(&mut self.platforms, of_state.iter().map(|name| &**name));
    }

    /// The platforms of Redis and of dropped states, then those that came since; each keeps its place.
    pub fn platforms(&self, of_state: &[Box<str>]) -> Vec<String> {
        let mut all = self.platforms.clone();
        add(&mut all, of_state.iter().map(|name| &**name));
        all
    }

    /// Whether Redis must still be sent that the rankings may be shown.
    pub fn owes_the_flip(&self, tick: &JobTick) -> bool {
        tick.live && self.flip != Flip::Confirmed
    }

    /// Redis has confirmed that the rankings may be shown, or there is none.
    pub fn are_shown(&self) -> bool {
        self.flip == Flip::Confirmed
    }

    /// The flip goes out with the flush that is being filled, for so many platforms. Without any there is
    /// nothing to send, and no answer that would confirm it.
    pub fn flipping(&mut self, platforms: usize) {
        self.flip = if platforms == 0 {
            Flip::Confirmed
        } else {
            Flip::InFlight
        };
    }

    /// The flush was answered.
    pub fn flushed(&mut self, confirmed: bool) {
        if self.flip == Flip::InFlight {
            self.flip = if confirmed {
                Flip::Confirmed
            } else {
                Flip::Owed
            };
        }
    }
}

/// Adds those that are not there.
fn add<'a>(platforms: &mut Vec<String>, more: impl Iterator<Item = &'a str>) {
    // The place of a platform that was forgotten is empty.
    for platform in more.filter(|platform| !platform.is_empty()) {
        if !platforms.iter().any(|known| known == platform) {
            platforms.push(platform.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flip_is_owed_until_redis_has_confirmed_it() {
        let live = JobTick {
            live: true,
            ..JobTick::default()
        };
        let mut rankings = Rankings::default();
        assert!(!rankings.owes_the_flip(&JobTick::default()), "not live yet");
        rankings.flushed(true);
        assert!(rankings.owes_the_flip(&live), "that flush did not have it");
        rankings.flipping(2);
        rankings.flushed(false);
        assert!(rankings.owes_the_flip(&live) && !rankings.are_shown());
        rankings.flipping(2);
        rankings.flushed(true);
        assert!(!rankings.owes_the_flip(&live) && rankings.are_shown());
    }

    #[test]
    fn without_a_platform_there_is_nothing_to_flip() {
        let mut rankings = Rankings::default();
        rankings.flipping(0);
        assert!(rankings.are_shown());
    }

    #[test]
    fn platforms_of_a_state_that_was_dropped_are_known_after_another_claim() {
        let mut rankings = Rankings::default();
        rankings.claimed(&["b".into()]);
        rankings.dropped(&["c".into(), "b".into()]);
        rankings.claimed(&["a".into()]);
        assert_eq!(rankings.platforms(&[]), ["b", "c", "a"]);
    }

    #[test]
    fn platforms_of_redis_keep_their_places_before_those_of_the_state() {
        let mut rankings = Rankings::default();
        rankings.claimed(&["b".into(), "a".into()]);
        assert_eq!(
            rankings.platforms(&["c".into(), "".into(), "a".into()]),
            ["b", "a", "c"]
        );
    }
}
