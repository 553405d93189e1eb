//! Creators, their videos, and how the counters of these grow.

use kol_common::Millis;

use super::VIDEOS;
use super::chance::Chance;

const DAY: f64 = 86_400_000.0;
/// Half of the creators publish a video in fewer days than this; how far they spread.
const PERIOD: f64 = 1.8;
const PERIODS: f64 = 1.2;
/// Likes of half of the videos once they are old, and how far creators and their videos spread.
const LIKES: f64 = 1_250.0;
const CREATORS: f64 = 1.9;
const OF_A_CREATOR: f64 = 1.6;
/// Views, comments and shares for a like.
const VIEWS: f64 = 46.0;
const COMMENTS: f64 = 1.0 / 37.0;
const SHARES: f64 = 1.0 / 95.0;
/// Days after which the growth of a video slows down.
const YOUNG: f64 = 2.0;

/// Who is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Creator {
    seed: u64,
    pub(super) kol: u64,
    /// Time between two videos, ms.
    period: f64,
    /// Its likes, by those of others.
    audience: f64,
    pub(super) niche: &'static str,
}

/// One reading of one video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) video: u64,
    pub(super) likes: u64,
    pub(super) comments: u64,
    pub(super) shares: u64,
    pub(super) views: Option<u64>,
}

impl Creator {
    /// When visits read fewer videos than crawlers do, videos are published as much less often: those that are read are
    /// of all ages all the same.
    pub(super) fn of(seed: u64, kol: u64, depth: f64) -> Self {
        let mut chance = Chance::of(seed ^ 0xC2EA_7020, kol);
        Self {
            seed,
            kol,
            period: DAY * PERIOD * VIDEOS / depth * chance.spread(PERIODS),
            audience: chance.spread(CREATORS),
            niche: match chance.below(100) {
                0..49 => "fashion_beauty",
                49..78 => "momandbaby_food",
                _ => "health_techandhousehold",
            },
        }
    }

    /// Number of the newest video that is out.
    pub(super) fn newest(&self, now: Millis) -> u64 {
        (now.0 as f64 / self.period) as u64
    }

    /// Reads a video.
    pub(super) fn read(&self, video: u64, now: Millis, chance: &mut Chance) -> Reading {
        let mut shape = Chance::of(self.seed ^ 0x71DE_0000 ^ self.kol, video);
        let published = self.period * (video as f64 - 0.9 * shape.unit()).max(0.0);
        let age = (now.0 as f64 - published).max(0.0) / DAY;
        let grown = 1.0 - (1.0 + age / YOUNG).powf(-1.5);
        let likes = LIKES * self.audience * shape.spread(OF_A_CREATOR) * grown;
        let views = likes * VIEWS * shape.spread(0.6);
        let second = (published / 1_000.0) as u64;
        let mut reading = Reading {
            // The upper half of an id is the second of its creation.
            video: second << 32 | shape.next() >> 32,
            likes: likes as u64,
            comments: (likes * COMMENTS * shape.spread(0.7)) as u64,
            shares: (likes * SHARES * shape.spread(1.3)) as u64,
            views: (!chance.one_in(42)).then_some(views as u64),
        };
        reading.mistaken(chance);
        reading
    }
}

impl Reading {
    /// Counters fall: people take likes and comments back, and crawlers look at the wrong video.
    fn mistaken(&mut self, chance: &mut Chance) {
        match chance.below(1_000) {
            0..10 => self.likes = self.likes.saturating_sub(1 + chance.below(3)),
            10..27 => self.comments = self.comments.saturating_sub(1),
            27..31 => self.views = self.views.map(|views| views / 3),
            31..35 => self.views = self.views.map(|views| views - views / 20),
            _ => {}
        }
    }
}

/// A number of 40 bits, of each creator another one.
pub(super) fn name(kol: u64) -> u64 {
    const MASK: u64 = (1 << 40) - 1;
    // Each step can be undone, so no two creators have one name.
    let mut x = kol.wrapping_mul(0x9E_3779_B97F) & MASK;
    x ^= x >> 20;
    x.wrapping_mul(0xBF_5847_6D1D) & MASK
}
