//! What a job does after each step, whatever happened: it places its partitions or takes them back, looks at its ends, and
//! shares clock and market.

use kol_common::Millis;
use kol_common::proto::RevokeMode;

use super::effect::Effect;
use super::epochs::{JobParts, LastEpoch};
use super::fleet::Fleet;
use super::live::Look;
use super::machine::Job;
use super::partition::Partition;
use super::places::places;
use super::record::{End, Phase};
use super::rekeying::{FirstStage, Stages, beside};
use super::share::tick;

impl Job {
    /// What follows from how things are now, whatever happened.
    pub(super) fn settle(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        match self.record.phase {
            Phase::Over(_) => return,
            Phase::Starting if self.record.follows.is_some() => {}
            Phase::Starting => self.lookup.tick(now, out),
            Phase::Running => {
                self.lookup.tick(now, out);
                self.take_from_the_lost(now, fleet, out);
                self.place(now, fleet, out);
                self.place_first(now, fleet, out);
            }
            Phase::Ending(end) => {
                self.take_from_the_lost(now, fleet, out);
                let first_is_free = self.take_back_first(now, end, fleet, out);
                match self.epochs.last(now, &self.partitions, fleet) {
                    LastEpoch::Awaited => self.place(now, fleet, out),
                    LastEpoch::Settled => self.take_back_all(now, end, first_is_free, fleet, out),
                    LastEpoch::Missed(reason) => {
                        self.record.reason = reason;
                        self.take_back_all(now, end, first_is_free, fleet, out);
                    }
                }
            }
        }
        let stages = Stages {
            first: self.first.as_ref(),
            second: &self.partitions,
        };
        self.ends.tick(now, stages, fleet, out);
        if self.live.is_due(now) {
            let sink = &self.record.spec.sink;
            let known = (stages, &self.ends, self.epochs.coordinator());
            let look = Look::of(now, sink, known, fleet);
            self.live.look(now, &look);
        }
        self.share(now, fleet, out);
        let job = JobParts {
            record: &mut self.record,
            partitions: &self.partitions,
            wall: self.wall,
        };
        self.epochs.tick(now, job, fleet, out);
    }

    pub(super) fn assign_again(&mut self, now: Millis) {
        self.partitions.assign_again(now);
        if let Some(first) = &mut self.first {
            first.partitions.assign_again(now);
        }
    }

    fn take_from_the_lost(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        self.partitions.take_from_the_lost(now, fleet, out);
        if let Some(first) = &mut self.first {
            first.partitions.take_from_the_lost(now, fleet, out);
        }
    }

    fn place_first(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        let Some(first) = &mut self.first else {
            return;
        };
        let fleet = beside(fleet, &self.partitions.loads());
        let (partitions, no_epochs) = first.parts();
        // It has no state files that an executor would have to see.
        let orders = partitions.place((now, self.wall), &fleet, no_epochs, &[], out);
        let tick = tick(&self.record, &self.partitions, &self.measure);
        orders.send(&self.record, tick.as_ref(), out);
    }

    /// The first stage of a job that ends stops at once: what it has not read, the next job reads. Answers whether all of it is
    /// free.
    fn take_back_first(
        &mut self,
        now: Millis,
        end: End,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) -> bool {
        let first = self.first.as_mut();
        first.is_none_or(|f| f.partitions.take_back_all(now, way_to(end), fleet, out))
    }

    fn place(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        if self.settled.is(now, fleet) {
            return;
        }
        let first = self.first.as_ref().map(|f| f.partitions.loads());
        let beside = beside(fleet, &first.unwrap_or_default());
        let epochs = self.epochs.coordinator();
        let places = places(&self.record, &self.partitions, epochs);
        let clocks = (now, self.wall);
        let orders = (self.partitions).place(clocks, &beside, epochs, &places, out);
        let tick = tick(&self.record, &self.partitions, &self.measure);
        orders.send(&self.record, tick.as_ref(), out);
        let all = self.partitions.are_placed();
        self.settled.placed(now, fleet, all);
    }

    fn take_back_all(
        &mut self,
        now: Millis,
        end: End,
        first_is_free: bool,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) {
        let second_is_free = (self.partitions).take_back_all(now, way_to(end), fleet, out);
        if !(first_is_free && second_is_free) {
            return;
        }
        self.record.phase = Phase::Over(end);
        let undrained = self.partitions.undrained;
        let complete = self.epochs.coordinator().is_finished();
        if end == End::Stopped && undrained > 0 && !complete {
            self.record.reason = format!(
                "{undrained} of {} partitions did not confirm everything they had read before they \
                 ended: resume with submit --from-savepoint and this job, to bring Redis up to date",
                self.partitions.len()
            );
        }
        out.push(Effect::Persist);
    }

    /// Advances clock and market, and sends the executors what changed.
    fn share(&mut self, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        if let Some(first) = &mut self.first {
            first.look(now);
        }
        let round = self.partitions.round();
        self.measure.advance(now, &self.record.spec.scoring, &round);
        if !self.record.shown && self.record.phase == Phase::Running {
            let level = self.first.as_ref().is_none_or(FirstStage::is_level);
            if level && self.record.spec.rekey().is_some() {
                self.partitions.goals_from.get_or_insert(now);
            }
            self.record.shown = level && self.partitions.iter().all(Partition::is_level);
            if self.record.shown {
                out.push(Effect::Persist);
            }
        }
        let tick = tick(&self.record, &self.partitions, &self.measure);
        self.share.send(now, tick, &self.partitions, fleet, out);
    }
}

/// How partitions are taken back for this end.
fn way_to(end: End) -> RevokeMode {
    match end {
        End::Stopped => RevokeMode::Drain,
        End::Cancelled | End::Failed => RevokeMode::Now,
    }
}
