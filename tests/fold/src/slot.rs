//! One partition's share of one KOL.

use std::collections::BTreeMap;

use kol_common::job::{Counters, Profile, ScoringSpec};

use super::event::Decoded;

/// Engagements are counted in millionths.
const MILLION: u128 = 1_000_000;

/// One partition's share of one KOL. Times in milliseconds, engagement in millionths.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Oldest event time; `None` before the first event.
    pub oldest: Option<u64>,
    /// Newest event time.
    pub newest: u64,
    /// Events per pane.
    pub events: BTreeMap<u64, u64>,
    /// What was added, each the same to every pane from `from` to `to`, both included.
    pub gains: Vec<Gain>,
    /// The last reading of each video, and of the profile.
    entities: BTreeMap<Option<String>, Reading>,
}

/// An amount that was added to each pane of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    pub from: u64,
    pub to: u64,
    pub each: u128,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    time: u64,
    counters: [Counter; 3],
}

/// What is known of one counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counter {
    /// The value that is believed; `None`: never seen.
    value: Option<u64>,
    /// The reading before had less than half of it.
    fell: bool,
}

impl Counter {
    fn new(value: Option<u64>) -> Self {
        Self { value, fell: false }
    }

    /// Takes the next reading's value in: what is known then, and the gain. A fall to less than half is
    /// believed when the next reading that has the counter shows one, too.
    fn next(self, now: Option<u64>) -> (Self, u64) {
        match (self.value, now) {
            (_, None) => (self, 0),
            (Some(last), Some(now)) if 2 * now < last && !self.fell => {
                let fell = true;
                (Self { fell, ..self }, 0)
            }
            (last, now) => (Self::new(now), gain(now, last)),
        }
    }
}

impl Slot {
    /// Forgets what no event can reach any more: everything when the newest event is more than the
    /// entity's lifetime before `oldest_accepted`, else the readings that are.
    pub fn drop_outdated(&mut self, oldest_accepted: u64, spec: &ScoringSpec) {
        let outdated = |time: u64| time.saturating_add(spec.entity_ttl.0) < oldest_accepted;
        if self.oldest.is_some() && outdated(self.newest) {
            *self = Self::default();
        }
        self.entities.retain(|_, reading| !outdated(reading.time));
    }

    /// Adds an event that is not late.
    pub fn apply(&mut self, event: &Decoded, time: u64, spec: &ScoringSpec) {
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        self.newest = self.newest.max(time);
        let cumulative = spec.counters == Counters::Cumulative && spec.profile == Profile::Default;
        if cumulative {
            self.read(event, time, spec);
        } else {
            let total: u64 = event.engagement.into_iter().flatten().sum();
            let pane = time / spec.slide.0;
            self.count(time, spec);
            self.add(pane, pane, u128::from(total) * MILLION);
        }
    }

    fn read(&mut self, event: &Decoded, time: u64, spec: &ScoringSpec) {
        let counters = match event.video {
            Some(_) => event.engagement,
            None => [event.followers, None, None],
        };
        let last = self.entities.get(&event.video).copied();
        if last.is_some_and(|last| last.time == time) {
            return;
        }
        self.count(time, spec);
        if last.is_some_and(|last| time < last.time) {
            return;
        }
        // More than the lifetime after the last reading there is nothing to compare with.
        let recent = |start: u64| time - start <= spec.entity_ttl.0;
        let mut kept = counters.map(Counter::new);
        let (start, gain) = match last {
            Some(last) if recent(last.time) => {
                let next: [_; 3] = std::array::from_fn(|i| last.counters[i].next(counters[i]));
                kept = next.map(|(counter, _)| counter);
                (last.time, next.iter().map(|(_, gain)| gain).sum())
            }
            Some(_) => (time, 0),
            // A video made while its creator was watched started from zero then.
            None => match self.creation(event, time).filter(|made| recent(*made)) {
                Some(made) => (made, counters.into_iter().flatten().sum()),
                None => (time, 0),
            },
        };
        if gain > 0 {
            self.spread(start, time, gain, spec.slide.0);
        }
        let reading = Reading {
            time,
            counters: kept,
        };
        self.entities.insert(event.video.clone(), reading);
    }

    /// When a video was made, if that was before this reading and not before this slot's first event.
    fn creation(&self, event: &Decoded, time: u64) -> Option<u64> {
        event.video.as_ref()?;
        let made = event.created?;
        let watched = made >= self.oldest? && made < time;
        watched.then_some(made)
    }

    fn count(&mut self, time: u64, spec: &ScoringSpec) {
        *self.events.entry(time / spec.slide.0).or_default() += 1;
    }

    /// Spreads `gain` engagements evenly over `[from, to)`.
    fn spread(&mut self, from: u64, to: u64, gain: u64, slide: u64) {
        let total = u128::from(gain) * MILLION;
        let length = u128::from(to - from);
        let (first, last) = (from / slide, (to - 1) / slide);
        if first == last {
            return self.add(first, last, total);
        }
        let share = |ms: u64| total * u128::from(ms) / length;
        let in_first = share((first + 1) * slide - from);
        let each = share(slide);
        let between = last - first - 1;
        self.add(first, first, in_first);
        if between > 0 {
            self.add(first + 1, last - 1, each);
        }
        self.add(last, last, total - in_first - each * u128::from(between));
    }

    fn add(&mut self, from: u64, to: u64, each: u128) {
        if each > 0 {
            self.gains.push(Gain { from, to, each });
        }
    }
}

/// What was gained when both values are known; a fall is no gain.
fn gain(now: Option<u64>, before: Option<u64>) -> u64 {
    now.zip(before)
        .map_or(0, |(now, before)| now.saturating_sub(before))
}
