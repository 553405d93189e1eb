//! Questions about one creator, put to all executors of a job and answered together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kol_common::proto::{ExplainQuery, ExplainReply, Explanation};
use kol_common::{ExecutorId, KolError, Millis};

use super::message::Reply;

/// How long executors have to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// Questions that wait for answers.
#[derive(Debug, Default)]
pub(super) struct Questions {
    next: u64,
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    waiting: BTreeSet<ExecutorId>,
    deadline: Millis,
    answer: Explanation,
    reply: Reply<Explanation>,
}

impl Questions {
    /// Opens a question; the answer to return to `reply` is `draft` with the slots filled in.
    /// What comes back is to be sent to each of `executors`.
    pub(super) fn begin(
        &mut self,
        now: Millis,
        draft: Explanation,
        executors: &[ExecutorId],
        reply: Reply<Explanation>,
    ) -> ExplainQuery {
        self.next += 1;
        let query = ExplainQuery {
            query_id: self.next,
            job_id: draft.job_id.clone(),
            platform: draft.platform.clone(),
            kol: draft.kol.clone(),
        };
        let open = Open {
            waiting: executors.iter().cloned().collect(),
            deadline: Millis(now.0 + Millis::from(DEADLINE).0),
            answer: draft,
            reply,
        };
        if open.waiting.is_empty() {
            open.close();
        } else {
            self.open.insert(self.next, open);
        }
        query
    }

    /// An executor answered.
    pub(super) fn answered(&mut self, executor: &ExecutorId, reply: ExplainReply) {
        let Some(open) = self.open.get_mut(&reply.query_id) else {
            return;
        };
        if !open.waiting.remove(executor) {
            return;
        }
        open.answer.slots.extend(reply.slots);
        if open.waiting.is_empty()
            && let Some(done) = self.open.remove(&reply.query_id)
        {
            done.close();
        }
    }

    /// Answers what is due with what came so far.
    pub(super) fn tick(&mut self, now: Millis) {
        let due: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| now >= open.deadline)
            .map(|(id, _)| *id)
            .collect();
        for open in due.into_iter().filter_map(|id| self.open.remove(&id)) {
            open.close();
        }
    }
}

impl Open {
    fn close(mut self) {
        let Explanation { platform, kol, .. } = &self.answer;
        let outcome = if !self.answer.slots.is_empty() {
            self.answer
                .slots
                .sort_by_key(|s| s.partition.as_ref().map(|p| (p.topic.clone(), p.partition)));
            Ok(self.answer)
        } else if self.waiting.is_empty() {
            Err(KolError::user(
                "KOL_NOT_FOUND",
                format!("no partition knows a creator `{kol}` on {platform}"),
            )
            .job(&self.answer.job_id)
            .help("Check the spelling and --platform; a creator is known from the first event on."))
        } else {
            let names: Vec<_> = self.waiting.iter().map(ToString::to_string).collect();
            let message = format!("no answer within 2 s from {}", names.join(", "));
            Err(KolError::external("EXPLAIN_DEADLINE", message)
                .job(&self.answer.job_id)
                .help("Try again; kol-client executors shows whether they answer."))
        };
        let _nobody_waits = self.reply.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use kol_common::proto::SlotDetail;
    use tokio::sync::oneshot;

    use super::*;

    fn executor(name: &str) -> ExecutorId {
        ExecutorId::from_wire(name)
    }

    fn slots(query_id: u64, count: usize) -> ExplainReply {
        ExplainReply {
            query_id,
            slots: vec![SlotDetail::default(); count],
        }
    }

    #[test]
    fn slots_of_all_executors_are_put_together() {
        let mut questions = Questions::default();
        let (reply, mut answer) = oneshot::channel();
        let both = [executor("a"), executor("b")];
        let query = questions.begin(Millis(0), Explanation::default(), &both, reply);
        questions.answered(&both[0], slots(query.query_id, 1));
        // The same executor again, and one that was not queried, add nothing.
        questions.answered(&both[0], slots(query.query_id, 1));
        questions.answered(&executor("c"), slots(query.query_id, 1));
        assert!(answer.try_recv().is_err());
        questions.answered(&both[1], slots(query.query_id, 2));
        assert_eq!(answer.try_recv().unwrap().unwrap().slots.len(), 3);
    }

    #[test]
    fn silence_is_distinguished_from_an_unknown_creator() {
        let mut questions = Questions::default();
        let (reply, mut answer) = oneshot::channel();
        questions.begin(Millis(0), Explanation::default(), &[executor("a")], reply);
        questions.tick(Millis(1_999));
        assert!(answer.try_recv().is_err());
        questions.tick(Millis(2_000));
        assert_eq!(
            answer.try_recv().unwrap().unwrap_err().code,
            "EXPLAIN_DEADLINE"
        );
        let (reply, mut answer) = oneshot::channel();
        questions.begin(Millis(0), Explanation::default(), &[], reply);
        assert_eq!(
            answer.try_recv().unwrap().unwrap_err().code,
            "KOL_NOT_FOUND"
        );
    }
}
