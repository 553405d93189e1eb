//! Events on their way into the state, some at a time.
//!
//! An event is admitted, or not, when it is taken: that depends on the clock and the platform alone. What it changes lies
//! in places of the memory that are far apart, so it is applied a moment later, after the places of all that wait with
//! it were looked up one after the other. The processor does not wait for one of them before it looks for the next.
//!
//! They are applied in their order, each with the clock that it found, so it is as if each had been applied at once.
//! Nothing is forgotten meanwhile: what was found stays where it is, and what was not found is looked up again, because
//! an event before it may have brought it.

use kol_common::Millis;
use kol_common::event::Event;

use super::queue::{Admitted, Queue, Video};
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
            reading_hash: None,
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
        if self.scoring.carries_on() {
            self.apply_all::<true>(&queue);
        } else {
            self.apply_all::<false>(&queue);
        }
        queue.events.clear();
        queue.text.clear();
        self.queue = queue;
    }

    fn apply_all<const CARRIES_ON: bool>(&mut self, queue: &Queue) {
        for event in &queue.events {
            self.apply_admitted::<CARRIES_ON>(event, &queue.text);
        }
    }

    /// Finds what is known of the events that wait, and has what they will change brought into the cache. Each step
    /// reads what the one before it has of all events on its way: the indexes are looked at before the entries.
    fn look_up(&self, queue: &mut Queue) {
        let Queue { events, text } = queue;
        for event in &*events {
            self.kols.prefetch_index(event.hash);
        }
        for event in &mut *events {
            event.kol = self.kols.guess(event.hash);
            if let Some(kol) = event.kol {
                self.kols.prefetch(kol);
            }
        }
        for event in &mut *events {
            let (platform, name) = (event.platform, event.name(text));
            event.kol = match event.kol {
                Some(kol) if !self.kols.is(kol, platform, name) => {
                    self.kols.lookup(event.hash, platform, name)
                }
                guess => guess,
            };
            let Some(kol) = event.kol else {
                continue;
            };
            self.kols.prefetch_panes(kol);
            if self.scoring.cumulative() {
                event.reading_hash = self.readings.hash(kol, event.entity(text));
                if let Some(hash) = event.reading_hash {
                    self.readings.prefetch_index(hash);
                }
            }
        }
        if self.scoring.cumulative() {
            self.look_up_readings(events, text);
        }
    }

    /// The same of the readings of KOLs that are known, whose places in the index are on their way.
    fn look_up_readings(&self, events: &mut [Admitted], text: &str) {
        for event in &mut *events {
            event.reading = event
                .reading_hash
                .and_then(|hash| self.readings.guess(hash));
            if let Some(reading) = event.reading {
                self.readings.prefetch(reading);
            }
        }
        for event in events {
            if let (Some(kol), Some(reading)) = (event.kol, event.reading) {
                let entity = event.entity(text);
                if !self.readings.is(reading, kol, entity) {
                    event.reading = self.readings.find(kol, entity);
                }
            }
        }
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
