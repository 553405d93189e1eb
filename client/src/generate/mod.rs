//! Generated events that look like what crawlers send: creators with heavy-tailed audiences, videos
//! that appear, grow and fade, lifetime counters read at intervals, rounded strings, missing values,
//! and a few records that are late or broken. The same options give the same events.

mod format;
mod model;
mod options;
mod random;

use kol_common::Millis;

use format::Writer;
use model::Model;
pub use options::Options;
use random::Dice;

/// Share of events, of 10,000, that are read from a profile, late, out of order, or broken.
const PROFILES: u64 = 200;
const LATE: u64 = 20;
const OUT_OF_ORDER: u64 = 100;
const BROKEN: u64 = 10;
/// How old a late event is, and at most an out-of-order one.
const LATE_BY: u64 = 8 * 86_400_000;
const OUT_OF_ORDER_BY: u64 = 120_000;

/// Makes events, one after the other.
#[derive(Debug)]
pub struct Generator {
    options: Options,
    model: Model,
    next: u64,
    /// A step through the videos that meets each once a round, in an order that looks random.
    stride: u64,
    writer: Writer,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// The creator; see [`Generator::username`].
    pub kol: u64,
    /// Event time that the event states.
    pub event_time: Millis,
    /// The record is broken on purpose.
    pub broken: bool,
}

impl Generator {
    /// At least one creator and one video are taken.
    pub fn new(options: Options) -> Self {
        let options = Options {
            kols: options.kols.max(1),
            videos_per_kol: options.videos_per_kol.max(1),
            ..options
        };
        let videos = options.kols * options.videos_per_kol;
        Self {
            model: Model::new(&options),
            stride: coprime(videos, options.seed),
            options,
            next: 0,
            writer: Writer::default(),
        }
    }

    /// A creator's name.
    pub fn username(kol: u64) -> String {
        format!("creator_{kol:06}")
    }

    /// Event time of the next event, before it is made late or out of order.
    pub fn now(&self) -> Millis {
        Millis(self.options.start.0 + self.next * self.options.step_us / 1_000)
    }

    /// From here on the event time between two events is `step_us`.
    pub fn set_pace(&mut self, start: Millis, step_us: u64) {
        self.options.start = Millis(start.0.saturating_sub(self.next * step_us / 1_000));
        self.options.step_us = step_us;
    }

    /// Lets a video go viral from now on.
    pub fn go_viral(&mut self, video: u64, since: Millis) {
        self.model.viral = Some((video, since));
    }

    /// Writes the next event's JSON over what `out` holds.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> Meta {
        let videos = self.options.kols * self.options.videos_per_kol;
        let video = (self.next % videos) * self.stride % videos;
        let mut dice = Dice::new(self.options.seed, self.next);
        let now = self.now().0;
        self.next += 1;
        let kind = dice.below(10_000);
        let event_time = Millis(match kind {
            k if k < LATE => now.saturating_sub(LATE_BY),
            k if k < LATE + OUT_OF_ORDER => now.saturating_sub(dice.below(OUT_OF_ORDER_BY)),
            _ => now,
        });
        let kol = video % self.options.kols;
        if (9_000..9_000 + PROFILES).contains(&kind) && !self.options.delta {
            out.clear();
            let followers = self.model.followers(kol, event_time);
            self.writer
                .profile(out, &mut dice, kol, event_time, followers);
        } else {
            self.read_video(video, event_time, &mut dice, out);
        }
        let broken = kind >= 10_000 - BROKEN;
        if broken {
            out.truncate(out.len() / 2);
        }
        Meta {
            kol,
            event_time,
            broken,
        }
    }

    /// Writes one more reading of a video, as of the next event's time: crawlers come back sooner to
    /// a video that takes off.
    pub fn reread_into(&mut self, video: u64, out: &mut Vec<u8>) -> Meta {
        let mut dice = Dice::new(self.options.seed ^ video, self.next);
        let event_time = self.now();
        self.read_video(video, event_time, &mut dice, out);
        Meta {
            kol: video % self.options.kols,
            event_time,
            broken: false,
        }
    }

    fn read_video(&mut self, video: u64, time: Millis, dice: &mut Dice, out: &mut Vec<u8>) {
        out.clear();
        let reading = self.model.reading(video, time, dice);
        let kol = video % self.options.kols;
        self.writer.video(out, dice, kol, time, &reading);
    }
}

/// A number without a common divisor with `n`, near a golden part of it.
fn coprime(n: u64, seed: u64) -> u64 {
    fn gcd(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    let start = (n as f64 * 0.618) as u64 + seed % 97;
    (start.max(1)..).find(|c| gcd(*c, n) == 1).unwrap_or(1)
}

#[cfg(test)]
mod tests;
