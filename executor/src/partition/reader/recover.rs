//! When the log is not what it was: records that are gone, or a topic that was recreated.

use kol_common::KolError;
use kol_common::job::OnDataLoss;

use super::range::{Evidence, Resume, resume};
use crate::partition::message::Assignment;

/// Decides where to resume. What is lost by that is logged.
///
/// # Errors
/// `DATA_LOSS`, when the job must not lose any.
pub fn recover(assignment: &Assignment, evidence: &Evidence) -> Result<Resume, KolError> {
    let decision = resume(evidence);
    let (code, what, next) = match decision {
        Resume::Here | Resume::Later => return Ok(decision),
        Resume::BehindGap { lost, at } => (
            "DATA_LOSS",
            format!("{lost} records were deleted before they were read"),
            format!("reading resumes at the oldest record, {at}"),
        ),
        Resume::BeforeTail(tail) => (
            "DATA_LOSS",
            tail.to_string(),
            "the partition goes back to a checkpoint from before them, if one is kept".to_owned(),
        ),
        Resume::NewLog { at } => (
            "LOG_RECREATED",
            new_log(evidence),
            format!("reading resumes at the oldest record, {at}"),
        ),
    };
    let error = KolError::user("DATA_LOSS", what)
        .job(&assignment.spec.name)
        .partition(&assignment.partition)
        .offset(evidence.position);
    if assignment.spec.source.on_data_loss() == OnDataLoss::Fail {
        return Err(error.help(help(decision)));
    }
    tracing::warn!(code, %error, next, "the log is not what it was");
    Ok(decision)
}

fn help(decision: Resume) -> &'static str {
    match decision {
        Resume::BeforeTail(_) => {
            "Find out why Kafka lost acknowledged records (unclean.leader.election.enable, acks, \
             min.insync.replicas, a broker that lost power). Submit again with \
             source.on_data_loss = \"continue\" to go back before them."
        }
        Resume::Here | Resume::Later | Resume::BehindGap { .. } | Resume::NewLog { .. } => {
            "Set source.on_data_loss = \"continue\" to resume behind the gap, and raise the retention of \
             the topic."
        }
    }
}

/// Why this is another log.
fn new_log(evidence: &Evidence) -> String {
    let sign = match (evidence.doubt.other, evidence.known) {
        (Some(other), Some(known)) => format!("its id is {other} instead of {known}"),
        _ => {
            let end = evidence.end;
            format!("the log ends at offset {end}, before the position")
        }
    };
    format!("the topic was recreated, and the state of the old one is dropped: {sign}")
}
