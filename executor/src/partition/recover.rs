//! When the log is not what it was: records that are gone, a topic that was made anew.

use kol_common::KolError;
use kol_common::job::OnDataLoss;
use std::sync::Arc;
use tokio::time::Instant;

use super::actor::{Actor, Marks};
use super::log_id::LogId;
use super::message::Ended;
use super::range::{GoOn, go_on};
use crate::state::State;

impl Actor {
    /// Looks whether the topic is the one that the state is of.
    pub(super) fn notice_another_log(&mut self) {
        let answer = self.deps.source.identity(&self.assignment.partition);
        if let Some(other) = answer.and_then(|answer| self.log_id.answered(answer)) {
            self.other_log = Some(other);
            self.range_unknown = !self.halted;
        }
    }

    /// Asks for the range of the log, until it is known, when the position is not in it.
    pub(super) fn find_range(&mut self) {
        if self.range_unknown && self.marks.is_none() {
            let answer = self.deps.source.watermarks(&self.assignment.partition);
            self.marks = Some(answer);
        }
    }

    /// The range of the log is known, or could not be asked for.
    pub(super) fn found(&mut self, answer: Marks) -> Option<Ended> {
        self.marks = None;
        if self.halted {
            return None;
        }
        let (oldest, end) = match answer {
            Ok(marks) => marks,
            Err(error) => {
                self.source_problem = Some(error);
                return None;
            }
        };
        let position = self.intake.position;
        let decision = match self.other_log {
            Some(_) => GoOn::NewLog { at: oldest },
            None => go_on(position, oldest, end),
        };
        let (at, what) = match decision {
            GoOn::Here => (position, None),
            GoOn::BehindGap { at, lost } => (
                at,
                Some(format!("{lost} records were deleted before they were read")),
            ),
            GoOn::NewLog { at } => (at, Some(self.new_log(end))),
        };
        if let Some(what) = what {
            let error = KolError::user("DATA_LOSS", what)
                .job(&self.assignment.spec.name)
                .partition(&self.assignment.partition)
                .offset(position);
            if self.assignment.spec.source.on_data_loss() == OnDataLoss::Fail {
                return Some(Ended::Failed(error.help(
                    "Set source.on_data_loss = \"continue\" to go on behind the gap, and raise the \
                     retention of the topic.",
                )));
            }
            tracing::warn!(%error, at, "going on at the oldest record");
        }
        match decision {
            GoOn::Here => {}
            GoOn::BehindGap { lost, .. } => self.intake.counters.lost += lost,
            GoOn::NewLog { .. } => {
                self.intake.counters.new_logs += 1;
                self.log_id = LogId::new(Instant::now(), self.other_log.take());
                self.intake.state = State::new(Arc::clone(&self.assignment.scoring));
                self.outbox.start_over();
                self.forget_checkpoints();
                // The job's clock is not the log's: a market waits until everybody is there.
                self.take_tick();
            }
        }
        self.read_on_at(at)
    }

    /// Why this is another log.
    fn new_log(&self, end: u64) -> String {
        let sign = match (self.other_log, self.log_id.known()) {
            (Some(other), Some(known)) => format!("its id is {other} instead of {known}"),
            _ => format!("the log ends at offset {end}, before the position"),
        };
        format!("the topic was made anew, and what was read of the old one is forgotten: {sign}")
    }

    fn read_on_at(&mut self, offset: u64) -> Option<Ended> {
        self.range_unknown = false;
        self.intake.position = offset;
        self.queue = None;
        match self.deps.source.seek(&self.assignment.partition, offset) {
            Ok(queue) => {
                self.queue = Some(queue);
                self.more = true;
                None
            }
            Err(error) => Some(Ended::Failed(error)),
        }
    }

    /// Redis was shown more than the whole log has: that was another log, and its end will never be
    /// reached.
    pub(super) fn let_go_of_a_log_that_is_gone(&mut self) {
        let (Some((shown, _)), Some(log)) = (
            self.outbox.holding(),
            self.deps.source.end(&self.assignment.partition),
        ) else {
            return;
        };
        if log.end < shown {
            tracing::warn!(
                job = %self.assignment.job,
                partition = %self.assignment.partition,
                shown,
                end = log.end,
                "Redis was shown more than the log has: the topic was made anew"
            );
            self.outbox.start_over();
        }
    }
}
