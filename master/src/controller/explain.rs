//! Every term of one creator's score, collected from the executors of a job.

use std::collections::BTreeMap;

use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{ExecutorState, ExplainRequest, Explanation};
use kol_common::{ExecutorId, JobId, Millis};

use super::message::Reply;
use super::state::Controller;
use crate::job::Job;

impl Controller {
    pub(super) fn explain(
        &mut self,
        now: Millis,
        request: ExplainRequest,
        reply: Reply<Explanation>,
    ) {
        let (draft, executors) = match self.find(&request.job) {
            Ok((id, job)) => (draft(now, id, job, &request), job.executors()),
            Err(error) => {
                let _nobody_waits = reply.send(Err(error));
                return;
            }
        };
        let callable = |id: &ExecutorId| {
            let member = self.members.get(id);
            member.is_some_and(|m| {
                m.state == ExecutorState::Alive || m.state == ExecutorState::Leaving
            })
        };
        let queried: Vec<ExecutorId> = executors.into_iter().filter(callable).collect();
        let query = self.questions.begin(now, draft, &queried, reply);
        for executor in queried {
            self.send(&executor, ToExecutor::Explain(query.clone()));
        }
    }
}

/// The answer without its slots.
fn draft(now: Millis, id: &JobId, job: &Job, request: &ExplainRequest) -> Explanation {
    let status = job.status(now, &BTreeMap::new());
    let platform = if request.platform.is_empty() {
        job.header().spec.scoring.default_platform.clone()
    } else {
        request.platform.to_lowercase()
    };
    let of_platform = status.market.iter().find(|m| m.platform == platform);
    Explanation {
        job_id: id.to_string(),
        market: of_platform.map_or(0.0, |m| m.mean),
        platform,
        kol: request.kol.clone(),
        slots: Vec::new(),
        spec_json: status.spec_json,
        // Ages of readings: times of events.
        now_ms: Millis::now().0,
    }
}
