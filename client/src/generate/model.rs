//! How audiences and videos behave.
//!
//! A creator's audience follows a Pareto law. A video gathers `size · (1 − exp(−age/τ))` likes, τ about
//! a day, and after six days another takes its place. A viral one gains likes on top that double again
//! and again, until as many come as a platform's largest hits get.

use kol_common::Millis;

use super::options::Options;
use super::random::Dice;

const DAY: f64 = 86_400_000.0;
/// How long a video is read before the next takes its place, ms.
const LIFE: u64 = 6 * 86_400_000;
/// Likes that a viral video begins with, how long they take to double, and likes a second from when
/// on they grow no faster.
const VIRAL_SEED: f64 = 20.0;
const VIRAL_DOUBLING: f64 = 1.15;
const VIRAL_RATE: f64 = 40_000.0;

#[derive(Debug)]
pub(super) struct Model {
    seed: u64,
    kols: u64,
    delta: bool,
    pub(super) viral: Option<(u64, Millis)>,
}

/// The counters of a video at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VideoReading {
    /// Distinguishes the videos of all creators.
    pub(super) identity: u64,
    pub(super) published: Millis,
    pub(super) likes: u64,
    pub(super) comments: u64,
    pub(super) shares: u64,
    pub(super) views: u64,
}

impl Model {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seed: options.seed,
            kols: options.kols,
            delta: options.delta,
            viral: options.viral,
        }
    }

    /// Followers: Pareto with exponent 1.2, from 1,000 to 50 million.
    fn audience(&self, kol: u64) -> f64 {
        let unit = Dice::new(self.seed ^ 0xA0D1_E4CE, kol).unit();
        (1_000.0 * unit.powf(-1.0 / 1.2)).min(50e6)
    }

    pub(super) fn followers(&self, kol: u64, now: Millis) -> u64 {
        // A tenth of a per cent a day, from 2020 on.
        let days = (now.0.saturating_sub(1_577_836_800_000)) as f64 / DAY;
        (self.audience(kol) * (1.0 + 0.001 * days)) as u64
    }

    pub(super) fn reading(&self, video: u64, now: Millis, dice: &mut Dice) -> VideoReading {
        let kol = video % self.kols;
        let offset = Dice::new(self.seed ^ 0x0FF5_E700, video).below(LIFE);
        let turn = (now.0 + offset) / LIFE;
        let published = Millis((turn * LIFE).saturating_sub(offset));
        let identity = super::random::mix(video ^ (turn << 32) ^ self.seed);
        let mut shape = Dice::new(identity, 0);
        let size = self.audience(kol) * 0.05 * shape.unit().powf(-0.7);
        let tau = DAY * (0.3 + shape.unit());
        let age = now.since(published).0 as f64;
        let mut likes = size * (1.0 - (-age / tau).exp());
        if self.delta {
            likes = size * 1e-5 * dice.unit() * 2.0;
        }
        if let Some((viral, since)) = self.viral
            && video == viral
            && now > since
        {
            let seconds = now.since(since).0 as f64 / 1_000.0;
            let (total, rate) = viral_likes(seconds);
            likes += if self.delta { rate } else { total };
        }
        VideoReading {
            identity,
            published,
            likes: likes as u64,
            comments: (likes / 40.0) as u64,
            shares: (likes / 80.0) as u64,
            views: (likes * 12.0) as u64,
        }
    }
}

/// Likes that going viral has brought after so many seconds, and those of the last second.
fn viral_likes(seconds: f64) -> (f64, f64) {
    let growth = std::f64::consts::LN_2 / VIRAL_DOUBLING;
    let steepest = (VIRAL_RATE / (VIRAL_SEED * growth)).ln() / growth;
    let rising = VIRAL_SEED * (growth * seconds.min(steepest)).exp();
    let steady = VIRAL_RATE * (seconds - steepest).max(0.0);
    (rising + steady, rising * growth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viral_video_doubles_until_it_gains_as_fast_as_the_largest_hits() {
        assert_eq!(viral_likes(0.0).0, VIRAL_SEED);
        assert!((viral_likes(2.0 * VIRAL_DOUBLING).0 - 4.0 * VIRAL_SEED).abs() < 1e-6);
        let gained = viral_likes(61.0).0 - viral_likes(60.0).0;
        assert!((gained - VIRAL_RATE).abs() < 1.0, "{gained}");
        assert!((viral_likes(60.0).1 - VIRAL_RATE).abs() < 1.0);
    }
}
