//! A partition's way from records to merge calls, without a log, a Redis and an actor: what `kol-bench-parts` counts.
//!
//! Each method is one part of what the actor does, called as the actor calls it.

use std::hint::black_box;
use std::time::Duration;

use kol_common::Millis;
use kol_common::event::Decoder;
use kol_common::job::JobSpec;
use kol_common::proto::{JobTick, PlatformMarket};
use tokio::time::Instant;

use super::delivery::encode::Encoder;
use super::delivery::watch::Watch;
use super::delivery::{Calls, Fill, Scope};
use super::message::Assignment;
use super::stage::Intake;
use crate::sink::Fence;
use crate::source::Batch;

/// Time between two calls of [`Parts::tend`], as the actor keeps house.
const HOUSEKEEPING: Duration = super::house::EVERY;
/// How long those who changed have waited at a flush: longer than any has to.
const WAIT: Duration = Duration::from_secs(10);
/// How far its clock is ahead of the machine's: what is counted does not depend on how fast that is.
const AHEAD: Duration = Duration::from_secs(3_600);

/// See the module.
#[derive(Debug)]
pub struct Parts {
    assignment: Assignment,
    decoder: Decoder,
    intake: Intake,
    fill: Fill,
    fence: Fence,
    tick: JobTick,
    sequence: u64,
    now: Instant,
}

impl Parts {
    /// The first partition of a job, with an empty state. All rankings have this market measure.
    pub fn of(spec: JobSpec, market: f64) -> Self {
        let assignment = Assignment::first(spec, "bench");
        let spec = &assignment.spec;
        let platform = &spec.scoring.default_platform;
        let now = Instant::now() + AHEAD;
        // Whoever waits is sent: how long that takes is for the clock, not for what is counted.
        let encoder = Encoder::new(&spec.sink, &spec.scoring, assignment.ordinal);
        let mut fill = Fill::new(encoder, Duration::ZERO, now);
        let key = spec.sink.keys.fence_key(&spec.name, &assignment.partition);
        fill.watch(Watch::of(spec, &key));
        Self {
            decoder: Decoder::of(&spec.source, platform),
            intake: Intake::new(&assignment, None),
            fill,
            fence: Fence {
                key,
                generation: assignment.generation,
                assignment_epoch: assignment.assignment_epoch,
            },
            tick: JobTick {
                market_version: 1,
                market: vec![PlatformMarket {
                    platform: platform.clone(),
                    mean: market,
                }],
                rankings_shown: true,
                ..JobTick::default()
            },
            sequence: 0,
            now,
            assignment,
        }
    }

    /// Decodes the records and drops their events: how many of them can be used.
    pub fn decode(&self, batch: &Batch) -> u64 {
        let mut usable = 0;
        batch.records().for_each(|entry| {
            if let Ok(record) = entry {
                self.decoder.decode_each(record.value, |_, outcome| {
                    usable += u64::from(black_box(outcome).is_ok());
                });
            }
        });
        usable
    }

    /// Decodes the records and applies their events to the state.
    pub fn take(&mut self, batch: &Batch, present: Millis) {
        let latest = self.intake.latest(present);
        let mut records = self.intake.records(latest);
        batch.records().for_each(|entry| {
            if let Ok(record) = entry {
                records.take(&record);
            }
        });
    }

    /// Looks after the state, as the actor does five times a second.
    pub fn tend(&mut self) {
        self.now += HOUSEKEEPING;
        let fill = &self.fill;
        self.intake.tend(self.now, 1, true, |kol| !fill.holds(kol));
    }

    /// A flush of at most so many creators, as an executor sends it that is near the head of the log or far `behind`:
    /// appends the commands to `packed`, and takes it as confirmed. How many creators it has, and whether it took
    /// everything that waited.
    pub fn flush(&mut self, behind: bool, room: usize, packed: &mut Vec<u8>) -> (usize, bool) {
        self.sequence += 1;
        let (scoring, tick) = (&self.assignment.scoring, &self.tick);
        self.fill.look(self.now, self.intake.state(), scoring, tick);
        self.now += WAIT;
        let now = Millis(self.intake.state().clock().map_or(0, |clock| clock.0)).iso();
        let mut calls = Calls {
            job: &self.assignment.spec.name,
            scoring: &self.assignment.scoring,
            fence: &self.fence,
            tick: &self.tick,
            sequence: self.sequence,
            now: &now,
            merges: Vec::new(),
            clock: None,
            alerts: Vec::new(),
        };
        let state = self.intake.state_mut();
        self.fill
            .look(self.now, state, &self.assignment.scoring, &self.tick);
        let scope = match behind {
            true => Scope::WhatWaited,
            false => Scope::Everything,
        };
        let complete = self.fill.collect(self.now, state, scope, room, &mut calls);
        for call in calls.merges.into_iter().chain(calls.alerts) {
            call.write_packed_command(packed);
        }
        (self.fill.confirm(), complete)
    }

    /// Creators and entities in state, and the bytes that they take.
    pub fn size(&self) -> (usize, usize, usize) {
        self.intake.state().size()
    }
}
