//! Which rankings there are, and whether Redis was sent that those of this generation may be shown.

use std::collections::BTreeSet;
use std::time::Duration;

use kol_common::job::KeyTemplates;
use kol_common::proto::JobTick;
use tokio::time::Instant;

/// When a flip that was refused, because a key is of a wrong type, is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Rankings {
    /// Platforms that had a ranking when the fence was claimed, and those of states that were dropped
    /// since: the partition may have slots in their rankings.
    platforms: Vec<String>,
    flip: Flip,
}

/// How far "the rankings of this generation may be shown" has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Flip {
    /// To be sent from then on; Redis refused the last one because of this key.
    Owed(Instant, Option<String>),
    /// Sent for these platforms.
    InFlight(Vec<String>),
    Confirmed,
}

impl Rankings {
    /// Of a partition that has sent nothing.
    pub fn new(now: Instant) -> Self {
        Self {
            platforms: Vec::new(),
            flip: Flip::Owed(now, None),
        }
    }

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

    /// From when on Redis should be sent that the rankings may be shown, if it must be.
    pub fn flip_at(&self, tick: &JobTick) -> Option<Instant> {
        match self.flip {
            Flip::Owed(at, _) if tick.rankings_shown => Some(at),
            _ => None,
        }
    }

    /// The key of a wrong type because of which an older ranking is still shown.
    pub fn hindered_by(&self) -> Option<&String> {
        match &self.flip {
            Flip::Owed(_, key) => key.as_ref(),
            _ => None,
        }
    }

    /// Redis has confirmed that the rankings may be shown, or there is none.
    pub fn are_shown(&self) -> bool {
        self.flip == Flip::Confirmed
    }

    /// The flip goes out with the flush that is being filled, for these platforms. Without any there is
    /// nothing to send, and no answer that would confirm it.
    pub fn flip(&mut self, of_state: &[Box<str>]) -> Vec<String> {
        let platforms = self.platforms(of_state);
        self.flip = if platforms.is_empty() {
            Flip::Confirmed
        } else {
            Flip::InFlight(platforms.clone())
        };
        platforms
    }

    /// The flush was answered: with these keys of a wrong type, or not as it should.
    pub fn flushed(&mut self, now: Instant, keys: &KeyTemplates, refused: Option<&[String]>) {
        let Flip::InFlight(platforms) = &self.flip else {
            return;
        };
        let hinders = |key: &&String| {
            let of = |platform: &String| {
                **key == keys.ranking_key(platform) || keys.flip_keys(platform).contains(key)
            };
            platforms.iter().any(of)
        };
        self.flip = match refused.map(|refused| refused.iter().find(hinders)) {
            None => Flip::Owed(now, None),
            Some(Some(key)) => Flip::Owed(now + RETRY, Some(key.clone())),
            Some(None) => Flip::Confirmed,
        };
    }
}

/// Adds those that are not there.
fn add<'a>(platforms: &mut Vec<String>, more: impl Iterator<Item = &'a str>) {
    let mut known: BTreeSet<String> = platforms.iter().cloned().collect();
    // The place of a platform that was forgotten is empty.
    for platform in more.filter(|platform| !platform.is_empty()) {
        if known.insert(platform.to_owned()) {
            platforms.push(platform.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick() -> JobTick {
        JobTick {
            rankings_shown: true,
            ..JobTick::default()
        }
    }

    #[test]
    fn the_flip_is_owed_until_redis_has_confirmed_it() {
        let (now, keys) = (Instant::now(), KeyTemplates::default());
        let mut rankings = Rankings::new(now);
        assert_eq!(
            rankings.flip_at(&JobTick::default()),
            None,
            "not to be shown yet"
        );
        rankings.flushed(now, &keys, Some(&[]));
        assert!(rankings.flip_at(&tick()).is_some(), "that flush had none");
        rankings.flip(&["tiktok".into()]);
        assert_eq!(rankings.flip_at(&tick()), None, "it is on its way");
        rankings.flushed(now, &keys, None);
        assert_eq!(rankings.flip_at(&tick()), Some(now));
        assert!(!rankings.are_shown());
        rankings.flip(&["tiktok".into()]);
        rankings.flushed(now, &keys, Some(&["trending:tiktok:a".into()]));
        assert!(rankings.flip_at(&tick()).is_none() && rankings.are_shown());
    }

    #[test]
    fn a_flip_is_owed_while_a_key_of_its_ranking_is_of_a_wrong_type_and_tried_at_a_pace() {
        let (now, keys) = (Instant::now(), KeyTemplates::default());
        for place in ["", ":generation", ":next", ":before"] {
            let ranking = keys.ranking_key("tiktok");
            let key = match place {
                "" => ranking,
                place => format!("streaming:{ranking}{place}"),
            };
            let mut rankings = Rankings::new(now);
            rankings.flip(&["youtube".into(), "tiktok".into()]);
            rankings.flushed(now, &keys, Some(std::slice::from_ref(&key)));
            assert_eq!(rankings.hindered_by(), Some(&key));
            assert_eq!(rankings.flip_at(&tick()), Some(now + RETRY), "{place}");
            assert!(!rankings.are_shown());
        }
    }

    #[test]
    fn without_a_platform_there_is_nothing_to_flip() {
        let mut rankings = Rankings::new(Instant::now());
        rankings.flip(&[]);
        assert!(rankings.are_shown());
    }

    #[test]
    fn platforms_of_a_state_that_was_dropped_are_known_after_another_claim() {
        let mut rankings = Rankings::new(Instant::now());
        rankings.claimed(&["b".into()]);
        rankings.dropped(&["c".into(), "b".into()]);
        rankings.claimed(&["a".into()]);
        assert_eq!(rankings.platforms(&[]), ["b", "c", "a"]);
    }

    #[test]
    fn platforms_of_redis_keep_their_places_before_those_of_the_state() {
        let mut rankings = Rankings::new(Instant::now());
        rankings.claimed(&["b".into(), "a".into()]);
        assert_eq!(
            rankings.platforms(&["c".into(), "".into(), "a".into()]),
            ["b", "a", "c"]
        );
    }
}
