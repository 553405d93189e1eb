//! Events on their way into the state, some at a time.
//!
//! An event is admitted, or not, when it is taken: that depends on the clock and the platform alone. What it changes lies
//! in places of the memory that are far apart, so it is applied a moment later, after the places of all that wait with
//! it were looked up one after the other. The processor does not wait for one of them before it looks for the next.
//!
//! They are applied in their order, each with the clock that it found, so it is as if each had been applied at once.
//! Nothing is forgotten meanwhile: what was found stays where it is, and what was not found is looked up again, because
//! an event before it may have brought it.

use std::hint::black_box;

use kol_common::Millis;
use kol_common::event::Event;

use super::kols::KolIndex;
use super::platforms::PlatformIndex;
use super::reading::{Entity, MISSING};
use super::{Applied, State};

/// Events that are looked up together.
const TOGETHER: usize = 64;

/// Events that are taken together. They are in the state once it is dropped.
#[derive(Debug)]
pub struct Batch<'s>(&'s mut State);

impl Batch<'_> {
    /// Takes the next event of the log. `time` is its effective event time.
    ///
    /// The clock advances first; an event older than the clock minus the lateness then has no effect.
    pub fn take(&mut self, event: &Event<'_>, time: Millis) -> Applied {
        self.0.take(event, time)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.0.settle();
    }
}

/// Events that were admitted and not applied.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: Vec<Admitted>,
    text: String,
}

/// An event that counts.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Likes, comments, shares and views; of a profile whose counters are lifetime totals, followers. [`MISSING`] where
    /// there is none.
    pub(super) counters: [u64; 4],
    pub(super) time: u64,
    /// The oldest time that counted when it came, and the end of the window.
    pub(super) oldest: u64,
    pub(super) window_end: u64,
    /// When the video was made; [`MISSING`] where that is not known.
    pub(super) published: u64,
    /// See [`super::kols::Kols::hash`].
    pub(super) hash: u64,
    pub(super) platform: PlatformIndex,
    name: Part,
    video: Video,
    /// Where its KOL and its reading are, if they are there already.
    pub(super) kol: Option<KolIndex>,
    pub(super) reading: Option<u32>,
}

/// An [`Entity`] in the queue.
#[derive(Debug)]
enum Video {
    None,
    /// The two halves of a key.
    Key([u64; 2]),
    Long(Part),
}

/// A part of the text of the queue.
#[derive(Clone, Copy, Debug)]
struct Part(u32, u32);

impl Part {
    fn of(self, text: &str) -> &str {
        &text[self.0 as usize..self.1 as usize]
    }
}

impl Admitted {
    /// Name of its KOL.
    pub(super) fn name<'q>(&self, text: &'q str) -> &'q str {
        self.name.of(text)
    }

    /// What it is a reading of.
    pub(super) fn entity<'q>(&self, text: &'q str) -> Entity<'q> {
        match self.video {
            Video::None => Entity::Profile,
            Video::Key([low, high]) => Entity::Key(u128::from(high) << 64 | u128::from(low)),
            Video::Long(id) => Entity::Long(id.of(text)),
        }
    }
}

impl Queue {
    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.events.capacity() * size_of::<Admitted>() + self.text.capacity()
    }

    fn keep(&mut self, text: &str) -> Part {
        let from = self.text.len() as u32;
        self.text.push_str(text);
        Part(from, self.text.len() as u32)
    }
}

impl State {
    /// To take events with.
    pub fn batch(&mut self) -> Batch<'_> {
        Batch(self)
    }

    /// Applies the next event of the log. See [`Batch::take`].
    pub fn apply(&mut self, event: &Event<'_>, time: Millis) -> Applied {
        self.batch().take(event, time)
    }

    fn take(&mut self, event: &Event<'_>, time: Millis) -> Applied {
        let clock = self.clock.map_or(time, |c| c.max(time));
        self.clock = Some(clock);
        self.raise_clock(clock);
        let oldest = clock.since(self.scoring.spec.lateness);
        if time < oldest {
            return Applied::Late;
        }
        let Some(platform) = self.kols.admit(&event.platform, time, clock) else {
            return Applied::TooManyPlatforms;
        };
        let has_readings = self.scoring.cumulative();
        let queue = &mut self.queue;
        let name = queue.keep(&event.kol);
        let video = event.video_id.as_deref().filter(|_| has_readings);
        let video = match Entity::of(video) {
            Entity::Profile => Video::None,
            Entity::Key(key) => Video::Key([key as u64, (key >> 64) as u64]),
            Entity::Long(id) => Video::Long(queue.keep(id)),
        };
        queue.events.push(Admitted {
            time: time.0,
            oldest: oldest.0,
            window_end: self.window_end,
            platform,
            hash: self.kols.hash(platform, &event.kol),
            name,
            video,
            published: event.published.map_or(MISSING, |made| made.0),
            counters: counters(event, has_readings),
            kol: None,
            reading: None,
        });
        if queue.events.len() == TOGETHER {
            self.settle();
        }
        Applied::Counted
    }

    /// Applies what waits.
    fn settle(&mut self) {
        if self.queue.events.is_empty() {
            return;
        }
        let mut queue = std::mem::take(&mut self.queue);
        if queue.events.len() > 1 {
            self.look_up(&mut queue);
        }
        for event in &queue.events {
            self.apply_admitted(event, &queue.text);
        }
        queue.events.clear();
        queue.text.clear();
        self.queue = queue;
    }

    /// Finds what is known of the events that wait, and has what they will change brought into the cache.
    fn look_up(&self, queue: &mut Queue) {
        for event in &mut queue.events {
            let name = event.name.of(&queue.text);
            event.kol = self.kols.lookup(event.hash, event.platform, name);
        }
        let has_readings = self.scoring.cumulative();
        let mut touched = 0;
        for event in &mut queue.events {
            let Some(kol) = event.kol else {
                continue;
            };
            if has_readings {
                event.reading = self.readings.find(kol, event.entity(&queue.text));
            }
            touched ^= self.kols.touch(kol);
        }
        black_box(touched);
    }
}

fn counters(event: &Event<'_>, are_totals: bool) -> [u64; 4] {
    let all = if event.video_id.is_none() && are_totals {
        [event.followers, None, None, None]
    } else {
        [event.likes, event.comments, event.shares, event.views]
    };
    all.map(|c| c.unwrap_or(MISSING))
}
