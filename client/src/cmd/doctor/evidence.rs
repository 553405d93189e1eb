//! What was seen, as it is judged.

use kol_common::Millis;
use kol_common::proto::{ErrorInfo, ExecutorStatus, JobStatus, LeadershipReply};

use super::area::Area;

/// Everything that was looked at, side by side.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The wall clock of this host.
    pub(super) wall: Millis,
    /// All of `--master`.
    pub(super) masters: Vec<Master>,
    /// What a master that answers did not tell, and why.
    pub(super) refused: Vec<Refused>,
    /// Those that the leader lists; `None` where nobody leads.
    pub(super) executors: Option<Vec<ExecutorStatus>>,
    /// Jobs to judge: with their partitions, if somebody leads.
    pub(super) jobs: Vec<JobStatus>,
    /// What was looked at from this host.
    pub(super) looks: Vec<Look>,
}

#[derive(Debug)]
pub(super) struct Master {
    pub(super) url: String,
    pub(super) answer: Result<LeadershipReply, ErrorInfo>,
}

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) what: String,
    pub(super) error: ErrorInfo,
}

/// What this host sees of something that a job needs.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) area: Area,
    /// The name of the job.
    pub(super) job: String,
    pub(super) what: String,
    pub(super) outcome: Result<String, ErrorInfo>,
}

impl Evidence {
    /// The master that leads, as it is called and with what it says.
    pub(super) fn leader(&self) -> Option<(&str, &LeadershipReply)> {
        let answers = self.masters.iter();
        let mut answers = answers.filter_map(|m| Some((m.url.as_str(), m.answer.as_ref().ok()?)));
        answers.find(|(_, reply)| reply.leads)
    }
}
