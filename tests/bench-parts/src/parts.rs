//! Runs the executor's own code on the events of a crawl, part by part.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kol_common::Millis;
use kol_common::job::{JobSpec, parse};
use kol_executor::partition::bench::Parts;
use kol_executor::source::Batch;

use crate::crawl::{Options, SPAN};
use crate::records::{Batches, Records};

/// A part of what an executor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the value of a record to its event.
    Decode,
    /// That, and from the event to the state.
    Take,
    /// Between batches: market sums, what can be forgotten.
    Tend,
    /// From the state to the commands that Redis gets.
    Flush,
    /// All creators are scored again, because the window moved on.
    Advance,
}

impl Part {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::Decode,
        Self::Take,
        Self::Tend,
        Self::Flush,
        Self::Advance,
    ];

    /// The function that is this part: callgrind knows it by this name.
    pub fn function(self) -> &'static str {
        match self {
            Self::Decode => "part_decode",
            Self::Take => "part_take",
            Self::Tend => "part_tend",
            Self::Flush => "part_flush",
            Self::Advance => "part_advance",
        }
    }
}

/// What counters of events mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Counters {
    /// Lifetime totals, 24 h and 1 h.
    Cumulative,
    /// What is new, 5 min and 1 min.
    Delta,
}

impl Counters {
    /// Both meanings of counters.
    pub const ALL: [Self; 2] = [Self::Cumulative, Self::Delta];

    /// From the first event to the last: with windows of minutes creators must be read again within an hour, or nobody
    /// is in a ranking.
    fn span(self) -> Millis {
        match self {
            Self::Cumulative => SPAN,
            Self::Delta => Millis(3_600_000),
        }
    }

    fn spec(self) -> JobSpec {
        let text = format!("name = \"bench\"\n[scoring]\ncounters = \"{self}\"\n");
        parse(&text, "bench").unwrap().spec
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cumulative => "cumulative",
            Self::Delta => "delta",
        })
    }
}

/// How much goes through the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Load {
    /// How many events there are.
    #[arg(long, default_value_t = 100_000)]
    pub events: u64,
    /// Creators in them.
    #[arg(long, default_value_t = 5_000)]
    pub kols: u64,
    /// Events between two times that the state is tended.
    #[arg(long, default_value_t = 5_000)]
    pub tend: u64,
    /// Events between two flushes.
    #[arg(long, default_value_t = 25_000)]
    pub flush: u64,
}

impl Load {
    /// The same, as arguments.
    pub fn arguments(&self) -> [String; 4] {
        [
            format!("--events={}", self.events),
            format!("--kols={}", self.kols),
            format!("--tend={}", self.tend),
            format!("--flush={}", self.flush),
        ]
    }
}

/// What went through the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Events that the decoder could use.
    pub usable: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// Creators in flushes.
    pub merges: u64,
    /// Bytes of commands for Redis.
    pub sent: u64,
    /// Creators that were scored again when the window had moved on.
    pub advanced: u64,
    /// Creators and entities in state in the end, and the bytes that they take.
    pub state: (usize, usize, usize),
    /// Time of each part.
    pub time: [Duration; Part::ALL.len()],
}

impl Done {
    /// How often a part was done: for an event, or for a creator.
    pub fn count(&self, part: Part) -> u64 {
        match part {
            Part::Decode | Part::Take | Part::Tend => self.usable,
            Part::Flush => self.merges,
            Part::Advance => self.advanced,
        }
    }
}

/// The event time of the last event, so that the same events come on every day.
const END: Millis = Millis(1_782_864_000_000);
/// The market measure that scores are compared with.
const MARKET: f64 = 4.73;
/// Creators in one flush, as of an executor that is far behind.
const ROOM: usize = 16_384;

/// The events that go through the parts.
#[derive(Debug)]
pub struct Input(Arc<Records>);

