//! How a partition looks after itself, now and then, and what it says of itself then.

use std::sync::Arc;

use kol_common::KolError;
use tokio::time::Instant;

use super::Actor;
use crate::partition::report::{Parts, memory_limit, report};

impl Actor {
    /// Whether nothing is under way: what is to be read is read, and Redis has it.
    fn is_settled(&self) -> bool {
        let letters = self.intake.letters_have_arrived(self.intake.letter_mark());
        let waits = self.turn.memory().is_full() || self.restore_problem.is_some();
        let state = self.intake.state();
        !waits && letters && self.reader.is_settled() && self.outbox.is_settled(state)
    }

    pub(super) fn keep_house(&mut self, now: Instant) -> Result<(), KolError> {
        let times = self.house.keep(now, self.is_settled());
        self.reader.look(now)?;
        let end = self.reader.end().map(|log| log.end);
        if let Some(shown) = end.and_then(|end| self.outbox.shown_beyond(end))
            && !self.reader.doubt_below(now, shown)
        {
            self.outbox.give_up_hold(now, shown);
        }
        let outbox = &self.outbox;
        let is_behind = self.reader.is_behind();
        self.intake
            .tend(now, times, is_behind, |kol| !outbox.holds(kol));
        self.tend_letters(now);
        self.turn.weigh(&self.intake, &self.outbox);
        self.turn.take(now, &mut self.reader)?;
        self.show_report();
        Ok(())
    }

    pub(super) fn show_report(&mut self) {
        let now = Instant::now();
        let full = memory_limit(&self.parts());
        self.fullness.look(now, full);
        let stall = self.reader.longest_stall(now);
        let mut report = report(&self.parts(), stall);
        if let Some(counters) = &report.counters {
            self.meter.look(now, counters);
        }
        report.rates = self.meter.rates();
        self.report.send_replace(Arc::new(report));
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            assignment: &self.assignment,
            memory: self.turn.memory(),
            reader: &self.reader,
            intake: &self.intake,
            outbox: &self.outbox,
            full: self.fullness.problem(),
            restore_problem: self.restore_problem.as_ref(),
        }
    }
}
