//! When the log is not what it was: records that are gone, or a topic that was recreated.

use kol_common::KolError;
use kol_common::job::OnDataLoss;
use uuid::Uuid;

use super::range::{Resume, resume};
use crate::partition::message::Assignment;

/// What is known of a log whose range was queried.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Offset of the next record.
    pub position: u64,
    /// Oldest offset that is still there.
    pub oldest: u64,
    /// One past the newest.
    pub end: u64,
    /// The id of the log that the state is of.
    pub known: Option<Uuid>,
    /// The id of another log that has its name now.
    pub other: Option<Uuid>,
}

/// Decides where to resume. What is lost by that is logged.
///
/// # Errors
/// `DATA_LOSS`, when the job must not lose any.
pub fn recover(assignment: &Assignment, evidence: &Evidence) -> Result<Resume, KolError> {
    let decision = match evidence.other {
        Some(_) => Resume::NewLog {
            at: evidence.oldest,
        },
        None => resume(evidence.position, evidence.oldest, evidence.end),
    };
    let (at, what) = match decision {
        Resume::Here => return Ok(decision),
        Resume::BehindGap { at, lost } => {
            let what = format!("{lost} records were deleted before they were read");
            (at, what)
        }
        Resume::NewLog { at } => (at, new_log(evidence)),
    };
    if assignment.whole_log && evidence.position == assignment.offset {
        return Err(not_whole(assignment, evidence));
    }
    let error = KolError::user("DATA_LOSS", what)
        .job(&assignment.spec.name)
        .partition(&assignment.partition)
        .offset(evidence.position);
    if assignment.spec.source.on_data_loss() == OnDataLoss::Fail {
        return Err(error.help(
            "Set source.on_data_loss = \"continue\" to resume behind the gap, and raise the retention of \
             the topic.",
        ));
    }
    let code = match decision {
        Resume::NewLog { .. } => "LOG_RECREATED",
        Resume::Here | Resume::BehindGap { .. } => error.code,
    };
    tracing::warn!(code, %error, at, "reading resumes at the oldest record");
    Ok(decision)
}

/// The state is lost, and the log alone does not give it back.
fn not_whole(assignment: &Assignment, evidence: &Evidence) -> KolError {
    let name = &assignment.spec.name;
    let what = format!(
        "none of the kept checkpoints can be read, and the log no longer has everything since the job \
         began: its oldest offset is {}",
        evidence.oldest
    );
    KolError::user("STATE_LOST", what)
        .job(name)
        .partition(&assignment.partition)
        .offset(evidence.position)
        .help(format!(
            "Bring the state files back and submit the job again. To go on with what the log still has: \
             kol-client rewind {name} --to-earliest, or kol-client submit FILE --discard-state; or start from \
             a savepoint with --from-savepoint."
        ))
}

/// Why this is another log.
fn new_log(evidence: &Evidence) -> String {
    let sign = match (evidence.other, evidence.known) {
        (Some(other), Some(known)) => format!("its id is {other} instead of {known}"),
        _ => {
            let end = evidence.end;
            format!("the log ends at offset {end}, before the position")
        }
    };
    format!("the topic was recreated, and the state of the old one is dropped: {sign}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_lost_its_state_does_not_start_behind_a_gap() {
        let evidence = |position, oldest| Evidence {
            position,
            oldest,
            end: 50,
            known: None,
            other: None,
        };
        let mut assignment = Assignment::with_source("");
        assignment.offset = 5;
        let gap = Resume::BehindGap { at: 9, lost: 4 };
        assert_eq!(recover(&assignment, &evidence(5, 9)).unwrap(), gap);
        assignment.whole_log = true;
        let whole = recover(&assignment, &evidence(5, 5)).unwrap();
        assert_eq!(whole, Resume::Here);
        let error = recover(&assignment, &evidence(5, 9)).unwrap_err();
        assert_eq!(error.code, "STATE_LOST");
        assert!(!error.retryable);
        assert!(error.message.contains("oldest offset is 9"), "{error}");
        for command in ["rewind x --to-earliest", "--discard-state"] {
            assert!(error.help.contains(command), "{error}");
        }
        // Later gaps are what source.on_data_loss is for.
        assert!(recover(&assignment, &evidence(6, 9)).is_ok());
    }
}
