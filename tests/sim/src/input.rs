//! Events from a seed, as they happen: few busy creators and more that are rare (what is lost of those
//! nothing later makes good), several partitions of each, some late or unreadable, none in the order
//! of their times.

use kol_common::Millis;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::log::MemoryLog;

/// Partitions of the topic.
pub const PARTITIONS: u32 = 4;
/// Longest time between two events, milliseconds.
const PAUSE: u64 = 40;
/// What a clock shows that is wrong.
const IN_2100: Millis = Millis(4_102_444_800_000);
/// Creators with many events, and those with one now and then.
const BUSY: u32 = 10;
const RARE: u32 = 60;
/// How many creators there are.
pub const KOLS: u32 = BUSY + RARE;

/// See the module.
#[derive(Debug)]
pub struct Feed {
    random: StdRng,
    next: Millis,
    /// Whether events count what is new, rather than what there ever was.
    delta: bool,
    /// Whether gains are scored by the profile `rising`.
    rising: bool,
    /// Whether windows are so short that most creators are silent for more than two of them: Redis is sent
    /// of these once, and nothing later makes good what it loses then.
    short: bool,
    /// Whether the clock advances when no events come.
    cools: bool,
    letters: bool,
}

impl Feed {
    /// From this time on.
    pub fn new(seed: u64, start: Millis) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            next: start,
            delta: seed.is_multiple_of(2),
            rising: !seed.is_multiple_of(2) && seed.is_multiple_of(3),
            short: seed % 4 < 2,
            cools: seed.is_multiple_of(5),
            letters: seed % 8 < 4,
        }
    }

    /// The job's input, and how it is scored.
    pub fn scoring(&self) -> String {
        let counters = if self.delta {
            "counters = \"delta\"\nlateness = \"4s\"\n"
        } else {
            "lateness = \"10s\"\n"
        };
        let windows = if self.rising {
            "profile = \"rising\"\nwindow = \"6s\"\nslide = \"3s\"\nretire_after = \"12s\"\n"
        } else if self.short {
            "window = \"2s\"\nslide = \"1s\"\nretire_after = \"20s\"\n"
        } else {
            "window = \"6s\"\nslide = \"2s\"\nretire_after = \"12s\"\n"
        };
        let idle = if self.cools { "2s" } else { "off" };
        format!("{counters}{windows}half_life = \"1m\"\nidle_timeout = \"{idle}\"\n")
    }

    /// Whether there is a topic of dead letters.
    pub fn has_letters(&self) -> bool {
        self.letters
    }

    /// Appends what has happened by now.
    pub fn happen(&mut self, now: Millis, log: &MemoryLog) {
        while self.next <= now {
            let (partition, event) = self.event();
            log.append(partition, self.next, event);
            self.next.0 += self.random.random_range(1..=PAUSE);
        }
    }

    /// A producer whose clock is wrong appends a record of its creator, who has no others.
    pub fn happen_in_2100(&self, partition: u32, log: &MemoryLog) {
        let event = json!({
            "event_time": IN_2100.iso(),
            "username": "kol_of_2100",
            "like_count": 1,
        });
        log.append(partition, IN_2100, event.to_string());
    }

    fn event(&mut self) -> (u32, String) {
        let random = &mut self.random;
        if random.random_ratio(1, 50) {
            return (random.random_range(0..PARTITIONS), "{".to_owned());
        }
        let rare = random.random_ratio(1, 5);
        let kol = if rare {
            BUSY + random.random_range(0..RARE)
        } else {
            random.random_range(0..BUSY)
        };
        let video = random.random_range(0..2);
        // Readings of one video come through one partition; the videos of one creator through two.
        let partition = (kol + video) % PARTITIONS;
        let delay = if random.random_ratio(1, 20) {
            random.random_range(0..8_000)
        } else {
            random.random_range(0..500)
        };
        let likes = if self.delta {
            random.random_range(0..1_000)
        } else {
            (self.next.0 % 10_000_000) * u64::from(kol + 1) / 10
        };
        let event = json!({
            "event_time": Millis(self.next.0 - delay).iso(),
            "username": format!("kol_{kol}"),
            "video_id": format!("video_{kol}_{video}"),
            "like_count": likes,
            "comment_count": random.random_range(0..20),
            "platform": if kol == 0 { "youtube" } else { "tiktok" },
        });
        (partition, event.to_string())
    }
}
