//! Answers what a partition knows of a KOL. A partition may have millions of readings, which no index leads to
//! by KOL, so they are looked at in slices, between which data is processed.

use std::collections::VecDeque;
use std::sync::Arc;

use kol_common::proto::{ReadingDetail, SlotDetail};
use tokio::sync::oneshot;

use super::message::Assignment;
use crate::state::{KolIndex, State};

/// Readings looked at in one step: about a quarter of a millisecond of work.
const STEP: usize = 20_000;

/// See the module. Queries are answered one after the other.
#[derive(Debug)]
pub(super) struct Explain {
    assignment: Arc<Assignment>,
    queries: VecDeque<Query>,
}

/// A query that is being answered.
#[derive(Debug)]
struct Query {
    platform: String,
    name: String,
    kol: KolIndex,
    /// Readings below this were looked at.
    next: usize,
    readings: Vec<ReadingDetail>,
    reply: oneshot::Sender<Option<SlotDetail>>,
}

impl Explain {
    /// Without a query.
    pub(super) fn new(assignment: Arc<Assignment>) -> Self {
        Self {
            assignment,
            queries: VecDeque::new(),
        }
    }

    /// Takes a query. A KOL that the state does not know is answered at once.
    pub(super) fn query(
        &mut self,
        state: &State,
        platform: String,
        name: String,
        reply: oneshot::Sender<Option<SlotDetail>>,
    ) {
        let Some(kol) = state.find(&platform, &name) else {
            let _asker_gave_up = reply.send(None);
            return;
        };
        self.queries.push_back(Query {
            platform,
            name,
            kol,
            next: 0,
            readings: Vec::new(),
            reply,
        });
    }

    /// Whether the loop should come back soon although nothing happens.
    pub(super) fn is_busy(&self) -> bool {
        !self.queries.is_empty()
    }

    /// One bounded step. Nobody waits for a query whose asker gave up.
    pub(super) fn step(&mut self, state: &State) {
        self.queries.retain(|query| !query.reply.is_closed());
        let Some(query) = self.queries.front_mut() else {
            return;
        };
        let until = query.next + STEP;
        let found = state.readings_of(query.kol, query.next..until);
        query.readings.extend(found);
        query.next = until;
        if until >= state.readings_bound()
            && let Some(query) = self.queries.pop_front()
        {
            self.answer(state, query);
        }
    }

    fn answer(&self, state: &State, query: Query) {
        // Forgotten meanwhile, the index may be another one's.
        let kol = state.find(&query.platform, &query.name);
        let known = kol.filter(|kol| *kol == query.kol);
        let detail = known.and_then(|kol| state.detail(kol));
        let detail = detail.map(|detail| SlotDetail {
            partition: Some((&self.assignment.partition).into()),
            readings: query.readings,
            ..detail
        });
        let _asker_gave_up = query.reply.send(detail);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use kol_common::event::Event;
    use kol_common::{Millis, SourcePartition};

    use super::*;
    use crate::partition::testing::event;

    fn assignment() -> Arc<Assignment> {
        Arc::new(Assignment {
            partition: SourcePartition::new("t", 3),
            ..Assignment::with_source("")
        })
    }

    fn read(state: &mut State, kol: &str, video: usize) {
        let event = Event {
            video_id: Some(Cow::Owned(video.to_string())),
            ..event(kol)
        };
        state.apply(&event, Millis(1_795_669_200_000));
    }

    #[test]
    fn many_readings_are_looked_at_in_bounded_steps_and_every_one_is_found() {
        let assignment = assignment();
        let mut state = State::new(Arc::clone(&assignment.scoring));
        for video in 0..3 * STEP {
            read(
                &mut state,
                if video % STEP == 7 { "ann" } else { "others" },
                video,
            );
        }
        let mut explain = Explain::new(assignment);
        let (reply, mut replied) = oneshot::channel();
        explain.query(&state, "tiktok".into(), "ann".into(), reply);
        explain.step(&state);
        explain.step(&state);
        assert!(replied.try_recv().is_err(), "two steps are not enough");
        // It continues while data is taken.
        read(&mut state, "ann", 3 * STEP);
        explain.step(&state);
        explain.step(&state);
        let detail = replied.try_recv().unwrap().unwrap();
        assert_eq!((detail.readings.len(), detail.events), (4, 4));
        assert_eq!(detail.partition.unwrap().partition, 3);
        let in_panes: u64 = detail.panes.iter().map(|pane| pane.events).sum();
        assert_eq!(in_panes, 4);
        assert!(!explain.is_busy());
    }

    #[test]
    fn a_kol_that_is_unknown_is_answered_at_once_and_no_work_is_done_for_nobody() {
        let assignment = assignment();
        let mut state = State::new(Arc::clone(&assignment.scoring));
        read(&mut state, "ann", 1);
        let mut explain = Explain::new(assignment);
        let (reply, mut replied) = oneshot::channel();
        explain.query(&state, "tiktok".into(), "bob".into(), reply);
        assert_eq!(replied.try_recv(), Ok(None));
        let (reply, replied) = oneshot::channel();
        explain.query(&state, "tiktok".into(), "ann".into(), reply);
        drop(replied);
        explain.step(&state);
        assert!(!explain.is_busy());
    }
}