impl Input {
    /// The same for the same load.
    pub fn of(load: &Load, counters: Counters) -> Self {
        Self(Arc::new(Records::of(Options {
            kols: load.kols,
            events: load.events,
            end: END,
            span: counters.span(),
            seed: 42,
        })))
    }
}

/// Sends the events through decoding alone, then through everything; then the window moves on.
pub fn run(load: &Load, counters: Counters, input: &Input) -> Done {
    let spec = counters.spec();
    let next = Millis(END.0 + spec.scoring.slide.0);
    let mut parts = Parts::of(spec, MARKET);
    let mut done = Done {
        bytes: input.0.bytes() as u64,
        ..Done::default()
    };
    let mut batches = Batches::of(&input.0);
    while let Some(batch) = batches.next() {
        done.usable += done.timed(Part::Decode, || part_decode(&parts, batch));
    }
    let mut batches = Batches::of(&input.0);
    let (mut taken, mut packed) = (0, Vec::new());
    while let Some(batch) = batches.next() {
        done.timed(Part::Take, || part_take(&mut parts, batch));
        let before = taken;
        taken += batch.len() as u64;
        if taken / load.tend > before / load.tend {
            done.timed(Part::Tend, || part_tend(&mut parts));
        }
        if taken / load.flush > before / load.flush {
            flush_all(&mut parts, &mut done, &mut packed);
        }
    }
    flush_all(&mut parts, &mut done, &mut packed);
    done.state = parts.size();
    let event = format!("{{\"username\":\"next\",\"event_time\":{}}}", next.0);
    let records = Arc::new(Records::one(next, "next", &event));
    if let Some(batch) = Batches::of(&records).next() {
        parts.take(batch, next);
    }
    packed.clear();
    done.advanced = done.timed(Part::Advance, || part_advance(&mut parts, &mut packed));
    done
}

fn flush_all(parts: &mut Parts, done: &mut Done, packed: &mut Vec<u8>) {
    loop {
        packed.clear();
        let (kols, complete) = done.timed(Part::Flush, || part_flush(parts, packed));
        done.merges += kols as u64;
        done.sent += packed.len() as u64;
        if complete || kols == 0 {
            return;
        }
    }
}

impl Done {
    fn timed<T>(&mut self, part: Part, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let outcome = work();
        self.time[part as usize] += begun.elapsed();
        outcome
    }
}

// Functions of their own, and nothing but a call in each: callgrind counts what is done inside of them.

#[inline(never)]
fn part_decode(parts: &Parts, batch: &Batch) -> u64 {
    parts.decode(batch)
}

#[inline(never)]
fn part_take(parts: &mut Parts, batch: &Batch) {
    parts.take(batch, END);
}

#[inline(never)]
fn part_tend(parts: &mut Parts) {
    parts.tend();
}

#[inline(never)]
fn part_flush(parts: &mut Parts, packed: &mut Vec<u8>) -> (usize, bool) {
    parts.flush(true, ROOM, packed)
}

#[inline(never)]
fn part_advance(parts: &mut Parts, packed: &mut Vec<u8>) -> u64 {
    parts.tend();
    let mut advanced = 0;
    loop {
        let (kols, complete) = parts.flush(false, ROOM, packed);
        advanced += kols as u64;
        if complete {
            return advanced;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_goes_through_every_part() {
        let load = Load {
            events: 3_000,
            kols: 100,
            tend: 500,
            flush: 1_100,
        };
        for counters in Counters::ALL {
            let done = run(&load, counters, &Input::of(&load, counters));
            assert_eq!(done.usable, 3_000);
            assert_eq!(done.state.0, 100);
            // Each flush has the creators of the events before it.
            assert!((200..=300).contains(&done.merges), "{}", done.merges);
            let again = if counters == Counters::Cumulative {
                90
            } else {
                1
            };
            assert!(done.advanced >= again, "{}", done.advanced);
            assert!(done.sent > 100 * done.merges, "{} bytes", done.sent);
            assert!(done.time.iter().all(|time| !time.is_zero()));
        }
    }
}
