//! One partition's share of one KOL.

use std::collections::BTreeMap;
use std::ops::Range;

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
    /// What is assumed to be added behind readings that were dropped since.
    assumed: Vec<Gain>,
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

#[derive(Clone, Debug)]
struct Reading {
    time: u64,
    counters: [Counter; 3],
    /// What is assumed to be added behind it.
    assumed: Vec<Gain>,
    /// Rises of its counters that their next readings decide about.
    rises: [Option<Rise>; 3],
    /// What those readings gained that rises are of, by their times, less what was taken back.
    leaps: BTreeMap<u64, Leap>,
}

/// A counter that rose more than eight times from a thousand or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rise {
    /// Time of the reading that showed it.
    time: u64,
    gain: u64,
    before: u64,
    top: u64,
}

/// All that a reading gained, since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leap {
    since: u64,
    gain: u64,
}

/// A rate is carried on for so many milliseconds at most.
const LONGEST: u64 = 48 * 3_600_000;

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
        let assumed = &mut self.assumed;
        self.entities.retain(|_, reading| {
            let is_kept = !outdated(reading.time);
            if !is_kept {
                assumed.append(&mut reading.assumed);
            }
            is_kept
        });
    }

    /// Adds an event that is not late.
    pub fn apply(&mut self, event: &Decoded, time: u64, spec: &ScoringSpec) {
        self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        self.newest = self.newest.max(time);
        if spec.counters == Counters::Cumulative {
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
        let last = self.entities.get(&event.video).cloned();
        if last.as_ref().is_some_and(|last| last.time == time) {
            return;
        }
        self.count(time, spec);
        if last.as_ref().is_some_and(|last| time < last.time) {
            return;
        }
        // More than the lifetime after the last reading there is nothing to compare with.
        let recent = |start: u64| time - start <= spec.entity_ttl.0;
        let mut reading = Reading {
            time,
            counters: counters.map(Counter::new),
            assumed: Vec::new(),
            rises: [None; 3],
            leaps: BTreeMap::new(),
        };
        let is_rising = spec.profile == Profile::Rising;
        let (start, gain) = match last {
            Some(mut last) if recent(last.time) => {
                self.take_back(&mut last, counters, spec.slide.0);
                let next: [_; 3] = std::array::from_fn(|i| last.counters[i].next(counters[i]));
                let gain = next.iter().map(|(_, gain)| gain).sum();
                reading.counters = next.map(|(counter, _)| counter);
                (reading.rises, reading.leaps) = (last.rises, last.leaps);
                for i in 0..if is_rising { 3 } else { 0 } {
                    let rise = leap(last.counters[i].value, counters[i], next[i].1, time);
                    if rise.is_some() {
                        reading.rises[i] = rise;
                        let since = last.time;
                        reading.leaps.insert(time, Leap { since, gain });
                    }
                }
                (last.time, gain)
            }
            Some(_) => (time, 0),
            // A video made while its creator was watched started from zero then.
            None => match self.creation(event, time).filter(|made| recent(*made)) {
                Some(made) => (made, counters.into_iter().flatten().sum()),
                None => (time, 0),
            },
        };
        if gain > 0 {
            let total = u128::from(gain) * MILLION;
            let span = time - start;
            (self.gains).extend(spread(total, span, start..time, spec.slide.0));
            if is_rising {
                let ahead = time..time + span.min(LONGEST);
                reading.assumed = spread(total, span, ahead, spec.slide.0);
            }
        }
        self.entities.insert(event.video.clone(), reading);
    }

    /// Takes rises back that a reading with these counters shows to be false, and forgets those that it decides about.
    fn take_back(&mut self, last: &mut Reading, now: [Option<u64>; 3], slide: u64) {
        for (i, now) in now.into_iter().enumerate() {
            let (Some(rise), Some(now)) = (last.rises[i], now) else {
                continue;
            };
            last.rises[i] = None;
            if 2 * now >= rise.top {
                continue;
            }
            last.counters[i] = Counter::new(Some(rise.before));
            let Some(leap) = last.leaps.get_mut(&rise.time) else {
                continue;
            };
            let pieces = |gain: u64| {
                let total = u128::from(gain) * MILLION;
                spread(total, rise.time - leap.since, leap.since..rise.time, slide)
            };
            for piece in pieces(leap.gain) {
                let place = self.gains.iter().position(|gain| *gain == piece);
                if let Some(place) = place {
                    self.gains.swap_remove(place);
                }
            }
            self.gains.extend(pieces(leap.gain - rise.gain));
            leap.gain -= rise.gain;
        }
    }

    /// What is assumed to be added, by rates that are carried on.
    pub fn assumed(&self) -> impl Iterator<Item = &Gain> {
        let of_readings = self.entities.values().flat_map(|reading| &reading.assumed);
        self.assumed.iter().chain(of_readings)
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

    fn add(&mut self, from: u64, to: u64, each: u128) {
        if each > 0 {
            self.gains.push(Gain { from, to, each });
        }
    }
}

/// What a rate of `total` in `span` milliseconds amounts to in each pane of a time that is not longer.
fn spread(total: u128, span: u64, time: Range<u64>, slide: u64) -> Vec<Gain> {
    let share = |ms: u64| total * u128::from(ms) / u128::from(span);
    let all = share(time.end - time.start);
    let (first, last) = (time.start / slide, (time.end - 1) / slide);
    let gain = |from: u64, to: u64, each: u128| Gain { from, to, each };
    let mut pieces = Vec::new();
    if first == last {
        pieces.push(gain(first, last, all));
    } else {
        let in_first = share((first + 1) * slide - time.start);
        let each = share(slide);
        let between = last - first - 1;
        pieces.push(gain(first, first, in_first));
        if between > 0 {
            pieces.push(gain(first + 1, last - 1, each));
        }
        pieces.push(gain(
            last,
            last,
            all - in_first - each * u128::from(between),
        ));
    }
    pieces.retain(|piece| piece.each > 0);
    pieces
}

/// A rise that the next reading of the counter decides about.
fn leap(before: Option<u64>, now: Option<u64>, gain: u64, time: u64) -> Option<Rise> {
    let (before, top) = before.zip(now)?;
    let is_one = gain > 0 && before >= 1_000 && top > 8 * before;
    is_one.then_some(Rise {
        time,
        gain,
        before,
        top,
    })
}

/// What was gained when both values are known; a fall is no gain.
fn gain(now: Option<u64>, before: Option<u64>) -> u64 {
    now.zip(before)
        .map_or(0, |(now, before)| now.saturating_sub(before))
}
